package command

import (
	"bytes"
	"strings"
	"testing"
)

func TestTailKeepsTheEnd(t *testing.T) {
	for _, size := range []int{1, 7, 1000, maxTail - 1, maxTail, maxTail + 1, 3 * maxTail} {
		var all []byte
		var kept tail
		for i := 0; len(all) < 3*maxTail; i++ {
			block := bytes.Repeat([]byte{byte('a' + i%26)}, size)
			if n, err := kept.Write(block); n != size || err != nil {
				t.Fatalf("wrote %d of %d, error %v: the program would block or die", n, size, err)
			}
			all = append(all, block...)
		}
		if want := all[len(all)-maxTail:]; !bytes.Equal(kept.kept, want) || !kept.lost {
			t.Errorf("in blocks of %d another end is kept", size)
		}
		if cap(kept.kept) > 3*maxTail {
			t.Errorf("in blocks of %d there are %d bytes of memory held", size, cap(kept.kept))
		}
	}
}

func TestLastLine(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", ""},
		{"\n \n", ""},
		{"a", "a"},
		{"a\nb\n", "b"},
		{"a\r\n b \r\n\r\n", "b"},
		{strings.Repeat("x", maxTail), strings.Repeat("x", maxTail)},
		{strings.Repeat("x", maxTail+1), "(a line too long to be shown)"},
		{strings.Repeat("x", maxTail) + "\nb", "b"},
	} {
		var kept tail
		_, _ = kept.Write([]byte(c.text))
		if got := kept.last(); got != c.want {
			t.Errorf("the last line of %.20q is %.20q, want %.20q", c.text, got, c.want)
		}
	}
}
