package program

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// sources are looked at once, within the first test.
var sources sync.Once

// readSources looks at every source of the program, by which go test learns that a result is out of date once the program
// has changed: it does not see by itself that the test builds one. Whatever cannot be looked at shows in the build.
func readSources() {
	root, err := os.Getwd()
	if err != nil {
		return
	}
	for {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			break
		}
		if root == filepath.Dir(root) {
			return
		}
		root = filepath.Dir(root)
	}
	_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil
		}
		name := d.Name()
		switch {
		case d.IsDir() && path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "test"):
			return filepath.SkipDir
		case strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") || name == "go.mod":
			_, _ = os.Stat(path)
		}
		return nil
	})
}
