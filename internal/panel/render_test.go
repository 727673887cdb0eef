package panel

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/gpu-watchdog/gpu-watchdog/internal/serving"
	"github.com/gpu-watchdog/gpu-watchdog/internal/status"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

var update = flag.Bool("update", false, "write the golden files anew")

// served is a status as the server wrote it in its own golden test.
func served(t *testing.T, name string) status.Status {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "web", "testdata", "status_"+name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var s status.Status
	if err := json.Unmarshal(raw, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

func rendered(t *testing.T, s status.Status, o Options) string {
	t.Helper()
	var b strings.Builder
	if err := Render(&b, s, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// stuck is the longest alarm.
const stuck = "for 1h5m0s requests have waited and nothing that the server counts has moved, though GPU or CPU are busy: if it answers nobody, it hangs, and should be restarted; this pod is not stopped for it"

// panels are the states of a pod that a panel must tell apart.
func panels(t *testing.T) map[string]status.Status {
	busy := served(t, "full")
	busy.Activity, busy.Reason = watchdog.Known("busy"), watchdog.Known("requests_in_flight")
	busy.Reasons = []status.Reason{{Code: "requests_in_flight", Detail: "3 running, 0 waiting", Since: busy.Since}}
	busy.Idle, busy.Threshold, busy.StopAt = watchdog.Known(0.0), watchdog.Maybe[float64]{}, status.Time{}
	busy.Warnings, busy.LastStop = nil, nil
	busy.Serving = bySpans()

	warned := served(t, "full")
	warned.Verdict, warned.Reason = watchdog.Known("warn"), watchdog.Known("warning")
	warned.Reasons = []status.Reason{{Code: "warning", Since: watchdog.Known(warned.Now)}}
	warned.Idle, warned.StopAt = watchdog.Known(1900.0), watchdog.Known(warned.Now.Add(80*time.Second))
	warned.DryRun = watchdog.Known(true)
	warned.Serving = nothing()
	warned.Warnings = append(warned.Warnings, stuck)

	unproven := served(t, "full")
	unproven.Verdict, unproven.Reason = watchdog.Known("hold"), watchdog.Known("stop_unproven")
	unproven.Reasons = []status.Reason{{Code: "stop_unproven", Detail: "runpod accepted the stop, and yet this pod runs; next try in 40s", Since: unproven.Since}}
	unproven.Money = status.Money{ColdStart: watchdog.Known(180.0), ColdStartSamples: watchdog.Known(0)}
	unproven.Armed, unproven.Target = watchdog.Known(false), status.Target{Detail: watchdog.Known("STOP is not set, and this is no RunPod pod")}
	unproven.Sources.GPU = []status.GPU{{State: "absent"}}
	unproven.LastStop.Proof = watchdog.Known("unproven")
	unproven.Serving = overloaded()

	return map[string]status.Status{
		"full": served(t, "full"), "before": served(t, "before"), "empty": served(t, "empty"),
		"held": served(t, "held"), "announced": served(t, "announced"), "capped": served(t, "capped"), "broken": served(t, "broken"), "reverted": served(t, "reverted"),
		"busy": busy, "warned": warned, "unproven": unproven,
	}
}

func TestPanelGolden(t *testing.T) {
	for name, s := range panels(t) {
		got := rendered(t, s, Options{Width: 80})
		path := filepath.Join("testdata", name+".txt")
		if *update {
			if err := os.MkdirAll("testdata", 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatalf("%v; write it with: go test ./internal/panel -update", err)
		}
		if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); diff != "" {
			t.Errorf("%s differs (-want +got); where that is right: go test ./internal/panel -update\n%s", path, diff)
		}
	}
}

func TestPanelFits(t *testing.T) {
	for name, s := range panels(t) {
		s.Warnings = append(s.Warnings, strings.Repeat("word ", 60), strings.Repeat("x", 300))
		for _, width := range []int{0, 10, 40, 60, 80, 132} {
			most := width
			if width == 0 {
				most = 80
			}
			for _, line := range strings.Split(rendered(t, s, Options{Width: width}), "\n") {
				if n := utf8.RuneCountInString(line); n > max(most, leastWidth) {
					t.Errorf("%s at %d: a line of %d: %s", name, width, n, line)
				}
			}
		}
	}
}

// Colour adds nothing but colour.
func TestPanelColour(t *testing.T) {
	escapes := regexp.MustCompile("\x1b\\[[0-9]+m")
	for name, s := range panels(t) {
		plain, coloured := rendered(t, s, Options{}), rendered(t, s, Options{Color: true})
		if strings.Contains(plain, "\x1b") || !escapes.MatchString(coloured) {
			t.Errorf("%s: colour where there should be none, or none where there should be", name)
		}
		if diff := cmp.Diff(strings.Split(plain, "\n"), strings.Split(escapes.ReplaceAllString(coloured, ""), "\n")); diff != "" {
			t.Errorf("%s: the coloured text differs:\n%s", name, diff)
		}
	}
}

// What is unknown is said to be unknown: with everything null there is no figure at all behind the names.
func TestPanelSaysUnknown(t *testing.T) {
	s := served(t, "before")
	s.Serving, s.Money.USDPerMillionTokens = serving.Summary{}, watchdog.Maybe[float64]{} // the server's file tells of requests all the same
	got := rendered(t, s, Options{})
	_, below, _ := strings.Cut(got, "activity")
	if digits := regexp.MustCompile(`[0-9]`).FindString(below); digits != "" {
		t.Errorf("a figure comes from nowhere: %q in\n%s", digits, got)
	}
	if n := strings.Count(got, unknown); n < 12 {
		t.Errorf("only %d values are called unknown:\n%s", n, got)
	}
}

// A driver, a provider or a client may call itself anything; a terminal must not obey it.
func TestPanelIsSafeForTerminals(t *testing.T) {
	const evil = "a\x1b]0;owned\x07b\x1b[2Jc\r\n\x9bd\u202eevil\u2066"
	bad := watchdog.Known(evil)
	s := served(t, "full")
	s.Name, s.Version, s.Activity, s.Verdict, s.Reason, s.Policy, s.Wake = bad, evil, bad, bad, bad, bad, bad
	s.Warnings = []string{evil}
	s.Target = status.Target{Kind: bad, ID: bad, Action: bad, Permission: bad, Detail: bad}
	s.Reasons = []status.Reason{{Code: evil, Detail: evil}}
	s.Holds = []status.Hold{{By: bad, Why: bad}}
	s.Money.PriceSource = bad
	s.Serving.Source = bad
	s.Sources.VLLM = []status.Server{{URL: evil, State: evil, Version: bad}}
	s.Sources.GPU = []status.GPU{{UUID: bad, Name: bad, State: evil}}
	s.Sources.Sockets.State, s.Sources.Sockets.LastPeer, s.Sources.Host.State = bad, bad, bad
	s.LastStop = &status.LastStop{Target: bad, Result: bad, Proof: bad, Grade: bad}
	for _, r := range rendered(t, s, Options{}) {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
			t.Errorf("the panel holds %U", r)
		}
	}
	s.Target.Kind, s.Armed = watchdog.Maybe[string]{}, watchdog.Known(false)
	if got := rendered(t, s, Options{}); strings.ContainsAny(got, "\x1b\x07\r\u009b\u202e") {
		t.Errorf("the panel holds control characters: %q", got)
	}
}

type full struct{}

var errFull = errors.New("no space left")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestPanelReportsAWriterThatFails(t *testing.T) {
	if err := Render(full{}, served(t, "full"), Options{}); !errors.Is(err, errFull) {
		t.Errorf("Render: %v", err)
	}
}

func TestWords(t *testing.T) {
	for seconds, want := range map[float64]string{
		0: "0s", 0.4: "0s", 59.4: "59s", 59.6: "1m", 61: "1m 1s", 3600: "1h", 3660: "1h 1m", 3601: "1h", 90000: "1d 1h", -5: "0s", 1e300: "104166d 16h",
	} {
		if got := span(seconds); got != want {
			t.Errorf("%v seconds are %q, want %q", seconds, got, want)
		}
	}
}
