package nvml

import (
	"slices"
	"strings"
	"testing"
)

func TestParseSelection(t *testing.T) {
	for _, c := range []struct {
		text string
		want string // as String has it
		err  string // a part of the error
	}{
		{"all", "all", ""},
		{" ALL ", "all", ""},
		{"none", "none", ""},
		{"0", "0", ""},
		{"3, 01 ,0", "3,1,0", ""},
		{"GPU-5ebe9f43-aaaa-bbbb-cccc-0123456789ab,2", "GPU-5ebe9f43-aaaa-bbbb-cccc-0123456789ab,2", ""},
		{"MIG-GPU-5ebe9f43-aaaa-bbbb-cccc-0123456789ab/1/0", "MIG-GPU-5ebe9f43-aaaa-bbbb-cccc-0123456789ab/1/0", ""},
		{"", "", "no GPU is named"},
		{"0,", "", "empty"},
		{"0,0", "", "GPU 0 is named twice"},
		{"1,01", "", "GPU 1 is named twice"},
		{"GPU-ab,gpu-AB", "", "named twice"},
		{"0,all", "", `"all" cannot be part of a list`},
		{"gpu0", "", `"gpu0" is neither an index (0, 1, …) nor a UUID`},
		{"-1", "", "neither"},
		{"256", "", "neither"},
		{"GPU-" + strings.Repeat("a", 89), "", "neither"},
		{strings.Repeat("0,", 64), "", "65 GPUs are named"},
	} {
		s, err := ParseSelection(c.text)
		if c.err == "" && (err != nil || s.String() != c.want) {
			t.Errorf("%q: have %q, %v; want %q", c.text, s, err, c.want)
		}
		if c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%q: have the error %v, want %q in it", c.text, err, c.err)
		}
	}
}

func TestSelectionKinds(t *testing.T) {
	var zero Selection
	if !zero.All() || zero.None() || zero.Names() != nil {
		t.Error("the zero selection is not all")
	}
	if none := SelectNone(); none.All() || !none.None() {
		t.Error("none is not none")
	}
	var s Selection
	if err := s.UnmarshalText([]byte("1,GPU-a")); err != nil || s.All() || s.None() || !slices.Equal(s.Names(), []string{"1", "GPU-a"}) {
		t.Errorf("have %v, %v", s.Names(), err)
	}
	if err := s.UnmarshalText([]byte("what")); err == nil || s.String() != "1,GPU-a" {
		t.Errorf("a mistake changed the selection to %v", s)
	}
	if text, err := s.MarshalText(); err != nil || string(text) != "1,GPU-a" {
		t.Errorf("have %q, %v", text, err)
	}
}

func FuzzParseSelection(f *testing.F) {
	for _, seed := range []string{"all", "none", "0,1", " GPU-5ebe9f43 , 2", "MIG-GPU-a/1/0", ",,", "0,00", "\x00", strings.Repeat("9,", 99)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSelection(text)
		if err != nil {
			if len(err.Error()) > 1000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		if s.All() && s.None() || len(s.names) > maxNames {
			t.Errorf("%q: have %+v", text, s)
		}
		for i, name := range s.names {
			if strings.TrimSpace(name) == "" || len(name) > 100 || slices.ContainsFunc(s.names[:i], func(n string) bool { return strings.EqualFold(n, name) }) {
				t.Errorf("%q: a bad name %q", text, name)
			}
		}
		again, err := ParseSelection(s.String())
		if err != nil || again.String() != s.String() || again.None() != s.None() || !slices.Equal(again.names, s.names) {
			t.Errorf("%q: %q reads as %q, %v", text, s, again, err)
		}
	})
}
