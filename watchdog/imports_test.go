package watchdog

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// allowed is all that the pure rooms may import. time is there for its types; clockCalls holds them to that.
var allowed = map[string]bool{
	"encoding/json": true, "fmt": true, "math": true, "slices": true, "strings": true, "time": true,
	"github.com/gpu-watchdog/gpu-watchdog/watchdog": true,
}

var clockCalls = []string{"time.Now", "time.Since", "time.Until", "time.Sleep", "time.After", "time.NewTimer", "time.NewTicker", "time.Tick", "time.Local"}

func TestPureRoomsImportNothingThatActs(t *testing.T) {
	for _, room := range []string{".", "../costmodel"} {
		files, err := filepath.Glob(filepath.Join(room, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no Go files in %s: %v", room, err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ImportsOnly)
			if err != nil {
				t.Fatal(err)
			}
			for _, imp := range file.Imports {
				if path := strings.Trim(imp.Path.Value, `"`); !allowed[path] {
					t.Errorf("%s imports %s: the pure rooms take time and readings as data", name, path)
				}
			}
			for _, call := range clockCalls {
				if strings.Contains(string(text), call) {
					t.Errorf("%s uses %s: the pure rooms never ask a clock", name, call)
				}
			}
		}
	}
}
