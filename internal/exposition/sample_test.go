package exposition

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
)

func TestSamples(t *testing.T) {
	for _, row := range []struct {
		line string
		open bool
		want string // name, labels, value; empty: no sample
	}{
		{"up 1", false, `{__name__="up"} 1`},
		{" \tup\t 1  1700000000000 ", false, `{__name__="up"} 1`},
		{`a:b{c="d",} +Inf`, false, `{__name__="a:b", c="d"} +Inf`},
		{`a { b = "c" , d="e"}1e3`, false, `{__name__="a", b="c", d="e"} 1000`},
		{`{"a b",c="d\"\\\n\t"} 2`, false, `{__name__="a b", c="d\"\\\n\\t"} 2`},
		{`{c="d","a b"} 2`, true, `{__name__="a b", c="d"} 2`},
		{`a{"b c"="d"} 2`, true, `{__name__="a", "b c"="d"} 2`},
		{`a{b="c"} 2 1.5e9 # {trace_id="x"} 0.5 1.5e9`, true, `{__name__="a", b="c"} 2`},
		{`a{b="c"} 2 # {} 0.5`, true, `{__name__="a", b="c"} 2`},
		{"a 1 # {} 1", false, ""},
		{"a", false, ""},
		{"a b", false, ""},
		{"a 0x1p4", false, ""},
		{"a 1_0", false, ""},
		{"a 1 -5", false, ""},
		{"a 1 2 3", false, ""},
		{"a 1 ", true, ""},
		{"a  1", true, ""},
		{" a 1", true, ""},
		{"a 1 NaN", true, ""},
		{"a 1 # {b} 1", true, ""},
		{`a 1 # {"b"} 1`, true, ""},
		{`a 1 # {b="c"}`, true, ""},
		{`{b="c"} 1`, false, ""},
		{`a{"b"} 1`, false, ""},
		{`a{b="c"d="e"} 1`, true, ""},
		{`a{b:c="d"} 1`, false, ""},
		{`a{b="c} 1`, false, ""},
		{`a{b="c\"} 1`, false, ""},
		{"a{b=\"\xff\"} 1", false, ""},
		{`a{,} 1`, false, ""},
		{`a{b="c",,} 1`, false, ""},
		{"\x00", false, ""},
		{"5 5", false, ""},
	} {
		var s Sample
		got := ""
		if s.Parse([]byte(row.line), row.open) {
			got = plainly(&s)
		}
		if got != row.want {
			t.Errorf("%q is read as %s, want %s", row.line, got, row.want)
		}
	}
}

// plainly is a sample in the words of Prometheus' library.
func plainly(s *Sample) string {
	b := labels.NewScratchBuilder(0)
	if len(s.Name) > 0 {
		b.Add("__name__", string(s.Name))
	}
	for _, l := range s.Labels {
		if len(l.Value) == 0 {
			continue // an empty label is no label
		}
		b.Add(string(l.Name), string(l.Value))
	}
	b.Sort()
	return b.Labels().String() + " " + fmt.Sprint(s.Value)
}

// FuzzSample holds one line against Prometheus' library, which is used line by line: what one takes for a sample the other
// does too, and reads it alike.
func FuzzSample(f *testing.F) {
	for _, line := range []string{
		"up 1", " \tup\t 1  1700000000000 ", `a { b = "c" , d="e"}1e3`, `{"a b",c="d\"\\\n\t"} 2`, `a{"b c"="d"} 2`,
		`a{b="c"} 2 1.5e9 # {trace_id="x"} 0.5 1.5e9`, `a{b="c"d="e"} 1`, `a{} -5`, `vllm:time_to_first_token_seconds_bucket{engine="0",le="+Inf",model_name="a/b-7B"} 12.0`, `a{b="c"} NaN 17`, `a 1 # {} 1`,
	} {
		f.Add([]byte(line), false)
		f.Add([]byte(line), true)
	}
	f.Fuzz(func(t *testing.T, line []byte, openMetrics bool) {
		if len(line) == 0 || line[0] == '#' || bytes.ContainsAny(line, "\n\x00") {
			return // the reader hands no such line on, and the library ends at a zero byte
		}
		original := bytes.Clone(line)
		var s Sample
		ours := s.Parse(line, openMetrics)
		if !bytes.Equal(line, original) {
			t.Fatal("the line was written to")
		}
		all, err := referenceSamples(original, openMetrics)
		if theirs := err == nil && len(all) == 1; ours != theirs {
			if err == nil && len(all) == 0 && !ours {
				return // blanks, which make no sample and no error in text
			}
			t.Fatalf("%q: we take it for a sample: %t; the library: %t (%v)", line, ours, theirs, err)
		}
		if !ours || repeated(&s) {
			return // of a label that is there twice, the library may mean either
		}
		l := all[0].labels
		if want := l.WithoutEmpty().String() + " " + fmt.Sprint(all[0].value); plainly(&s) != want {
			t.Errorf("%q is read as %s, the library says %s", line, plainly(&s), want)
		}
		if !bytes.Contains(line, s.Series) {
			t.Errorf("the series %q is no part of %q", s.Series, line)
		}
		for _, known := range s.Labels {
			if len(known.Name) == 0 {
				continue // the library's own search passes over a label without a name
			}
			if got := string(s.Get(string(known.Name))); got != l.Get(string(known.Name)) {
				t.Errorf("label %q is %q", known.Name, got)
			}
		}
	})
}

type referenceSample struct {
	labels labels.Labels
	value  float64
}

func referenceSamples(line []byte, openMetrics bool) (all []referenceSample, err error) {
	page := append(bytes.Clone(line), '\n')
	p := textparse.NewPromParser(page, labels.NewSymbolTable(), false)
	if openMetrics {
		p = textparse.NewOpenMetricsParser(append(page, "# EOF\n"...), labels.NewSymbolTable())
	}
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		if entry != textparse.EntrySeries {
			continue
		}
		var s referenceSample
		text, _, v := p.Series()
		s.value = v
		p.Labels(&s.labels)
		// The library takes blanks before a name for a part of it.
		if text = bytes.TrimLeft(text, " \t"); text[0] != '{' {
			s.labels = labels.NewBuilder(s.labels).Set("__name__", strings.TrimLeft(s.labels.Get("__name__"), " \t")).Labels()
		}
		all = append(all, s)
	}
}

func repeated(s *Sample) bool {
	seen := map[string]bool{"__name__": true}
	for _, l := range s.Labels {
		if seen[string(l.Name)] {
			return true
		}
		seen[string(l.Name)] = true
	}
	return false
}
