package memory

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestPeekSeesWhatOpenWouldAndLeavesIt(t *testing.T) {
	folder := t.TempDir()
	dir, temp := filepath.Join(folder, "kept"), filepath.Join(folder, "temp")
	file := filepath.Join(folder, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	// Nothing is there, and nothing is made.
	s := Peek(dir, "pod", temp, now)
	if s.Dir != filepath.Join(dir, "pod") || s.Refused != nil || s.Found || s.FreeBytes == 0 {
		t.Errorf("of an empty disk: %+v", s)
	}
	if s := Peek(file, "pod", temp, now); s.Dir != filepath.Join(temp, "gpu-watchdog", "pod") || s.Refused == nil || s.Persistent {
		t.Errorf("with a file in the way: %+v", s)
	}
	if s := Peek(file, "pod", file, now); s.Dir != "" || s.Refused == nil {
		t.Errorf("with files in both ways: %+v", s)
	}
	if entries, err := os.ReadDir(folder); err != nil || len(entries) != 1 {
		t.Errorf("peeking left %v (%v)", entries, err)
	}
	// It agrees with Choose on where.
	if c := Choose(dir, "pod", temp); c.Dir != s.Dir || c.Persistent != s.Persistent {
		t.Errorf("Choose took %+v, Peek saw %+v", c, s.Place)
	}
	path := filepath.Join(s.Dir, fileName)
	whole, err := Encode(Contents{Name: "pod"})
	if err != nil {
		t.Fatal(err)
	}
	for text, readable := range map[string]bool{string(whole): true, "{half a memo": false, "": false} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, now.Add(-time.Hour), now.Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
		s := Peek(dir, "pod", temp, now)
		if !s.Found || (s.Unreadable == nil) != readable || s.WrittenAgo.Round(time.Second) != time.Hour {
			t.Errorf("of %q: %+v", text, s)
		}
		if readable && s.Contents.Name != "pod" {
			t.Errorf("it read %+v", s.Contents)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != text {
			t.Errorf("peeking made %q (%v) of %q", b, err, text)
		}
	}
	must(t, os.Remove(path))
	must(t, os.Mkdir(path, 0o700))
	if s := Peek(dir, "pod", temp, now); !s.Found || s.Unreadable == nil {
		t.Errorf("of a folder: %+v", s)
	}
}

func TestPeekAsksTheKernelForLeave(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may write everywhere")
	}
	folder := t.TempDir()
	must(t, os.Chmod(folder, 0o500))
	if s := Peek(folder, "pod", filepath.Join(folder, "temp"), time.Now()); s.Dir != "" || !errors.Is(s.Refused, os.ErrPermission) {
		t.Errorf("without leave: %+v", s)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
