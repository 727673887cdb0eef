package wrong

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/test/program"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/runpod/runpodtest"
)

const (
	podID  = "wrongpod"
	apiKey = "rpa_key_of_no_account"
	soon   = program.Soon
	// watched is how long nothing may come: the idle limit (three looks at least), the final look, and half as much again.
	watched = 2500 * time.Millisecond
	// limit is the idle limit: any quiet would soon lead to a stop.
	limit = 500 * time.Millisecond
	// mostMemory is what a pod's owner may expect of something so small, whatever it is fed.
	mostMemory = 64 << 20
)

// pod is a RunPod pod on which one thing is wrong.
type pod struct {
	*program.Run
	t        *testing.T
	dir      string
	provider *runpodtest.Server
}

// start runs the program as on a RunPod pod where all is well, but for what env changes. It looks five times a second, and
// would stop the pod soon after half a second of quiet.
func start(t *testing.T, env ...string) *pod {
	t.Helper()
	p := prepare(t)
	p.begin(env...)
	return p
}

// prepare makes the pod; begin runs the program in it.
func prepare(t *testing.T) *pod {
	t.Helper()
	p := &pod{t: t, dir: t.TempDir(), provider: runpodtest.New(runpodtest.Options{PodID: podID, APIKey: apiKey, CostUSDPerHour: 1.5})}
	t.Cleanup(p.provider.Close)
	return p
}

func (p *pod) begin(env ...string) {
	p.t.Helper()
	p.Run = program.Start(p.t, binary, append(p.usual(), env...)...)
}

func (p *pod) usual() []string {
	return []string{
		"RUNPOD_POD_ID=" + podID, "RUNPOD_API_KEY=" + apiKey, "TMPDIR=" + p.dir,
		"WATCHDOG_RUNPOD_API_URL=" + p.provider.URL(), "WATCHDOG_RUNPOD_GRAPHQL_URL=" + p.provider.GraphQLURL(),
		"WATCHDOG_DIR=" + filepath.Join(p.dir, "volume"), "WATCHDOG_START_ID_FILE=" + filepath.Join(p.dir, "disk", "start-id"),
		"WATCHDOG_GPUS=none", "WATCHDOG_CHECK_INTERVAL=200ms", "WATCHDOG_MIN_RUNTIME=0s",
		"WATCHDOG_POLICY=fixed", "WATCHDOG_IDLE_LIMIT=" + limit.String(), "WATCHDOG_WARN_BEFORE=0s",
	}
}

// shows waits until /status holds every one of the words. What exactly was wrong at the first look depends on how busy the
// machine is, and a decision line is written only when the reason changes.
func (p *pod) shows(words ...string) {
	p.t.Helper()
	deadline := time.Now().Add(soon)
	for {
		_, body := p.Get("/status")
		missing := slices.DeleteFunc(slices.Clone(words), func(w string) bool { return strings.Contains(body, w) })
		if len(missing) == 0 {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("/status does not show %q: %s", missing, body)
		}
		pause(50 * time.Millisecond)
	}
}

// once holds a message to coming once only.
func (p *pod) once(msg string, words ...string) {
	p.t.Helper()
	if found := p.Find(func(l program.Line) bool { return l.Msg() == msg && l.Holds(words...) }); len(found) > 1 {
		p.t.Errorf("said %d times: %v", len(found), found[0])
	}
}

// state waits until /status shows this state.
func (p *pod) state(verdict, activity, reason string) program.Status {
	p.t.Helper()
	deadline := time.Now().Add(soon)
	for {
		s := p.Status()
		if s.Verdict == verdict && s.Activity == activity && s.Reason == reason {
			return s
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("the state is %s, %s, %s; not %s, %s, %s", s.Verdict, s.Activity, s.Reason, verdict, activity, reason)
		}
		pause(50 * time.Millisecond)
	}
}

// armed holds /armedz to an answer.
func (p *pod) armed(code int, words ...string) {
	p.t.Helper()
	got, body := p.Get("/armedz")
	if got != code || slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(body, w) }) {
		p.t.Errorf("/armedz answers %d %q; not %d with %q", got, body, code, words)
	}
}

// unharmed lets some time pass and holds the program to what must be true of it whatever happens: it lives, looks, stays
// small, and has asked nobody for a stop.
func (p *pod) unharmed() {
	p.t.Helper()
	pause(watched)
	if !p.Lives() {
		p.t.Fatalf("the program ended with %d", p.ExitCode())
	}
	for _, r := range p.provider.Requests() {
		if r.Call != runpodtest.V2Read && r.Call != runpodtest.GraphQLRead {
			p.t.Errorf("RunPod was asked: %s %s %s", r.Method, r.Path, r.Body)
		}
	}
	peak := p.peak()
	p.t.Logf("its memory was %d MiB at most", peak>>20)
	if peak > mostMemory {
		p.t.Errorf("its memory was as large as %d MiB", peak>>20)
	}
}

// peak is the largest resident size that the program ever had, in bytes; 0 where the system does not tell.
func (p *pod) peak() int {
	page, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		return 0
	}
	_, rest, found := bytes.Cut(page, []byte("VmHWM:"))
	if !found {
		return 0
	}
	kib, err := strconv.Atoi(string(bytes.Fields(rest)[0]))
	if err != nil {
		p.t.Fatal(err)
	}
	return kib << 10
}

func pause(d time.Duration) {
	timer := time.NewTimer(d)
	<-timer.C
}
