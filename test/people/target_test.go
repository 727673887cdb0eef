package people

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/gpu-watchdog/gpu-watchdog/test/program"
)

// idles lets the pod be stopped after three quiet looks.
const idles = "WATCHDOG_IDLE_LIMIT=600ms"

// script is a program of the user's that notes what it was told, and ends with that exit status.
func script(t *testing.T, status string) (command, note string) {
	t.Helper()
	dir := t.TempDir()
	command, note = filepath.Join(dir, "stop.sh"), filepath.Join(dir, "note")
	text := "#!/bin/sh\nenv | grep -E '^(GPU_WATCHDOG|WATCHDOG|RUNPOD)_' | sort > " + note + ".new\nmv " + note + ".new " + note + "\necho asked the cloud of \"$1\"\nexit " + status + "\n"
	syscall.ForkLock.RLock() // what another test starts meanwhile would hold it open for writing for a moment, and nobody could run it
	err := os.WriteFile(command, []byte(text), 0o755)
	syscall.ForkLock.RUnlock()
	if err != nil {
		t.Fatal(err)
	}
	return command, note
}

func read(path string) string {
	b, _ := os.ReadFile(path) // one that is not there says nothing
	return string(b)
}

// hook is a program of the user's that takes requests to stop the pod.
type hook struct {
	*httptest.Server
	mu     sync.Mutex
	bodies [][]byte
	signed []string
}

func newHook(t *testing.T, status int) *hook {
	t.Helper()
	h := &hook{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // half a body fails the test by its signature
		h.mu.Lock()
		h.bodies, h.signed = append(h.bodies, body), append(h.signed, r.Header.Get("X-Gpu-Watchdog-Signature"))
		h.mu.Unlock()
		w.WriteHeader(status)
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hook) asked() ([][]byte, []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.bodies, h.signed
}

// stopped waits until the last stop has that result, and returns what /status says.
func (p *pod) stopped(result string) (target, detail string) {
	p.t.Helper()
	p.until("the last stop is "+result, func() bool {
		s := p.Status()
		target, detail = s.LastStop.Target, s.LastStop.Detail
		return s.LastStop.Result == result
	})
	return target, detail
}

func TestAWebhookStopsThePod(t *testing.T) {
	t.Parallel()
	h := newHook(t, http.StatusAccepted)
	p := start(t, idles, "WATCHDOG_STOP=webhook", "WATCHDOG_STOP_URL="+h.URL+"/stop?token=planted-token", "WATCHDOG_WEBHOOK_SECRET=planted-signing-key")
	if s := p.Status(); !s.Armed || s.Target.Kind != "webhook" || strings.Contains(s.Target.ID, "planted") {
		t.Errorf("armed %v at %s %q", s.Armed, s.Target.Kind, s.Target.ID)
	}
	p.stopped("accepted")
	bodies, signed := h.asked()
	if len(bodies) == 0 {
		t.Fatal("the hook was not asked")
	}
	mac := hmac.New(sha256.New, []byte("planted-signing-key"))
	mac.Write(bodies[0])
	if want := "sha256=" + hex.EncodeToString(mac.Sum(nil)); signed[0] != want {
		t.Errorf("signed %q, want %q", signed[0], want)
	}
	var asked map[string]any
	if err := json.Unmarshal(bodies[0], &asked); err != nil || asked["reason"] != "threshold_reached" || asked["action"] != "stop" || asked["name"] != "pod" {
		t.Errorf("asked %s (%v)", bodies[0], err)
	}
	if strings.Contains(p.String(), "planted") {
		t.Error("the log holds a planted secret")
	}
}

func TestAPersonsStopThroughAWebhookSaysSo(t *testing.T) {
	t.Parallel()
	h := newHook(t, http.StatusOK)
	p := start(t, "WATCHDOG_STOP=webhook", "WATCHDOG_STOP_URL="+h.URL)
	p.order("stop", "--rehearse").expect(t, "rehearsal", 0, "can be reached")
	if bodies, _ := h.asked(); len(bodies) != 0 {
		t.Errorf("a rehearsal asked %s", bodies)
	}
	p.order("stop").expect(t, "stop", 0, "webhook: ")
	if bodies, _ := h.asked(); len(bodies) != 1 || !strings.Contains(string(bodies[0]), `"asked_for"`) {
		t.Errorf("asked %s, want once, as asked for", bodies)
	}
}

func TestACommandStopsThePod(t *testing.T) {
	t.Parallel()
	command, note := script(t, "0")
	p := start(t, idles, "WATCHDOG_STOP=command", "WATCHDOG_STOP_COMMAND="+command+" planted-argument", "RUNPOD_API_KEY=rpa_planted_key")
	target, detail := p.stopped("accepted")
	told := read(note)
	for _, fact := range []string{"GPU_WATCHDOG_ACTION=stop", "GPU_WATCHDOG_NAME=pod", "GPU_WATCHDOG_REASON=threshold_reached"} {
		if !strings.Contains(told, fact+"\n") {
			t.Errorf("the command was told %q, want %s", told, fact)
		}
	}
	if strings.Contains(told, "rpa_planted_key") || strings.Contains(told, "\nWATCHDOG_") || target != "command" {
		t.Errorf("the command of target %s sees our settings: %q", target, told)
	}
	if strings.Contains(p.String()+detail, "planted-argument") {
		t.Error("the log or /status holds an argument")
	}
}

func TestTheNextMeansIsTriedWhereOneRefuses(t *testing.T) {
	t.Parallel()
	h := newHook(t, http.StatusForbidden)
	command, note := script(t, "0")
	p := start(t, idles, "WATCHDOG_STOP=webhook,command", "WATCHDOG_STOP_URL="+h.URL, "WATCHDOG_STOP_COMMAND="+command)
	p.stopped("accepted")
	if bodies, _ := h.asked(); len(bodies) != 1 || read(note) == "" {
		t.Errorf("the hook was asked %d times, the command told %q; want the hook first and then the command", len(bodies), read(note))
	}
}

func TestEveryMeansRefuses(t *testing.T) {
	t.Parallel()
	command, note := script(t, "3")
	p := start(t, idles, "WATCHDOG_STOP=command", "WATCHDOG_STOP_COMMAND="+command)
	p.stopped("refused")
	p.until("the alarm stands", func() bool { return strings.Contains(strings.Join(p.Status().Warnings, "\n"), "command refuses") })
	if !p.Lives() || read(note) == "" {
		t.Error("the watchdog ended, or never ran the command")
	}
}

func TestOneMeansCannotBeUsed(t *testing.T) {
	t.Parallel()
	command, note := script(t, "0")
	p := start(t, idles, "WATCHDOG_STOP=kubernetes,command", "WATCHDOG_STOP_COMMAND="+command)
	s := p.Status()
	if !s.Armed || s.Target.Kind != "command" || !strings.Contains(strings.Join(s.Warnings, "\n"), "KUBERNETES_SERVICE_HOST") {
		t.Errorf("armed %v by %s with warnings %q; want the command, and a warning of the other", s.Armed, s.Target.Kind, s.Warnings)
	}
	if code, body := p.Get("/armedz"); code != http.StatusOK {
		t.Errorf("/armedz: %d %s", code, body)
	}
	p.order("stop", "--rehearse").expect(t, "rehearsal", 0, "kubernetes: would not stop it", "command: ")
	p.stopped("accepted")
	if read(note) == "" {
		t.Error("the command was not run")
	}
	if out := p.Find(func(l program.Line) bool { return l.Msg() == "readiness changed" }); len(out) != 0 {
		t.Errorf("taken out of a service that it is not known to be in: %v", out)
	}
}

func TestNoMeansCanBeUsed(t *testing.T) {
	t.Parallel()
	p := start(t, idles, "WATCHDOG_STOP=kubernetes,command", "WATCHDOG_STOP_COMMAND=/nowhere/stop.sh")
	p.until("it is decided", func() bool { return p.Status().Reason == "not_armed" })
	s := p.Status()
	if s.Armed || !strings.Contains(s.Target.Detail, "KUBERNETES_SERVICE_HOST") || !strings.Contains(s.Target.Detail, "/nowhere/stop.sh") {
		t.Errorf("armed %v, %q; want both reasons", s.Armed, s.Target.Detail)
	}
	if code, body := p.Get("/armedz"); code != http.StatusServiceUnavailable || !strings.Contains(body, "not_armed") {
		t.Errorf("/armedz: %d %s", code, body)
	}
	p.order("stop").expect(t, "stop", 3, "not_armed")
}

func TestADryRunNeitherAsksNorRuns(t *testing.T) {
	t.Parallel()
	h := newHook(t, http.StatusOK)
	command, note := script(t, "0")
	p := start(t, idles, "WATCHDOG_DRY_RUN=true", "WATCHDOG_STOP=webhook,command", "WATCHDOG_STOP_URL="+h.URL, "WATCHDOG_STOP_COMMAND="+command)
	p.stopped("would_stop")
	p.order("stop").expect(t, "stop", 0, "dry run: nothing was asked")
	if bodies, _ := h.asked(); len(bodies) != 0 || read(note) != "" {
		t.Errorf("a dry run asked %s and ran the command: %q", bodies, read(note))
	}
}
