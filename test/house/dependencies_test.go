package house

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	// requirement is a line of go.mod that is not marked as indirect.
	requirement = regexp.MustCompile(`(?m)^(?:require)?\s+(\S+\.\S+/\S+) v\S+$`)
	// tool is a line of go.mod's list of tools.
	tool = regexp.MustCompile(`(?m)^(?:tool)?\s+(\S+\.\S+/\S+)$`)
	// row is the beginning of a table's row about a module.
	row = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|")
)

func TestEveryDependencyIsAccountedFor(t *testing.T) {
	needed := map[string]string{}
	text := read(t, "go.mod")
	for _, found := range requirement.FindAllStringSubmatch(text, -1) {
		needed[found[1]] = "go.mod"
	}
	if needed["github.com/NVIDIA/go-nvml"] == "" || len(needed) < 10 {
		t.Fatalf("read only %v from go.mod", needed)
	}
	for _, found := range tool.FindAllStringSubmatch(read(t, "tools/go.mod"), -1) {
		module, _, _ := strings.Cut(found[1], "/cmd/")
		needed[module] = "tools/go.mod"
	}
	var told []string
	for _, found := range row.FindAllStringSubmatch(read(t, "docs/dependencies.md"), -1) {
		told = append(told, found[1])
		if needed[found[1]] == "" {
			t.Errorf("docs/dependencies.md accounts for %s, which is no direct requirement any more", found[1])
		}
	}
	for _, module := range slices.Sorted(maps.Keys(needed)) {
		if n := len(slices.DeleteFunc(slices.Clone(told), func(name string) bool { return name != module })); n != 1 {
			t.Errorf("%s of %s stands %d times in docs/dependencies.md, not once: say why it was taken, what it costs, what was weighed", module, needed[module], n)
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(root + "/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
