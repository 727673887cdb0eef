package runpod

import (
	"strings"
	"testing"
)

func TestCappedKeepsTheBeginning(t *testing.T) {
	var w capped
	block := []byte(strings.Repeat("x", 1000))
	for range 100 {
		if n, err := w.Write(block); n != len(block) || err != nil {
			t.Fatalf("wrote %d, error %v: the program would block or die", n, err)
		}
	}
	if len(w.kept) != maxOutput || len(w.text(24)) != maxOutput-24 {
		t.Errorf("%d bytes kept, %d of them shown", len(w.kept), len(w.text(24)))
	}
	exact := capped{}
	_, _ = exact.Write(make([]byte, maxOutput))
	if got := exact.text(24); len(got) != maxOutput {
		t.Errorf("nothing was lost, and yet only %d bytes are shown", len(got))
	}
}
