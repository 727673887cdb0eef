package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gpu-watchdog/gpu-watchdog/internal/secret"
)

// TestWhatIsNamedIsThere holds settings that need others.
func TestWhatIsNamedIsThere(t *testing.T) {
	pod, keyed := options(), options()
	pod.RunpodPodID = "abc"
	keyed.RunpodPodID, keyed.RunpodAPIKey = "abc", secret.New("rpa_x")
	for _, c := range []struct {
		name string
		env  string
		opts Options
		want []string // of each problem, its variable and a part of what is said
	}{
		{"webhook alone", "WATCHDOG_STOP=webhook", options(), []string{"WATCHDOG_STOP", "set it, or take webhook out of WATCHDOG_STOP"}},
		{"webhook with an empty address", "WATCHDOG_STOP=webhook WATCHDOG_STOP_URL=", options(), []string{"WATCHDOG_STOP", "WATCHDOG_STOP_URL"}},
		{"webhook with its address", "WATCHDOG_STOP=webhook WATCHDOG_STOP_URL=https://h/x", options(), nil},
		{"webhook with its address in a file", "WATCHDOG_STOP=webhook WATCHDOG_STOP_URL_FILE=/run/secrets/hook", options(), nil},
		{"webhook with a mistaken address", "WATCHDOG_STOP=webhook WATCHDOG_STOP_URL=h", options(), []string{"WATCHDOG_STOP_URL", "cannot be read"}},
		{"webhook with a file that is not there", "WATCHDOG_STOP=webhook WATCHDOG_STOP_URL_FILE=/x", options(), []string{"WATCHDOG_STOP_URL_FILE", "cannot be read"}},
		{"a file without an address", "WATCHDOG_STOP_URL_FILE=/run/secrets/key", options(), []string{"WATCHDOG_STOP_URL_FILE", "cannot be read as a URL"}},
		{"a hook of Discord's in a file", "WATCHDOG_NOTIFY_URL_FILE=/run/secrets/key", options(), []string{"WATCHDOG_NOTIFY_URL_FILE", "cannot be read as a URL"}},
		{"command alone", "WATCHDOG_STOP=runpod,command", options(), []string{"WATCHDOG_STOP", "set it, or take command out of WATCHDOG_STOP"}},
		{"command with its program", "WATCHDOG_STOP=runpod,command WATCHDOG_STOP_COMMAND=poweroff", options(), nil},
		{"neither", "WATCHDOG_STOP=webhook,command", options(), []string{"WATCHDOG_STOP", "WATCHDOG_STOP_URL", "WATCHDOG_STOP", "WATCHDOG_STOP_COMMAND"}},
		{"spend without a price", "WATCHDOG_MAX_SPEND_PER_DAY=9", options(), []string{"WATCHDOG_MAX_SPEND_PER_DAY", "set WATCHDOG_PRICE"}},
		{"spend with a key of another place", "WATCHDOG_MAX_SPEND_PER_DAY=9 WATCHDOG_RUNPOD_API_KEY=rpa_x", options(), []string{"WATCHDOG_MAX_SPEND_PER_DAY", "outside of RunPod"}},
		{"spend on RunPod without a key", "WATCHDOG_MAX_SPEND_PER_DAY=9", pod, []string{"WATCHDOG_MAX_SPEND_PER_DAY", "set WATCHDOG_PRICE or WATCHDOG_RUNPOD_API_KEY"}},
		{"spend on RunPod", "WATCHDOG_MAX_SPEND_PER_DAY=9", keyed, nil},
		{"spend with a price", "WATCHDOG_MAX_SPEND_PER_DAY=9 WATCHDOG_PRICE=1", options(), nil},
		{"spend with a mistaken price", "WATCHDOG_MAX_SPEND_PER_DAY=9 WATCHDOG_PRICE=x", options(), []string{"WATCHDOG_PRICE", "is not a number"}},
		{"no cap needs no price", "WATCHDOG_MAX_SPEND_PER_DAY=0", options(), nil},
		{"own ports that are not", "WATCHDOG_PORTS=4317 WATCHDOG_INGEST_LISTEN=off", options(), nil},
		{"own ports that are chosen by the system", "WATCHDOG_PORTS=9877 WATCHDOG_LISTEN=127.0.0.1:0", options(), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.want == nil {
				load(t, strings.Fields(c.env), c.opts)
				return
			}
			found := refused(t, strings.Fields(c.env), c.opts)
			if len(found) != len(c.want)/2 {
				t.Fatalf("got %v", found)
			}
			for i, p := range found {
				if p.Variable != c.want[2*i] || !strings.Contains(p.Text, c.want[2*i+1]) {
					t.Errorf("got %v, want %s to say %q", p, c.want[2*i], c.want[2*i+1])
				}
			}
		})
	}
}

func TestCommandShowsItsProgramAlone(t *testing.T) {
	for value, want := range map[string]string{
		"poweroff":            "poweroff",
		"poweroff " + planted: "poweroff [secret]",
		"'/a b' -x":           `"/a b" [secret]`,
		`["a\nb"]`:            `"a\nb"`,
	} {
		if got := load(t, []string{"WATCHDOG_STOP_COMMAND=" + value}, options()).StopCommand.String(); got != want {
			t.Errorf("%q shows as %q, want %q", value, got, want)
		}
	}
	if zero := (Command{}); zero.IsSet() || zero.String() != "" || zero.Argv() != nil {
		t.Errorf("the zero command is %v, %q", zero, zero.Argv())
	}
}

// A job of one thread never uses a whole core, so a whole core is no default where only the CPU tells work.
func TestTheCPUIsEvidenceWhereNoServerIs(t *testing.T) {
	for _, c := range []struct {
		env    []string
		want   Cores
		origin Origin
	}{
		{nil, 0, FromDefault},
		{[]string{"WATCHDOG_VLLM_URLS=none"}, 0.5, FromDefault},
		{[]string{"WATCHDOG_VLLM_URLS=none", "WATCHDOG_CPU_BUSY="}, 0.5, FromDefault},
		{[]string{"WATCHDOG_VLLM_URLS=none", "WATCHDOG_CPU_BUSY=0"}, 0, FromEnvironment},
		{[]string{"WATCHDOG_CPU_BUSY=2"}, 2, FromEnvironment},
	} {
		cfg := load(t, c.env, options())
		if cfg.CPUBusy != c.want || cfg.Origin("WATCHDOG_CPU_BUSY") != c.origin {
			t.Errorf("%q: %v from %q, want %v", c.env, cfg.CPUBusy, cfg.Origin("WATCHDOG_CPU_BUSY"), c.want)
		}
	}
}

// Nothing that is set to nothing is set; what has a default keeps it.
func TestTheNewVariablesSetToNothing(t *testing.T) {
	var env, want []string
	for _, f := range Fields() {
		if f.empty == "" {
			env = append(env, f.Variable+"=")
			want = append(want, f.Variable)
		}
	}
	c := load(t, env, options())
	if diff := cmp.Diff(strip(load(t, nil, options())), strip(c)); diff != "" {
		t.Errorf("-unset +empty:\n%s", diff)
	}
	if len(c.Warnings()) != len(want) {
		t.Errorf("%d warnings for %d empty variables", len(c.Warnings()), len(want))
	}
	for _, variable := range want {
		if c.Explicit(variable) {
			t.Errorf("%s counts as set", variable)
		}
	}
}
