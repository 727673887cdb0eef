package doctor

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// sample has each verdict, texts of one line and of several, and a word that no line can hold.
var sample = Report{
	title: "gpu-watchdog 1.0: pod1", Verdict: Failed, outlook: "Mend what failed (✗), and ask again. `gpu-watchdog run` may be started meanwhile.",
	Checks: []Finding{
		{Name: "pod", Verdict: OK, Detail: "RunPod pod pod1", section: "This pod"},
		{Name: "watchdog", Verdict: Note, Detail: "none runs here yet, so nothing watches this pod", Remedy: "gpu-watchdog run, beside the server", section: "This pod"},
		{Name: "vllm", Verdict: Failed, Detail: "http://127.0.0.1:8000: /health answers 503: its engine is dead, and no request will be answered any more",
			Remedy: "start the server again; its log says what it died of", section: "What a watchdog sees"},
		{Name: "gpu", Verdict: Warning, Detail: "no NVML library: /a/path/that/is/longer/than/any/line/of/a/narrow/terminal/can/hold/libnvidia-ml.so.1", section: "What a watchdog sees"},
	},
}

func TestTable(t *testing.T) {
	for name, look := range map[string]Look{"wide.txt": {Width: 100}, "narrow.txt": {Width: 10}, "colour.txt": {Width: 80, Color: true}} {
		var b bytes.Buffer
		if err := sample.Table(&b, look); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), b.String()); diff != "" {
			t.Errorf("%s (-want +got; -update writes it anew):\n%s", name, diff)
		}
		if look.Color != strings.Contains(b.String(), "\x1b[") {
			t.Errorf("%s: colours where none were asked for, or none where they were", name)
		}
		for line := range strings.Lines(b.String()) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); !look.Color && n > max(leastWidth, look.Width) && !strings.Contains(line, "/a/path") {
				t.Errorf("%s: a line of %d columns: %q", name, n, line)
			}
		}
	}
	if err := sample.Table(full{}, Look{}); err == nil || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("to a disk that is full: %v", err)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("the disk is full") }
