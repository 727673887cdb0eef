package config

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestEveryMistakeInOneMessage(t *testing.T) {
	_, err := Load([]string{
		"WATCHDOG_LOG_LEVEL=loud",
		"WATCHDOG_SECRET_STUFF=" + planted,
		"WATCHDOG_CHECK_INTERVAL=5",
		"WATCHDOG_RUNPOD_API_KEY=" + planted + " x",
		"WATCHDOG_VLLM_URLS=a:1,http://b:2,http://c:0",
		"WATCHDOG_STOP=webhook,command",
		"WATCHDOG_STOP_COMMAND=echo 'a" + planted,
		"WATCHDOG_PORTS=9877,4317,22",
		"WATCHDOG_COLD_STRAT=3m",
		"PATH=/bin",
	}, options())
	want := `11 mistakes in the configuration:
  WATCHDOG_CHECK_INTERVAL="5": a bare number has no unit; did you mean 5s?
  WATCHDOG_VLLM_URLS="a:1": has no scheme; did you mean http://a:1?
  WATCHDOG_VLLM_URLS="http://c:0": has no valid port; a port is a number from 1 to 65535
  WATCHDOG_PORTS="9877": is the watchdog's own port, of WATCHDOG_LISTEN=127.0.0.1:9877: reading the page or /metrics would count as work there and keep the pod awake; take it out
  WATCHDOG_PORTS="4317": is the watchdog's own port, of WATCHDOG_INGEST_LISTEN=127.0.0.1:4317: sending spans and rows would count as work there and keep the pod awake; take it out
  WATCHDOG_STOP="webhook,command": names webhook, and WATCHDOG_STOP_URL, the address that it asks, is not set; set it, or take webhook out of WATCHDOG_STOP
  WATCHDOG_RUNPOD_API_KEY: holds a blank, a control character, a letter beyond ASCII or an unfilled placeholder, which no key does (its value is not shown); copy the key again
  WATCHDOG_STOP_COMMAND: cannot be read: the ' at place 6 is never closed (its value is not shown)
  WATCHDOG_LOG_LEVEL="loud": is not known to this version; write one of debug, info, warn, error
  WATCHDOG_COLD_STRAT: there is no such variable; did you mean WATCHDOG_COLD_START?
  WATCHDOG_SECRET_STUFF: there is no such variable; unset it (gpu-watchdog env lists all)`
	if err == nil {
		t.Fatal("Load accepted it all")
	}
	if diff := cmp.Diff(want, err.Error()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestUnknownVariables(t *testing.T) {
	const none = "there is no such variable; unset it (gpu-watchdog env lists all)"
	for name, want := range map[string]string{
		"WATCHDOG_CHECK_INTERVALL":              "did you mean WATCHDOG_CHECK_INTERVAL?",
		"WATCHDOG_CHEKC_INTERVAL":               "did you mean WATCHDOG_CHECK_INTERVAL?",
		"WATCHDOG_INTERVAL":                     "did you mean WATCHDOG_CHECK_INTERVAL?",
		"WATCHDOG_DRI":                          "did you mean WATCHDOG_DIR?",
		"WATCHDOG_DRYRUN":                       "did you mean WATCHDOG_DRY_RUN?",
		"WATCHDOG_dry_run":                      "did you mean WATCHDOG_DRY_RUN?",
		"WATCHDOG_VLLM_URL":                     "did you mean WATCHDOG_VLLM_URLS?",
		"WATCHDOG_GPU":                          "did you mean WATCHDOG_GPUS?",
		"WATCHDOG_API_KEY":                      "did you mean WATCHDOG_RUNPOD_API_KEY?",
		"WATCHDOG_RUNPOD_APIKEY_FILE":           "did you mean WATCHDOG_RUNPOD_API_KEY_FILE?",
		"WATCHDOG_LISTEN_ADDRESS":               "did you mean WATCHDOG_LISTEN?",
		"WATCHDOG_PRICE_FILE":                   "only a secret can come from a file; set WATCHDOG_PRICE",
		"WATCHDOG_LIMIT":                        none, // BROKEN_LIMIT or IDLE_LIMIT
		"WATCHDOG_":                             none,
		"WATCHDOG_" + strings.Repeat("X", 5000): none,
		"WATCHDOG_WAKE":                         "this version has no such variable; unset it",
		"WATCHDOG_PORT":                         "did you mean WATCHDOG_PORTS?",
		"WATCHDOG_NOTIFY_URL_FIL":               "did you mean WATCHDOG_NOTIFY_URL_FILE?",
		"WATCHDOG_STOP_COMMAND_FILE":            "only a secret can come from a file; set WATCHDOG_STOP_COMMAND",
		"WATCHDOG_SOCKET":                       "did you mean WATCHDOG_CONTROL_SOCKET?",
		"WATCHDOG_MAX_SPEND":                    "did you mean WATCHDOG_MAX_SPEND_PER_DAY?",
	} {
		found := refused(t, []string{name + "=" + planted}, options())
		if len(found) != 1 || !strings.HasSuffix(found[0].Text, want) || found[0].Value != "" || len(found[0].Variable) > 120 {
			t.Errorf("%.60s gave %v, want %q and no value", name, found, want)
		}
	}
	for _, name := range otherVersions {
		if isVariable(Prefix + name) {
			t.Errorf("%s is a variable of this version and listed as one of others", name)
		}
	}
	load(t, []string{"WATCHDOG_USEC=30000000", "WATCHDOG_PID=7", "WATCHDOGS=1", "watchdog_x=1", "nonsense"}, options())
}

func TestManyUnknownVariablesStayCheap(t *testing.T) {
	var env []string
	for i := range 20_000 {
		env = append(env, fmt.Sprintf("WATCHDOG_CHECK_INTERVAL%d=1", i))
	}
	began := time.Now()
	found := refused(t, env, options())
	if len(found) != len(env) {
		t.Errorf("%d problems for %d unknown variables", len(found), len(env))
	}
	guessed := 0
	for _, p := range found {
		if strings.Contains(p.Text, "did you mean") {
			guessed++
		}
	}
	if guessed == 0 || guessed > mostGuesses {
		t.Errorf("%d guesses, want 1 to %d", guessed, mostGuesses)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
}

func TestEmptyCountsAsNotSet(t *testing.T) {
	c := load(t, []string{"WATCHDOG_PRICE=", "WATCHDOG_GPUS=  ", "WATCHDOG_RUNPOD_API_KEY=", "RUNPOD_API_KEY=" + planted}, options())
	if c.Price.Known || !c.GPUs.All || c.RunpodAPIKey.Reveal() != planted {
		t.Errorf("price %v, GPUs %v, key set %v", c.Price, c.GPUs, c.RunpodAPIKey.IsSet())
	}
	want := []string{
		"WATCHDOG_GPUS is set but empty, which counts as not set",
		"WATCHDOG_PRICE is set but empty, which counts as not set",
		"WATCHDOG_RUNPOD_API_KEY is set but empty, which counts as not set",
	}
	if diff := cmp.Diff(want, c.Warnings()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestOwnEnvironmentIsNotRead(t *testing.T) {
	t.Setenv("WATCHDOG_PRICE", "nonsense")
	t.Setenv("WATCHDOG_NAME", "stolen")
	t.Setenv("RUNPOD_API_KEY", planted)
	for _, env := range [][]string{nil, {}, {"WATCHDOG_PRICE=2", "WATCHDOG_PRICE=nonsense"}} {
		c := load(t, env, options())
		if c.Name != "pod-host" || c.RunpodAPIKey.IsSet() {
			t.Errorf("name %q, key set %v", c.Name, c.RunpodAPIKey.IsSet())
		}
	}
}

func TestContradictions(t *testing.T) {
	const limit, most = "WATCHDOG_IDLE_LIMIT", "WATCHDOG_IDLE_MAX"
	for _, c := range []struct {
		name     string
		env      []string
		variable string
		says     []string // one problem each
	}{
		{"limit under auto", []string{"WATCHDOG_IDLE_LIMIT=10m"}, "", nil},
		{"limit under breakeven", []string{"WATCHDOG_IDLE_LIMIT=10m", "WATCHDOG_POLICY=breakeven"}, limit, []string{"WATCHDOG_POLICY=breakeven"}},
		{"limit under fixed", []string{"WATCHDOG_IDLE_LIMIT=1m", "WATCHDOG_POLICY=fixed"}, "", nil},
		{"limit under seed", []string{"WATCHDOG_IDLE_LIMIT=3", "WATCHDOG_POLICY=seed"}, "", nil},
		{"limit beside a mistaken policy", []string{"WATCHDOG_IDLE_LIMIT=3", "WATCHDOG_POLICY=other"}, "WATCHDOG_POLICY", []string{"not known"}},
		{"max below the default min", []string{"WATCHDOG_IDLE_MAX=2m"}, "", nil},
		{"max below a min that was set", []string{"WATCHDOG_IDLE_MAX=2m", "WATCHDOG_IDLE_MIN=5m"}, most, []string{"is below WATCHDOG_IDLE_MIN (5m, environment)"}},
		{"max equal to min", []string{"WATCHDOG_IDLE_MAX=5m"}, "", nil},
		{"min above no max", []string{"WATCHDOG_IDLE_MIN=5h"}, "", nil},
		{"limit below min", []string{"WATCHDOG_IDLE_LIMIT=1m", "WATCHDOG_POLICY=fixed", "WATCHDOG_IDLE_MIN=2m"}, limit, []string{"is below WATCHDOG_IDLE_MIN=2m;"}},
		{"limit equal to min", []string{"WATCHDOG_IDLE_LIMIT=2m", "WATCHDOG_POLICY=fixed", "WATCHDOG_IDLE_MIN=2m"}, "", nil},
		{"limit above max", []string{"WATCHDOG_IDLE_LIMIT=11m", "WATCHDOG_POLICY=seed", "WATCHDOG_IDLE_MAX=10m"}, limit, []string{"is above WATCHDOG_IDLE_MAX=10m;"}},
		{"checks below min", []string{"WATCHDOG_IDLE_LIMIT=11", "WATCHDOG_POLICY=fixed", "WATCHDOG_IDLE_MIN=1m"}, limit, []string{"(11 checks are 55s)"}},
		{"checks of another interval", []string{"WATCHDOG_IDLE_LIMIT=11", "WATCHDOG_POLICY=fixed", "WATCHDOG_IDLE_MIN=1m", "WATCHDOG_CHECK_INTERVAL=6s"}, "", nil},
		{"two at once", []string{"WATCHDOG_IDLE_LIMIT=1m", "WATCHDOG_IDLE_MIN=2m", "WATCHDOG_POLICY=breakeven"}, limit, []string{"set WATCHDOG_POLICY=fixed", "is below WATCHDOG_IDLE_MIN"}},
		{"default limit outside the bounds", []string{"WATCHDOG_POLICY=fixed", "WATCHDOG_IDLE_MAX=6m"}, "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.says == nil {
				load(t, c.env, options())
				return
			}
			found := refused(t, c.env, options())
			if len(found) != len(c.says) {
				t.Fatalf("got %v", found)
			}
			for i, p := range found {
				if p.Variable != c.variable || !strings.Contains(p.Text, c.says[i]) {
					t.Errorf("got %v, want %s to say %q", p, c.variable, c.says[i])
				}
			}
		})
	}
}

func TestChecksResolve(t *testing.T) {
	for _, c := range []struct {
		limit    IdleLimit
		interval time.Duration
		want     time.Duration
	}{
		{IdleLimit{Duration: 10 * time.Minute}, time.Second, 10 * time.Minute},
		{IdleLimit{Checks: 3}, time.Minute, 3 * time.Minute},
		{IdleLimit{Checks: mostChecks}, longestDuration, longestDuration}, // no overflow
	} {
		if got := c.limit.Resolve(c.interval); got != c.want {
			t.Errorf("%v every %s is %s, want %s", c.limit, c.interval, got, c.want)
		}
	}
}

func TestWarnings(t *testing.T) {
	mounted := options()
	mounted.IsMounted = func(path string) bool { return path == "/mnt" }
	for _, c := range []struct {
		env  string
		says string // "" for no warning
	}{
		{"WATCHDOG_LISTEN=0.0.0.0:9877", "open to whoever reaches"},
		{"WATCHDOG_LISTEN=:9877", "open to whoever reaches"},
		{"WATCHDOG_LISTEN=pod.example:9877", "open to whoever reaches"},
		{"WATCHDOG_LISTEN=localhost:1", ""},
		{"WATCHDOG_LISTEN=[::1]:1", ""},
		{"WATCHDOG_IDLE_THRESHOLD=0.05", "a percentage, not a share"},
		{"WATCHDOG_IDLE_THRESHOLD=1", ""},
		{"WATCHDOG_POLICY=fixed WATCHDOG_IDLE_LIMIT=14s", "15s will pass"},
		{"WATCHDOG_POLICY=fixed WATCHDOG_IDLE_LIMIT=15s", ""},
		{"WATCHDOG_POLICY=fixed WATCHDOG_IDLE_MIN=1s", "WATCHDOG_IDLE_MIN bounds computed limits only"},
		{"WATCHDOG_START_ID_FILE=/mnt/a/id", "lies on a mounted file system"},
		{"WATCHDOG_START_ID_FILE=/srv/id", ""},
		{"WATCHDOG_KEEP_HOURS=09:00-18:00", "names no zone"},
		{"WATCHDOG_PORTS=8888", ""},
		{"WATCHDOG_PORTS=8888,8000", "WATCHDOG_PORTS has 8000, the port of a server"},
		{"WATCHDOG_PORTS=8000 WATCHDOG_VLLM_URLS=http://10.0.0.1:8000", ""},
		{"WATCHDOG_PORTS=80 WATCHDOG_VLLM_URLS=http://localhost", "WATCHDOG_PORTS has 80,"},
		{"WATCHDOG_VLLM_URLS=none WATCHDOG_GPUS=none", ""},
		{"WATCHDOG_VLLM_URLS=none WATCHDOG_GPUS=none WATCHDOG_CPU_BUSY=0", "nothing here can tell work"},
		{"WATCHDOG_VLLM_URLS=none WATCHDOG_GPUS=none WATCHDOG_CPU_BUSY=0 WATCHDOG_PORTS=22", ""},
		{"WATCHDOG_BLIND_LIMIT=29m", "WATCHDOG_BLIND_LIMIT=29m is shorter than WATCHDOG_BROKEN_LIMIT=30m"},
		{"WATCHDOG_BLIND_LIMIT=30m", ""},
		{"WATCHDOG_MAX_RUNTIME=10m", "before WATCHDOG_MIN_RUNTIME=10m has passed"},
		{"WATCHDOG_MAX_RUNTIME=11m", ""},
		{"WATCHDOG_MAX_SPEND_PER_DAY=5 WATCHDOG_PRICE=0", "is never reached"},
		{"WATCHDOG_MAX_SPEND_PER_DAY=5 WATCHDOG_PRICE=1", ""},
		{"WATCHDOG_STOP_URL=https://h/x", "WATCHDOG_STOP_URL does nothing: WATCHDOG_STOP=auto does not name webhook"},
		{"WATCHDOG_STOP_URL=https://h/x WATCHDOG_STOP=runpod", "WATCHDOG_STOP=runpod does not name webhook"},
		{"WATCHDOG_STOP_URL=https://h/x WATCHDOG_STOP=webhook WATCHDOG_WEBHOOK_SECRET=k", ""},
		{"WATCHDOG_STOP_COMMAND=poweroff", "WATCHDOG_STOP_COMMAND does nothing"},
		{"WATCHDOG_STOP_COMMAND=poweroff WATCHDOG_STOP=runpod,command", ""},
		{"WATCHDOG_KUBERNETES_TARGET=deploy/a", "WATCHDOG_KUBERNETES_TARGET does nothing"},
		{"WATCHDOG_KUBERNETES_TARGET=deploy/a WATCHDOG_STOP=kubernetes", ""},
		{"WATCHDOG_WEBHOOK_SECRET=k", "signs nothing"},
		{"WATCHDOG_WEBHOOK_SECRET=k WATCHDOG_NOTIFY_URL=https://h/x", ""},
		{"WATCHDOG_STOP_ACTION=terminate", "is for RunPod, which WATCHDOG_STOP=auto"},
		{"WATCHDOG_STOP_ACTION=terminate WATCHDOG_STOP=kubernetes", "is for RunPod"},
		{"WATCHDOG_STOP_ACTION=terminate WATCHDOG_STOP=kubernetes,runpod", ""},
		{"WATCHDOG_STOP_ACTION=stop WATCHDOG_STOP=kubernetes", ""},
	} {
		got := load(t, strings.Fields(c.env), mounted).Warnings()
		if c.says == "" && len(got) == 0 || c.says != "" && len(got) == 1 && strings.Contains(got[0], c.says) {
			continue
		}
		t.Errorf("%s warns %q, want %q", c.env, got, c.says)
	}
}

func TestProblemsAreClipped(t *testing.T) {
	found := refused(t, []string{"WATCHDOG_PRICE=" + strings.Repeat("é", 100_000)}, options())
	if len(found[0].String()) > 500 || !strings.HasSuffix(found[0].Value, "é…") {
		t.Errorf("%d bytes: %.300s", len(found[0].String()), found[0].String())
	}
	parts := strings.Repeat("x,", 30_000)
	if found := refused(t, []string{"WATCHDOG_GPUS=" + parts}, options()); len(found) > 300 {
		t.Errorf("%d problems of one list", len(found))
	}
}

// TestProblemsHaveTheOrderOfTheFields mixes mistakes that are found while reading, parsing and validating.
func TestProblemsHaveTheOrderOfTheFields(t *testing.T) {
	lines := []string{
		"WATCHDOG_ZZZ=1", "WATCHDOG_LOG_LEVEL=x", "WATCHDOG_AAA=1", "WATCHDOG_CHECK_INTERVAL=1ms",
		"WATCHDOG_RUNPOD_API_KEY_FILE=x", "WATCHDOG_PRICE=x", "WATCHDOG_NAME=..",
	}
	want := []string{
		"WATCHDOG_NAME", "WATCHDOG_CHECK_INTERVAL", "WATCHDOG_PRICE", "WATCHDOG_RUNPOD_API_KEY_FILE", "WATCHDOG_LOG_LEVEL",
		"WATCHDOG_AAA", "WATCHDOG_ZZZ",
	}
	for range 2 {
		var got []string
		for _, p := range refused(t, lines, options()) {
			got = append(got, p.Variable)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		slices.Reverse(lines)
	}
}

// One variable has a meaning when it is set to nothing: then nothing is taken in.
func TestNothingToListenOn(t *testing.T) {
	for _, value := range []string{"", "  ", "off"} {
		c := load(t, []string{"WATCHDOG_INGEST_LISTEN=" + value}, options())
		if c.IngestListen != "" || !c.Explicit("WATCHDOG_INGEST_LISTEN") || len(c.Warnings()) != 0 {
			t.Errorf("%q: %q, warnings %q", value, c.IngestListen, c.Warnings())
		}
	}
	c := load(t, []string{"WATCHDOG_INGEST_LISTEN=0.0.0.0:4317"}, options())
	if len(c.Warnings()) != 1 || !strings.Contains(c.Warnings()[0], "only processes on this machine") {
		t.Errorf("warnings %q", c.Warnings())
	}
}
