package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gpu-watchdog/gpu-watchdog/internal/config"
)

// TestNothingHasDrifted generates everything again and compares it with what lies there.
func TestNothingHasDrifted(t *testing.T) {
	files, err := generate(filepath.Join("..", source))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 2 {
		t.Fatalf("%d files are generated", len(files))
	}
	for path, want := range files {
		got, err := os.ReadFile(filepath.Join("..", path))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s is out of date, run `go generate ./internal/config` (-generated +there):\n%s", path, diff)
		}
	}
}

func TestDocumentHasEveryVariable(t *testing.T) {
	files, err := generate(filepath.Join("..", source))
	if err != nil {
		t.Fatal(err)
	}
	doc := string(files[document])
	for _, f := range config.Fields() {
		if strings.Count(doc, "\n| `"+f.Variable+"` |") != 1 {
			t.Errorf("%s is not in the document exactly once", f.Variable)
		}
	}
	for line := range strings.Lines(doc) {
		if strings.HasPrefix(line, "|") && strings.Count(strings.ReplaceAll(line, `\|`, ""), "|") != 5 {
			t.Errorf("not four cells: %s", line)
		}
	}
}

func TestFieldWithoutCommentIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ code, says string }{
		"no comment": {"package x\ntype Config struct {\n\tA int `env:\"A\"`\n}\n", "field A of Config has no comment"},
		"no Config":  {"package x\n", "it is not declared"},
		"no struct":  {"package x\ntype Config int\n", "it is no struct"},
		"no Go":      {"nonsense", "read the fields of Config"},
	} {
		path := filepath.Join(t.TempDir(), "config.go")
		if err := os.WriteFile(path, []byte(c.code), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := generate(path); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}
