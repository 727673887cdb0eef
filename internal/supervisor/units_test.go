package supervisor

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/supervisor/link"
)

func TestBackoff(t *testing.T) {
	b := backoff{first: time.Second, most: 10 * time.Second, calm: time.Minute}
	var got []time.Duration
	for _, lived := range []time.Duration{0, 0, time.Second, 0, 0, 0, time.Minute, 0} {
		got = append(got, b.after(lived))
	}
	want := []time.Duration{1, 2, 4, 8, 10, 10, 1, 2}
	for i := range want {
		want[i] *= time.Second
	}
	if !slices.Equal(got, want) {
		t.Errorf("pauses %v, want %v", got, want)
	}
}

func TestSecretsOf(t *testing.T) {
	got := secretsOf([]string{"HF_TOKEN=hf_12345678", "SHORT_KEY=abc", "PATH=/usr/bin:/usr/sbin", "DB_PASSWORD=hunter2hunter2"},
		[]string{"vllm", "serve", "--api-key", "sk-12345678", "--ssl-keyfile=/etc/tls/key.pem", "--model", "a/very-long-model"})
	found := strings.Split(string(bytes.Join(got, []byte("\n"))), "\n")
	slices.Sort(found)
	if want := []string{"/etc/tls/key.pem", "hf_12345678", "hunter2hunter2", "sk-12345678"}; !slices.Equal(found, want) {
		t.Errorf("%q, want %q", found, want)
	}
}

func TestTail(t *testing.T) {
	tl := tail{secrets: [][]byte{[]byte("sk-12345678")}}
	var out, err unfinished
	tl.take(&out, []byte("one\ntw"))
	tl.take(&err, []byte("10 %\r20 %\r"))
	tl.take(&out, []byte("o sk-12345678 two\n\n\xff\xfe\n"))
	tl.take(&out, []byte(strings.Repeat("x", tailBytes-4)+"sk-12345678 and more\n"))
	want := []string{"one", "10 %", "20 %", "two [secret] two", "\uFFFD", strings.Repeat("x", tailBytes-4) + "[sec"}
	if got := tl.last(); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for range 100 {
		tl.take(&out, []byte("again\n"))
	}
	if got := tl.last(); len(got) != tailLines || got[0] != "again" {
		t.Errorf("%d lines, the first is %q", len(got), got[0])
	}
}

// FuzzTail: whatever a program writes, and in whatever pieces, its tail is small, valid text without the secret.
func FuzzTail(f *testing.F) {
	f.Add([]byte("a line\nanother with hush-hush-hush in it\r\nlast"), uint8(3))
	f.Add([]byte(strings.Repeat("y", 5000)+"hush-hush-hush\n"), uint8(200))
	f.Fuzz(func(t *testing.T, text []byte, piece uint8) {
		const secret = "hush-hush-hush"
		tl := tail{secrets: [][]byte{[]byte(secret)}}
		var u unfinished
		for rest := text; len(rest) > 0; {
			n := min(len(rest), int(piece)+1)
			tl.take(&u, rest[:n])
			rest = rest[n:]
		}
		tl.end(&u)
		lines := tl.last()
		if len(lines) > tailLines {
			t.Fatalf("%d lines", len(lines))
		}
		for _, l := range lines {
			if len(l) > tailBytes || strings.ContainsAny(l, "\n\r") || strings.Contains(l, secret) || strings.ToValidUTF8(l, "") != l {
				t.Errorf("line %q", l)
			}
		}
	})
}

// A line is told as encoding/json would tell it, whatever is in it.
func FuzzLine(f *testing.F) {
	f.Add("a \"line\" with \\ and \x00 and \t, \u2028 and \U0001F600")
	f.Fuzz(func(t *testing.T, text string) {
		text = wellFormed(text)
		at := time.Date(2026, 12, 1, 8, 0, 0, 123, time.UTC)
		var told link.Message
		if err := json.Unmarshal(appendLine(nil, at, []byte(text)), &told); err != nil {
			t.Fatal(err)
		}
		if told.Server != nil || told.Line == nil || told.Line.Text != text || !told.Line.At.Equal(at) {
			t.Errorf("%q is told as %+v", text, told.Line)
		}
	})
}
