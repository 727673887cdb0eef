package house

import (
	"io/fs"
	"maps"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gpu-watchdog/gpu-watchdog/internal/config"
)

// shown are the files that users read or copy from.
func shown(t *testing.T) map[string]string {
	t.Helper()
	files := written(project(t))
	maps.DeleteFunc(files, func(name, _ string) bool {
		return !strings.HasPrefix(name, "deploy/") && path.Ext(name) != ".md" && path.Base(name) != "Dockerfile"
	})
	for _, name := range []string{"README.md", "Dockerfile", "deploy/kubernetes/sidecar.yaml", "deploy/runpod/post_start.sh"} {
		if files[name] == "" {
			t.Errorf("%s is not there", name)
		}
	}
	return files
}

var variable = regexp.MustCompile(`\bWATCHDOG_[A-Z0-9_]*[A-Z0-9]\b`)

// unknownVariables are those that the program would refuse.
func unknownVariables(text string) []string {
	known := map[string]bool{"WATCHDOG_USEC": true, "WATCHDOG_PID": true}
	for _, field := range config.Fields() {
		known[field.Variable] = true
		if field.Secret {
			known[field.Variable+"_FILE"] = true
		}
	}
	return slices.DeleteFunc(variable.FindAllString(text, -1), func(name string) bool { return known[name] })
}

func TestVariablesThatAreShownExist(t *testing.T) {
	if got := unknownVariables("WATCHDOG_PRICE, WATCHDOG_RUNPOD_API_KEY_FILE, WATCHDOG_PRICE_FILE, WATCHDOG_PRIZE"); !slices.Equal(got, []string{"WATCHDOG_PRICE_FILE", "WATCHDOG_PRIZE"}) {
		t.Fatalf("found %q in a text with two wrong names", got)
	}
	for name, text := range shown(t) {
		for _, unknown := range unknownVariables(text) {
			t.Errorf("%s names %s, which gpu-watchdog refuses", name, unknown)
		}
	}
}

// command finds what follows the program's name where it is called: in code, not in prose.
var command = regexp.MustCompile("(?m)(?:^|[`/ ])gpu-watchdog ((?:bench )?[a-z]+)((?: --?[a-z][a-z-]*)*)(?: *(?:`|$| *#))")

func TestCommandsThatAreShownExist(t *testing.T) {
	helps := map[string]string{}
	for _, name := range []string{"run", "exec", "demo", "doctor", "status", "hold", "release", "postpone", "stop", "report", "bench batching", "bench kvcache", "bench coldstart", "env", "version"} {
		out, err := exec.Command(binary(t), append(strings.Fields(name), "--help")...).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "gpu-watchdog "+name) {
			t.Fatalf("gpu-watchdog %s --help: %v\n%s", name, err, out)
		}
		helps[name] = string(out)
	}
	calls := 0
	for name, text := range shown(t) {
		for _, call := range command.FindAllStringSubmatch(text, -1) {
			calls++
			help, ok := helps[call[1]]
			if !ok {
				t.Errorf("%s shows %q: there is no such command", name, strings.TrimSpace(call[0]))
				continue
			}
			for _, flag := range strings.Fields(call[2]) {
				if !strings.Contains(help, flag) {
					t.Errorf("%s shows %q: the command has no %s", name, strings.TrimSpace(call[0]), flag)
				}
			}
		}
	}
	if calls < 5 {
		t.Errorf("found %d calls of gpu-watchdog in what users read: the pattern no longer finds them", calls)
	}
}

// link is a relative link of Markdown.
var link = regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)

func TestLinksLeadSomewhere(t *testing.T) {
	tree := project(t)
	for name, text := range shown(t) {
		if path.Ext(name) != ".md" {
			continue
		}
		for _, found := range link.FindAllStringSubmatch(text, -1) {
			if _, err := fs.Stat(tree, path.Join(path.Dir(name), found[1])); err != nil {
				t.Errorf("%s links to %s: %v", name, found[1], err)
			}
		}
	}
}

func TestReadmeHasTheTwoCommands(t *testing.T) {
	readme := shown(t)["README.md"]
	for _, command := range []string{"go run ./cmd/gpu-watchdog demo", "go test ./..."} {
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(command) + `( +#.*)?$`).MatchString(readme) {
			t.Errorf("README.md does not show %q at the beginning of a line", command)
		}
	}
}
