package unarmed

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/test/program"
)

var binary string

func TestMain(m *testing.M) { os.Exit(program.Main(m, &binary)) }

const secret = "PLANTEDq1w2e3r4t5"

// wrong are settings with five mistakes, three of them in secrets.
var wrong = []string{
	"WATCHDOG_CHECK_INTERVAL=5", "WATCHDOG_STOPP=kubernetes",
	"WATCHDOG_RUNPOD_API_KEY=" + secret + " with blanks", "WATCHDOG_NOTIFY_URL=ftp://example.com/" + secret, "WATCHDOG_VLLM_URLS=http://user:" + secret + "@127.0.0.1:8000",
}

// about are the variables that each mistake must be said of.
var about = []string{"WATCHDOG_CHECK_INTERVAL", "WATCHDOG_STOPP", "WATCHDOG_RUNPOD_API_KEY", "WATCHDOG_NOTIFY_URL", "WATCHDOG_VLLM_URLS"}

// tells holds a text to naming every mistake, and no secret.
func tells(t *testing.T, what, text string) {
	t.Helper()
	for _, variable := range about {
		if !strings.Contains(text, variable) {
			t.Errorf("%s does not speak of %s: %s", what, variable, text)
		}
	}
	hides(t, what, text)
}

func hides(t *testing.T, what, text string) {
	t.Helper()
	if strings.Contains(text, secret) {
		t.Errorf("%s shows a secret: %s", what, text)
	}
}

func TestWrongSettingsDoNotEndASidecar(t *testing.T) {
	t.Parallel()
	env := append([]string{"TMPDIR=" + t.TempDir(), "KUBERNETES_SERVICE_HOST=10.0.0.1", "POD_UID=uid-of-this-pod"}, wrong...)
	p := program.Start(t, binary, env...)
	said := p.Await("the mistakes", 10*time.Second, func(l program.Line) bool { return l.Msg() == "configuration refused" })
	if said.Text("level") != "error" {
		t.Errorf("said as %q", said.Text("level"))
	}
	tells(t, "the log", fmt.Sprint(map[string]any(said)))
	for path, want := range map[string]int{
		"/healthz": http.StatusOK, "/readyz": http.StatusOK, "/armedz": http.StatusServiceUnavailable, "/status": http.StatusOK,
		"/metrics": http.StatusOK, "/": http.StatusOK,
	} {
		status, body := p.Get(path)
		if status != want {
			t.Errorf("%s answers %d, want %d: %s", path, status, want, body)
		}
		hides(t, path, body)
		if path == "/armedz" {
			tells(t, path, body)
		}
	}
	s := p.Status()
	if s.Armed || s.Verdict != "hold" || s.Reason != "not_armed" || len(s.Warnings) != len(about) {
		t.Errorf("/status: armed %v, %s for %s, warnings %q", s.Armed, s.Verdict, s.Reason, s.Warnings)
	}
	// The liveness of a sidecar whose pages are on loopback is this command, within the container and with its settings.
	address := strings.TrimPrefix(p.URL(), "http://")
	cmd := exec.CommandContext(t.Context(), binary, "status")
	cmd.Env = append(env, "WATCHDOG_LISTEN="+address)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("gpu-watchdog status: %v", err)
	}
	tells(t, "gpu-watchdog status", string(out))
	if !p.Lives() {
		t.Fatal("it ended")
	}
	if code := p.Terminate(5 * time.Second); code != 0 {
		t.Errorf("told to end, it ended with %d", code)
	}
	for _, l := range p.Lines() {
		hides(t, "the log", fmt.Sprint(map[string]any(l)))
	}
}

func TestAWrongAddressIsNotServed(t *testing.T) {
	t.Parallel()
	// The default's port may be another program's here; that it is tried is what counts.
	p := program.Start(t, binary, "KUBERNETES_SERVICE_HOST=10.0.0.1", "WATCHDOG_LISTEN=9877")
	l := p.Await("where it listens, or cannot", 10*time.Second, func(l program.Line) bool { return strings.HasSuffix(l.Msg(), "listening") })
	if !strings.HasSuffix(l.Text("address"), ":9877") {
		t.Errorf("it listens at %q", l.Text("address"))
	}
	if code := p.Terminate(5 * time.Second); code != 0 {
		t.Errorf("told to end, it ended with %d", code)
	}
}

func TestElsewhereWrongSettingsEndIt(t *testing.T) {
	t.Parallel()
	began := time.Now()
	p := program.Start(t, binary, wrong...)
	if code := p.Wait(10 * time.Second); code != 2 {
		t.Errorf("exit code %d after %s, want 2", code, time.Since(began))
	}
	var log []string
	for _, l := range p.Lines() {
		log = append(log, l.Text("text"))
	}
	tells(t, "the log", strings.Join(log, "\n"))
}
