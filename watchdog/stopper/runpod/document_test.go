package runpod

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/runpod/internal/conformity"
)

// TestFieldsThatAreReadAreInTheDocument: a field misspelt in v2Pod would be unknown for ever, and nothing else would
// notice.
func TestFieldsThatAreReadAreInTheDocument(t *testing.T) {
	document, err := conformity.Load()
	if err != nil {
		t.Fatal(err)
	}
	types := map[reflect.Type]string{
		reflect.TypeFor[loosely[string]](): "string",
		reflect.TypeFor[loosely[bool]]():   "boolean",
		reflect.TypeFor[price]():           "number",
		reflect.TypeFor[mounts]():          "object",
	}
	pod := reflect.TypeFor[v2Pod]()
	for field := range pod.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		want := types[field.Type]
		if want == "" {
			t.Errorf("%s is of a type that this test does not know", field.Name)
		}
		if got := document.PodProperty(name); !slices.Contains(got, want) {
			t.Errorf("field %s reads %q as a %s; the document says %v", field.Name, name, want, got)
		}
	}
	for _, c := range []struct {
		path []string
		is   string
		of   reflect.Type
	}{
		{[]string{"mounts", "persistent"}, "object", reflect.TypeFor[mountsForm]().Field(0).Type.Elem()},
		{[]string{"mounts", "network"}, "array", reflect.TypeFor[mountsForm]().Field(1).Type.Elem()},
	} {
		if got := document.PodProperty(c.path...); !slices.Equal(got, []string{c.is}) {
			t.Errorf("%v is %v by the document, not %s", c.path, got, c.is)
		}
		for field := range c.of.Fields() {
			want := map[reflect.Kind]string{reflect.Float64: "integer", reflect.String: "string"}[field.Type.Kind()]
			if got := document.PodProperty(append(slices.Clone(c.path), field.Tag.Get("json"))...); !slices.Contains(got, want) {
				t.Errorf("field %s of %v is read as a %s; the document says %v", field.Tag.Get("json"), c.path, want, got)
			}
		}
	}
	if got := document.PodProperty("costPerHr"); got != nil {
		t.Errorf("the document is said to have v1's costPerHr: %v", got)
	}
}

// TestTheValidatorStaysOutOfTheProgram: only tests may import it.
func TestTheValidatorStaysOutOfTheProgram(t *testing.T) {
	const validator, wrapper = "github.com/getkin/kin-openapi", "/internal/conformity"
	looked := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		looked++
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, source, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, i := range file.Imports {
			name := strings.Trim(i.Path.Value, `"`)
			if strings.HasPrefix(name, validator) && filepath.Base(filepath.Dir(path)) != "conformity" || strings.HasSuffix(name, wrapper) {
				t.Errorf("%s imports %s, which is for tests only", path, name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if looked < 10 {
		t.Errorf("only %d files were looked at", looked)
	}
}
