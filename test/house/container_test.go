package house

import (
	"encoding/json"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

func number(t *testing.T, text []byte) int {
	t.Helper()
	n, err := strconv.Atoi(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// ignored says whether a build of the image sees a file, by the few forms that .dockerignore here is written in: "*",
// "!folder", "**/name" and "**/*ending". The last line that matches wins.
func ignored(t *testing.T, lines []string, name string) bool {
	t.Helper()
	out := false
	for _, line := range lines {
		pattern, exception := strings.CutPrefix(line, "!")
		any, anywhere := strings.CutPrefix(pattern, "**/")
		matches := false
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
			continue
		case line == "*":
			matches = true
		case anywhere && strings.Contains(any, "*"):
			matches, _ = path.Match(any, path.Base(name))
		case anywhere:
			matches = strings.Contains("/"+name+"/", "/"+any+"/")
		case !strings.ContainsAny(pattern, "*?[\\"):
			matches = name == pattern || strings.HasPrefix(name, pattern+"/")
		default:
			t.Fatalf(".dockerignore has %q, a form that this test cannot read", line)
		}
		if matches {
			out = !exception
		}
	}
	return out
}

// The build inside the image sees what the build outside of it reads, and little else.
func TestImageIsBuiltFromAllThatTheProgramIsMadeOf(t *testing.T) {
	text, err := os.ReadFile(root + "/.dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	project, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	list := exec.Command("go", "list", "-deps", "-json=Dir,Standard,GoFiles,CgoFiles,CFiles,HFiles,EmbedFiles", "./cmd/gpu-watchdog")
	list.Dir = root
	list.Env = append(os.Environ(), "GOOS=linux", "CGO_ENABLED=1", "GOARCH="+runtime.GOARCH)
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	needed := []string{"go.mod", "go.sum"}
	for decoder := json.NewDecoder(strings.NewReader(string(out))); decoder.More(); {
		var p struct {
			Dir                                           string
			Standard                                      bool
			GoFiles, CgoFiles, CFiles, HFiles, EmbedFiles []string
		}
		if err := decoder.Decode(&p); err != nil {
			t.Fatal(err)
		}
		folder, err := filepath.Rel(project, p.Dir)
		if p.Standard || err != nil || strings.HasPrefix(folder, "..") {
			continue
		}
		for _, names := range [][]string{p.GoFiles, p.CgoFiles, p.CFiles, p.HFiles, p.EmbedFiles} {
			for _, name := range names {
				needed = append(needed, filepath.ToSlash(filepath.Join(folder, name)))
			}
		}
	}
	if len(needed) < 50 {
		t.Errorf("the program is made of %d files only: go list was not read", len(needed))
	}
	for _, name := range needed {
		if ignored(t, lines, name) {
			t.Errorf("%s is part of the program, and .dockerignore keeps it out of the image's build", name)
		}
	}
	for _, name := range []string{".git/config", "README.md", "docs/variables.md", "watchdog/decide_test.go", "collector/vllm/testdata/page.txt"} {
		if !ignored(t, lines, name) {
			t.Errorf("%s changes nothing in the program, and .dockerignore lets it into the image's build", name)
		}
	}
}
