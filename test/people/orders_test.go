package people

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/runpod/runpodtest"
)

const (
	podID  = "peoplepod"
	apiKey = "rpa_key_of_no_account"
)

// onRunPod is a pod of a simulated RunPod.
func onRunPod(t *testing.T, env ...string) (*pod, *runpodtest.Server) {
	t.Helper()
	provider := runpodtest.New(runpodtest.Options{PodID: podID, APIKey: apiKey, CostUSDPerHour: 1.5})
	t.Cleanup(provider.Close)
	return start(t, append([]string{
		"RUNPOD_POD_ID=" + podID, "RUNPOD_API_KEY=" + apiKey,
		"WATCHDOG_RUNPOD_API_URL=" + provider.URL(), "WATCHDOG_RUNPOD_GRAPHQL_URL=" + provider.GraphQLURL(),
	}, env...)...), provider
}

// expect holds what a command came to to its exit code and to words, which a code of 0 has on its output and all others on the other.
func (s said) expect(t *testing.T, what string, code int, words ...string) {
	t.Helper()
	text, other := s.out, s.errors
	if code != 0 {
		text, other = other, text
	}
	if s.code != code || other != "" {
		t.Errorf("%s: exit code %d with %q and %q, want %d", what, s.code, s.out, s.errors, code)
	}
	for _, word := range words {
		if !strings.Contains(text, word) {
			t.Errorf("%s: said %q, want %q in it", what, text, word)
		}
	}
}

func TestOrdersOfAPerson(t *testing.T) {
	t.Parallel()
	p, provider := onRunPod(t)

	p.order("hold", "2h", "waiting", "for", "the data").expect(t, "hold", 0, "held until ", " by ", ": waiting for the data", "earliest stop: ")
	if s := p.Status(); s.Reason != "hold_lease" || len(s.Holds) != 1 || s.Holds[0].Why != "waiting for the data" {
		t.Errorf("when the order is answered, /status says %s and %+v", s.Reason, s.Holds)
	}
	p.order("stop").expect(t, "stop while held", 3, "hold_lease", "gpu-watchdog release")

	var answer struct {
		Text   string     `json:"text"`
		Until  *time.Time `json:"until"`
		StopAt *time.Time `json:"stop_at"`
		Holds  []struct {
			By  string `json:"by"`
			Why string `json:"why"`
		} `json:"holds"`
	}
	asked := p.order("hold", "90m", "--output", "json")
	asked.expect(t, "hold as JSON", 0)
	if err := json.Unmarshal([]byte(asked.out), &answer); err != nil || answer.Until == nil || time.Until(*answer.Until).Round(time.Minute) != 90*time.Minute || len(answer.Holds) != 2 {
		t.Errorf("hold as JSON: %v, %+v from %s", err, answer, asked.out)
	}

	p.order("release", "--own").expect(t, "release", 0, "released")
	p.order("release").expect(t, "release of nothing", 0, "no hold stood")
	p.order("postpone", "10m").expect(t, "postpone", 0, "no stop before ")
	p.order("stop").expect(t, "stop while put off", 3, "put off until")
	p.order("release").expect(t, "release of a postponement", 0, "released")

	p.order("stop", "--rehearse").expect(t, "rehearsal", 0, "runpod: the key reads pod "+podID, "only a stop proves", "now: hold: below_threshold")
	p.working.Store(true)
	p.until("work is seen", func() bool { return p.Status().Activity == "busy" })
	p.order("stop").expect(t, "stop under work", 3, "the pod is busy", "requests_in_flight")
	if n := provider.Stops(); n != 0 {
		t.Fatalf("RunPod was asked for %d stops", n)
	}
	p.working.Store(false)
	p.until("quiet is seen", func() bool { return p.Status().Activity == "quiet" })
	p.order("stop").expect(t, "stop", 0, "runpod: ", "proof")
	if n := provider.Stops(); n != 1 {
		t.Errorf("RunPod was asked for %d stops, want one", n)
	}
}

func TestOrdersThatCannotBeMeant(t *testing.T) {
	t.Parallel()
	p, _ := onRunPod(t)
	for _, args := range [][]string{
		{"hold"}, {"hold", "30h"}, {"hold", "0s"}, {"hold", "90"}, {"hold", "soon"}, {"postpone"}, {"postpone", "1h", "please"}, {"postpone", "-1h"},
		{"release", "all"}, {"stop", "now"}, {"hold", "1h", "--output", "xml"}, {"stop", "--force"},
	} {
		p.order(args...).expect(t, strings.Join(args, " "), 2, "gpu-watchdog: ")
	}
	if s := p.Status(); s.Reason != "below_threshold" || len(s.Holds) != 0 {
		t.Errorf("what could not be meant changed something: %s, %+v", s.Reason, s.Holds)
	}
}

func TestOrdersWithoutAWatchdog(t *testing.T) {
	t.Parallel()
	socket := filepath.Join(t.TempDir(), "nobody")
	for _, args := range [][]string{{"hold", "1h"}, {"release"}, {"postpone", "1h"}, {"stop"}, {"stop", "--rehearse", "--output", "json"}} {
		order(t, socket, args...).expect(t, strings.Join(args, " "), 4, "gpu-watchdog: ")
	}
}

func TestAStopThatNothingCanCarryOut(t *testing.T) {
	t.Parallel()
	p := start(t)
	p.order("stop").expect(t, "stop", 3, "not_armed", "WATCHDOG_STOP")
	p.order("stop", "--rehearse").expect(t, "rehearsal", 3, "not_armed")
}

func TestAKeyThatMayNotStop(t *testing.T) {
	t.Parallel()
	p, provider := onRunPod(t, "WATCHDOG_RUNPOD_API_KEY=rpa_another_key_of_nobody")
	p.order("stop", "--rehearse").expect(t, "rehearsal", 0, "the key may not read pod", "only a stop can prove")
	p.order("stop").expect(t, "stop", 3, "runpod: ")
	if n := provider.Stops(); n != 0 {
		t.Errorf("RunPod took %d stops by a key that it does not know", n)
	}
	p.stopped("refused")
	if s := p.Status(); s.Reason != "below_threshold" {
		t.Errorf("afterwards: %s, want the watch to go on", s.Reason)
	}
}

func TestAHoldOutlivesTheProgram(t *testing.T) {
	t.Parallel()
	p, _ := onRunPod(t)
	p.order("hold", "2h", "overnight").expect(t, "hold", 0)
	p.Kill() // as soon as the order is answered
	env := []string{
		"RUNPOD_POD_ID=" + podID, "WATCHDOG_DIR=" + filepath.Join(p.dir, "volume"), "WATCHDOG_START_ID_FILE=" + filepath.Join(p.dir, "start-id"),
	}
	next, _ := onRunPod(t, env...)
	next.until("the hold is known again", func() bool { s := next.Status(); return s.Reason == "hold_lease" && s.Holds[0].Why == "overnight" })
}
