package control

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPeekSeesWhatIsInTheWay(t *testing.T) {
	folder := t.TempDir()
	file, dead := filepath.Join(folder, "file"), filepath.Join(folder, "dead")
	written(t, file, "")
	c, err := claimAt(t.Context(), dead)
	must(t, err)
	if wrong, _ := Peek(t.Context(), dead); !strings.Contains(wrong, "is taken by another program") {
		t.Errorf("of a socket on which somebody listens it says %q", wrong)
	}
	must(t, c.Close()) // the file stays
	before, err := os.Lstat(dead)
	must(t, err)
	for path, want := range map[string]string{
		filepath.Join(folder, "new"):         "",
		dead:                                 "",
		file:                                 "there is a file that is no socket",
		folder:                               "there is a folder",
		filepath.Join(folder, "none", "new"): "there is no folder",
		filepath.Join(file, "new"):           "is no folder",
		"relative":                           "is not absolute",
	} {
		wrong, remedy := Peek(t.Context(), path)
		if want == "" && wrong+remedy != "" || !strings.Contains(wrong, want) || want != "" && remedy == "" {
			t.Errorf("%s: %q, %q; want %q", path, wrong, remedy, want)
		}
	}
	if entries, err := os.ReadDir(folder); err != nil || len(entries) != 2 {
		t.Errorf("peeking left %v (%v)", entries, err)
	}
	if after, err := os.Lstat(dead); err != nil || !os.SameFile(before, after) || !before.ModTime().Equal(after.ModTime()) {
		t.Errorf("the dead socket is another now: %v (%v)", after, err)
	}
}
