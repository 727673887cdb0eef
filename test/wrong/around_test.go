package wrong

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gpu-watchdog/gpu-watchdog/test/nonsense"
	"github.com/gpu-watchdog/gpu-watchdog/test/program"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/runpod/runpodtest"
)

// TestListenTaken: the pages are not worth the watch.
func TestListenTaken(t *testing.T) {
	t.Parallel()
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	s := newServer(t, false, nonsense.HTML)
	p := start(t, "WATCHDOG_VLLM_URLS="+s.URL, "WATCHDOG_LISTEN="+other.Addr().String())
	p.Says("not listening", other.Addr().String(), "is taken by another program", "set WATCHDOG_LISTEN to a free address", "the watch goes on")
	p.Says("decision", "requests_in_flight")
	p.unharmed()
	s.turned.Store(true)
	p.Says("decision", "source_failed") // it still looks
	p.once("not listening")
}

// everyCall is a RunPod that answers everything in one way.
func (p *pod) everyCall(f runpodtest.Fault) {
	f.Forever = true
	for _, call := range []runpodtest.Call{runpodtest.V2Read, runpodtest.V2Action, runpodtest.GraphQLRead, runpodtest.GraphQLStop} {
		p.provider.Inject(call, f)
	}
}

// badProviders are RunPods that nobody understands.
var badProviders = []struct {
	name  string
	fault runpodtest.Fault
	// asked are words of what is said when RunPod is asked about the pod, refused of what is said when it is to be stopped.
	asked, refused string
	// bare: a 200 without anything that objects. It may be the last that is heard of a stop, so it counts as a yes, whose
	// proof is waited for.
	bare bool
}{
	{"HTML", runpodtest.HTML(http.StatusOK, "pod stopped"), "HTML", `not RunPod's API: an HTML page ("pod stopped")`, false},
	{"500", runpodtest.Problem(http.StatusInternalServerError, "pod stopped, accepted"), "500", "HTTP 500", false},
	{"cut off", runpodtest.Fault{Drop: true}, "EOF", "EOF", false},
	{"empty", runpodtest.Fault{Status: http.StatusOK}, "RunPod", "", true},
	{"noise", runpodtest.Fault{Status: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: "\x00\x01{{{"}, "RunPod", "", true},
}

// TestProviderThatCannotBeAsked: nothing is known of the pod, which is said; the watch goes on.
func TestProviderThatCannotBeAsked(t *testing.T) {
	t.Parallel()
	for _, c := range badProviders {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := prepare(t)
			p.everyCall(c.fault)
			p.begin("WATCHDOG_VLLM_URLS=" + working(t))
			p.Says("pod not read from provider", "RunPod could not be asked about this pod", c.asked)
			s := p.state("hold", "busy", "requests_in_flight")
			if s.Target.Permission != "unproven" || s.Target.Detail == "" {
				t.Errorf("/status says of the target: %+v", s.Target)
			}
			p.unharmed()
			p.once("pod not read from provider")
		})
	}
}

// TestProviderWhoseAnswerIsNoYes: a stop that is due is asked for, and no nonsense is taken for acceptance.
func TestProviderWhoseAnswerIsNoYes(t *testing.T) {
	t.Parallel()
	for _, c := range badProviders {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := prepare(t)
			p.everyCall(c.fault)
			s := newServer(t, false, nonsense.HTML)
			s.idle.Store(true)
			p.begin("WATCHDOG_VLLM_URLS=" + s.URL)
			if c.bare {
				p.state("hold", "quiet", "stop_unproven")
				p.Says("stop attempt", "without the pod in the answer")
				p.armed(http.StatusOK)
			} else {
				p.state("hold", "quiet", "stop_backoff")
				p.Says("alarm", "this pod should be stopped, and runpod refuses", "v2_action", "graphql", c.refused)
				p.armed(http.StatusServiceUnavailable, "stop_backoff")
			}
			if !p.Lives() || p.provider.Stops() != 0 || p.provider.Status() != runpodtest.Running {
				t.Errorf("lives: %t; %d stops; the pod is %s", p.Lives(), p.provider.Stops(), p.provider.Status())
			}
			yes := p.Find(func(l program.Line) bool { return l.Msg() == "stop attempt" && l.Text("result") == "accepted" })
			if !c.bare && len(yes) > 0 {
				t.Errorf("taken for a yes: %v", yes)
			}
		})
	}
}

// TestProviderThatHangs: neither the start nor the looks wait for it.
func TestProviderThatHangs(t *testing.T) {
	t.Parallel()
	p := prepare(t)
	p.everyCall(runpodtest.Fault{Hang: true})
	s := newServer(t, false, nonsense.HTML)
	s.idle.Store(true)
	p.begin("WATCHDOG_VLLM_URLS=" + s.URL)
	p.state("hold", "quiet", "stop_unproven") // it is being asked
	s.idle.Store(false)
	p.state("hold", "busy", "requests_in_flight") // and meanwhile looked
	if !p.Lives() {
		t.Errorf("the program ended with %d", p.ExitCode())
	}
}

// TestBadLibrary: without NVML the GPU is absent, whatever lies in its place.
func TestBadLibrary(t *testing.T) {
	t.Parallel()
	garbage := filepath.Join(t.TempDir(), "garbage.so")
	noise := make([]byte, 4096)
	_, _ = rand.Read(noise) // never fails
	if err := os.WriteFile(garbage, noise, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, library, says, remedy string }{
		{"missing", filepath.Join(t.TempDir(), "libnvidia-ml.so.1"), "No such file", "give the container the NVIDIA runtime"},
		{"garbage", garbage, garbage, "give the container the NVIDIA runtime"},
		{"a folder", t.TempDir(), "no NVML library", "give the container the NVIDIA runtime"},
		{"another library", "libc.so.6", "is not a usable NVML library: it lacks nvmlInit", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := start(t, "WATCHDOG_VLLM_URLS="+working(t), "WATCHDOG_GPUS=all", "WATCHDOG_NVML_LIBRARY="+c.library)
			p.Says("gpu source absent", c.library, c.says, c.remedy)
			s := p.state("hold", "busy", "requests_in_flight")
			if len(s.Sources.GPU) != 1 || s.Sources.GPU[0].State != "absent" {
				t.Errorf("/status says of the GPU: %+v", s.Sources.GPU)
			}
			p.unharmed()
			p.once("gpu source absent")
		})
	}
}

// TestMistakenSettings: all of them in one message, and nothing was done.
func TestMistakenSettings(t *testing.T) {
	t.Parallel()
	p := start(t,
		"WATCHDOG_CHECK_INTERVAL=5", "WATCHDOG_VLLM_URLS=127.0.0.1:8000", "WATCHDOG_PRICE=much", "WATCHDOG_LOG_LEVEL=loud",
		"WATCHDOG_COLD_STRAT=3m", "WATCHDOG_IDLE_LIMIT=-1m", "WATCHDOG_RUNPOD_API_URL=http://api.runpod.io/v2?api_key=very-secret",
		"WATCHDOG_GPUS=0,0", "WATCHDOG_START_ID_FILE=start-id", "WATCHDOG_WAKE=auto")
	if code := p.Wait(soon); code != 2 {
		t.Errorf("it ended with %d, not 2", code)
	}
	var said strings.Builder
	for _, l := range p.Lines() {
		said.WriteString(l.Text("text") + "\n")
	}
	text := said.String()
	for _, want := range []string{
		"10 mistakes in the configuration:",
		`WATCHDOG_CHECK_INTERVAL="5"`, "did you mean 5s?",
		`WATCHDOG_VLLM_URLS="127.0.0.1:8000"`, "did you mean http://127.0.0.1:8000?",
		`WATCHDOG_PRICE="much"`, "US dollars per hour",
		`WATCHDOG_LOG_LEVEL="loud"`, "debug, info, warn, error",
		"WATCHDOG_COLD_STRAT", "did you mean WATCHDOG_COLD_START?",
		`WATCHDOG_IDLE_LIMIT="-1m"`, "WATCHDOG_RUNPOD_API_URL", `WATCHDOG_GPUS="0`, `WATCHDOG_START_ID_FILE="start-id"`, "begin it with a slash",
		"WATCHDOG_WAKE",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the message lacks %q", want)
		}
	}
	if strings.Contains(text, "very-secret") {
		t.Error("the message shows a secret")
	}
	if len(p.provider.Requests()) > 0 {
		t.Errorf("RunPod was asked %d times", len(p.provider.Requests()))
	}
	if _, err := os.Stat(filepath.Join(p.dir, "volume")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder was made: %v", err)
	}
	if t.Failed() {
		t.Log(text)
	}
}
