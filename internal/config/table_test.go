package config

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTable(t *testing.T) {
	c := load(t, with(key, "", keyFile, "/run/secrets/key", "WATCHDOG_PRICE", "", "WATCHDOG_MAX_SPEND_PER_DAY", ""), options())
	rows := c.Table()
	if len(rows) != len(Fields()) {
		t.Fatalf("%d rows", len(rows))
	}
	got := map[string]Row{}
	for i, r := range rows {
		if r.Variable != Fields()[i].Variable {
			t.Errorf("row %d is %s, field %s", i, r.Variable, Fields()[i].Variable)
		}
		got[strings.TrimPrefix(r.Variable, Prefix)] = r
	}
	for short, want := range map[string][2]string{
		"RUNPOD_API_KEY": {masked, "file"}, "PRICE": {"", "default"}, "IDLE_THRESHOLD": {"6%", "environment"}, "IDLE_MAX": {"1h", "environment"},
		"GPUS": {"0,1", "environment"}, "COLD_START_PENALTY": {"3x", "environment"}, "STOP": {"runpod,kubernetes", "environment"}, "PORTS": {"8888,22", "environment"},
		"STOP_URL": {masked, "environment"}, "STOP_COMMAND": {"poweroff " + masked, "environment"}, "CPU_BUSY": {"1.5", "environment"},
		"KEEP_HOURS": {"mon-fri 09:00-18:00 Asia/Seoul", "environment"}, "MAX_SPEND_PER_DAY": {"0", "default"}, "LISTEN": {"127.0.0.1:9900", "environment"},
	} {
		if r := got[short]; r.Value != want[0] || string(r.Origin) != want[1] {
			t.Errorf("%s is %q from %q, want %q", short, r.Value, r.Origin, want)
		}
	}
	if got["CHECK_INTERVAL"].Type != "duration ≥ 100ms" || got["COLD_START"].Type != "duration > 0" {
		t.Errorf("types %q, %q", got["CHECK_INTERVAL"].Type, got["COLD_START"].Type)
	}
}

// rebuilt is the environment that a table stands for.
func rebuilt(c Config) []string {
	var env []string
	for _, r := range c.Table() {
		if strings.HasSuffix(r.Value, masked) {
			continue
		}
		// A bound of the idle time, and the limit itself, mean more when somebody has set them than by default.
		if c.Explicit(r.Variable) || r.Value != "" && !strings.HasPrefix(r.Variable, Prefix+"IDLE_") {
			env = append(env, r.Variable+"="+r.Value)
		}
	}
	for variable, s := range map[string]Secret{
		key: c.RunpodAPIKey, Prefix + "STOP_URL": c.StopURL.Secret, Prefix + "NOTIFY_URL": c.NotifyURL.Secret, Prefix + "WEBHOOK_SECRET": c.WebhookSecret,
	} {
		if s.IsSet() {
			env = append(env, variable+"="+s.Reveal())
		}
	}
	if argv, err := json.Marshal(c.StopCommand.Argv()); err == nil && strings.HasSuffix(c.StopCommand.String(), masked) {
		env = append(env, Prefix+"STOP_COMMAND="+string(argv))
	}
	return env
}

func TestTableReadsBack(t *testing.T) {
	for _, env := range [][]string{nil, with(), with("WATCHDOG_COLD_START_PENALTY", "$0.25", "WATCHDOG_GPUS", "none", "WATCHDOG_VLLM_URLS", "none", "WATCHDOG_IDLE_LIMIT", "200",
		"WATCHDOG_PORTS", "none", "WATCHDOG_KEEP_HOURS", "none", "WATCHDOG_STOP", "command,webhook", "WATCHDOG_STOP_COMMAND", "'/my programs/stop'", "WATCHDOG_CPU_BUSY", "0")} {
		c := load(t, env, options())
		again := load(t, rebuilt(c), options())
		if diff := cmp.Diff(strip(c), strip(again)); diff != "" || c.Hash() != again.Hash() {
			t.Errorf("hash %s and %s, -first +again:\n%s", c.Hash(), again.Hash(), diff)
		}
	}
}

// strip leaves the values alone.
func strip(c Config) map[string]string {
	values := map[string]string{}
	for _, r := range c.Table() {
		values[r.Variable] = r.Value
	}
	return values
}

func TestHash(t *testing.T) {
	base := load(t, with(), options())
	if !regexp.MustCompile(`^[0-9a-f]{8}$`).MatchString(base.Hash()) {
		t.Errorf("hash %q", base.Hash())
	}
	seen := map[string]string{base.Hash(): "the fixture"}
	defaults := strip(load(t, nil, options()))
	for _, f := range Fields() { // every variable of the fixture differs from its default
		env := with(f.Variable, "")
		switch f.Variable {
		case Prefix + "POLICY":
			env = with(f.Variable, "fixed")
		case Prefix + "PRICE": // a cap in dollars needs it
			env = with(f.Variable, "", Prefix+"MAX_SPEND_PER_DAY", "")
		}
		c := load(t, env, options())
		if f.Variable != Prefix+"POLICY" && strip(c)[f.Variable] != defaults[f.Variable] {
			t.Errorf("%s unset is %q", f.Variable, strip(c)[f.Variable])
		}
		if other, there := seen[c.Hash()]; there {
			t.Errorf("%s changed leaves the hash of %s", f.Variable, other)
		}
		seen[c.Hash()] = f.Variable
	}
	same := map[string][]string{
		"another secret":            with(key, "rpa_other", "WATCHDOG_WEBHOOK_SECRET", "other"),
		"another hook":              with("WATCHDOG_STOP_URL", "https://other.example/x", "WATCHDOG_NOTIFY_URL_FILE", "/run/secrets/hook", "WATCHDOG_NOTIFY_URL", ""),
		"other arguments":           with("WATCHDOG_STOP_COMMAND", "poweroff 'now, please'"),
		"the secret from elsewhere": with(key, "", "RUNPOD_API_KEY", "rpa_other"),
		"another spelling":          with("WATCHDOG_CHECK_INTERVAL", "2000ms", "WATCHDOG_PRICE", "1.5", "WATCHDOG_IDLE_THRESHOLD", "6.0%"),
	}
	for name, env := range same {
		if got := load(t, env, options()).Hash(); got != base.Hash() {
			t.Errorf("%s changes the hash", name)
		}
	}
}
