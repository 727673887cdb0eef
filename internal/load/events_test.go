package load

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// all reads events to the end.
func all(from io.Reader) (found []string, err error) {
	e := newEvents(from)
	for {
		data, err := e.next()
		if err != nil {
			return found, err
		}
		found = append(found, string(data))
	}
}

func TestEvents(t *testing.T) {
	long := strings.Repeat("x", 100<<10)
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"two", "data: a\n\ndata: b\n\n", []string{"a", "b"}},
		{"no space", "data:a\n\n", []string{"a"}},
		{"two spaces", "data:  a\n\n", []string{" a"}},
		{"carriage returns", "data: a\r\n\r\ndata: b\r\n\r\n", []string{"a", "b"}},
		{"comments and other fields", ": ping\n\nevent: x\nid: 7\ndata: a\nretry: 3\n\n", []string{"a"}},
		{"several lines", "data: a\ndata: b\n\n", []string{"a\nb"}},
		{"empty data", "data\n\ndata:\n\n", []string{"", ""}},
		{"many empty lines", "\n\n\ndata: a\n\n\n\n", []string{"a"}},
		{"a field that only begins alike", "database: x\n\n", nil},
		{"cut", "data: a\n\ndata: b\n", []string{"a"}},
		{"cut in a line", "data: a\n\ndata: b", []string{"a"}},
		{"a mark of the byte order", "\xef\xbb\xbfdata: a\n\n", []string{"a"}},
		{"longer than the buffer", "data: " + long + "\n\ndata: b\n\n", []string{long, "b"}},
		{"nothing", "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			have, err := all(strings.NewReader(c.text))
			if !errors.Is(err, io.EOF) || !slices.Equal(have, c.want) {
				t.Errorf("have %.80q and %v, want %.80q", have, err, c.want)
			}
		})
	}
}

func TestEventsAreBounded(t *testing.T) {
	endless := endlessLine{}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := all(io.MultiReader(strings.NewReader("data: a\n\ndata: "), &endless))
	runtime.ReadMemStats(&after)
	if !errors.Is(err, ErrTooMuch) || endless.read > 2*maxEvent {
		t.Errorf("after %d bytes: %v", endless.read, err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 8*maxEvent {
		t.Errorf("it took %d bytes to refuse an event", used)
	}
}

// endlessLine is a line without an end.
type endlessLine struct{ read int }

func (e *endlessLine) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'x'
	}
	e.read += len(b)
	return len(b), nil
}

// reference reads events in the plainest way.
func reference(text string) (found []string) {
	text = strings.TrimPrefix(text, "\xef\xbb\xbf")
	var data []string
	lines := strings.Split(text, "\n")
	for _, line := range lines[:len(lines)-1] {
		line = strings.TrimSuffix(line, "\r")
		if line == "" {
			if data != nil {
				found = append(found, strings.Join(data, "\n"))
			}
			data = nil
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		if name == "data" {
			data = append(data, strings.TrimPrefix(value, " "))
		}
	}
	return found
}

// FuzzEvents: however the bytes are cut by the network, the events are those that the plainest reading finds.
func FuzzEvents(f *testing.F) {
	for _, seed := range []string{
		"data: a\n\ndata: b\n\n", "data:a\r\n\r\n: c\n\n", "data\ndata: \n\n", "\xef\xbb\xbfdata: x\n\n", "data: a\rb\n\n", "\n\r\n\ndata: [DONE]\n\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > maxEvent/2 {
			return
		}
		want := reference(string(text))
		for name, from := range map[string]io.Reader{
			"whole": bytes.NewReader(text), "single bytes": iotest.OneByteReader(bytes.NewReader(text)), "halves": iotest.HalfReader(bytes.NewReader(text)),
		} {
			have, err := all(from)
			if !errors.Is(err, io.EOF) || !slices.Equal(have, want) {
				t.Errorf("%s: have %q and %v, want %q", name, have, err, want)
			}
		}
	})
}

// FuzzStream: whatever a server sends, a record does not contradict itself.
func FuzzStream(f *testing.F) {
	for _, seed := range []string{
		good, "data: {\"error\":{\"message\":\"x\",\"code\":500}}\n\ndata: [DONE]\n\n", "data: {\"choices\":[{}],\"usage\":{\"completion_tokens\":-3}}\n\n",
		"data: {\"choices\":[{\"finish_reason\":\"abort\"}]}\n\ndata: [DONE]\n\n", "data: [DONE]\n\n", "data: {}\n\n",
	} {
		f.Add([]byte(seed), true)
	}
	f.Fuzz(func(t *testing.T, text []byte, each bool) {
		var r Record
		s := stream{record: &r, from: newEvents(bytes.NewReader(text)), each: each, most: 64}
		err := s.read()
		if err == nil {
			err = s.verdict()
		}
		if len(r.ITLs) > 0 && len(r.ITLs) != s.chunks-1 || s.chunks > 65 {
			t.Errorf("%d chunks with %d gaps", s.chunks, len(r.ITLs))
		}
		if r.OutputTokens < 0 || r.PromptTokens < 0 || r.CachedTokens.Value < 0 {
			t.Errorf("negative tokens: %+v", r)
		}
		if err == nil && (s.chunks == 0 || r.OutputTokens == 0) {
			t.Errorf("called good, with %d chunks and %d tokens", s.chunks, r.OutputTokens)
		}
		if err == nil && r.ChunkTokens != nil {
			sum := 0
			for _, n := range r.ChunkTokens {
				sum += n
			}
			if sum != r.OutputTokens || len(r.ChunkTokens) != s.chunks {
				t.Errorf("%d tokens in %d chunks, but %d tokens in all and %d chunks", sum, len(r.ChunkTokens), r.OutputTokens, s.chunks)
			}
		}
	})
}
