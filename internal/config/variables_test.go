package config

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// accepted is a value and what the field then holds; rejected is a value and a part of what is said about it.
type (
	accepted struct {
		value string
		want  any
	}
	rejected struct{ value, says string }
)

var rows = map[string]struct {
	field func(Config) any
	ok    []accepted
	bad   []rejected
}{
	"DRY_RUN": {func(c Config) any { return c.DryRun },
		[]accepted{{"true", true}, {"false", false}, {"1", true}, {" TRUE ", true}},
		[]rejected{{"yes", "did you mean true?"}, {"off", "did you mean false?"}, {"2", "write one of the two"}}},
	"NAME": {func(c Config) any { return c.Name },
		[]accepted{{"a", "a"}, {"Llama-3.1_70B", "Llama-3.1_70B"}, {strings.Repeat("n", 128), strings.Repeat("n", 128)}, {"..a", "..a"}},
		[]rejected{{"..", "no name of a folder"}, {".", "no name of a folder"}, {"prod/llama", "did you mean prod-llama?"},
			{"../../etc", "may not"}, {strings.Repeat("n", 129), "longer than 128"}, {"a\x00b", "did you mean a-b?"}, {"é", "may not"}}},
	"CHECK_INTERVAL": {func(c Config) any { return c.CheckInterval },
		[]accepted{{"100ms", 100 * time.Millisecond}, {"1m30s", 90 * time.Second}, {"60s", time.Minute}},
		[]rejected{{"5", "did you mean 5s?"}, {"99ms", "at least 100ms"}, {"0", "at least 100ms"}, {"-5s", "is negative"}, {"soon", "write a number with a unit"}}},
	"DIR": {func(c Config) any { return c.Dir },
		[]accepted{{"/data", "/data"}, {"/data/../d//x/", "/d/x"}},
		[]rejected{{"data", "not absolute"}, {"/", "root of the file system"}, {"/a\x01b", "control character"}, {"/" + strings.Repeat("d", 1024), "longer than 1024"}}},
	"VLLM_URLS": {func(c Config) any { return []string(c.VLLMURLs) },
		[]accepted{{"none", []string(nil)}, {"http://127.0.0.1:8000/", []string{"http://127.0.0.1:8000"}},
			{"http://A:1, https://[::1]:2/root/", []string{"http://a:1", "https://[::1]:2/root"}}, {"http://vllm", []string{"http://vllm"}}},
		[]rejected{{"127.0.0.1:8000", "did you mean http://127.0.0.1:8000?"}, {"localhost:8000", "did you mean http://localhost:8000?"},
			{"ftp://a", "write http or https"}, {"http://", "names no host"}, {"http://256.1.1.1:80", "names no host"}, {"http://a..b", "names no host"},
			{"http://a:0", "no valid port"}, {"http://a:70000", "no valid port"}, {"http://a:", "no valid port"}, {"http://a:b", "is no URL"},
			{"http://a?key=x", "query or a fragment"}, {"http://a#x", "query or a fragment"}, {"http://a?", "query or a fragment"},
			{"http://user:pw@a", "holds an @"}, {"http://a,http://A:80/", "named twice"}, {"http://a,", "empty part"},
			{"http://a,none", "none stands alone"}, {"http://a:1/v1", "did you mean http://a:1?"}, {"http://a:1/x/metrics/", "did you mean http://a:1/x?"}, {"nonsense server", "is no URL"}}},
	"GPUS": {func(c Config) any { return c.GPUs },
		[]accepted{{"all", Selection{All: true}}, {"none", Selection{None: true}}, {"0", Selection{List: []string{"0"}}},
			{"1, GPU-5a1f", Selection{List: []string{"1", "GPU-5a1f"}}}},
		[]rejected{{"-1", "is no index"}, {"256", "is no index"}, {"01", "is no index"}, {"gpu-5a1f", "names no GPU"}, {"GPU-", "names no GPU"}, {"GPU-a b", "names no GPU"},
			{"MIG-5a1f", "MIG slice"}, {"0,0", "named twice"}, {"0,,1", "empty part"}, {"0,all", "all stands alone"}}},
	"START_ID_FILE": {func(c Config) any { return c.StartIDFile },
		[]accepted{{"/run/x", "/run/x"}, {"/run//x/../y", "/run/y"}},
		[]rejected{{"x", "not absolute"}, {"/run/", "is a folder"}}},
	"NVML_LIBRARY": {func(c Config) any { return c.NVMLLibrary },
		[]accepted{{"libnvidia-ml.so.1", "libnvidia-ml.so.1"}, {"/opt/libnvidia-ml.so.1", "/opt/libnvidia-ml.so.1"}},
		[]rejected{{"./libnvidia-ml.so.1", "not absolute"}, {"lib\x02.so", "control character"}}},
	"IDLE_THRESHOLD": {func(c Config) any { return c.IdleThreshold },
		[]accepted{{"auto", IdleThreshold{Mode: ThresholdAuto}}, {"dynamic", IdleThreshold{Mode: ThresholdDynamic}},
			{"7", IdleThreshold{ThresholdFixed, 7}}, {"2.5%", IdleThreshold{ThresholdFixed, 2.5}}, {"100", IdleThreshold{ThresholdFixed, 100}}},
		[]rejected{{"0", "above 0"}, {"-1", "above 0"}, {"101", "more than 100"}, {"dinamic", "did you mean dynamic?"}, {"NaN", "is no threshold"}, {"1e1", "is no threshold"}, {"7%%", "is no threshold"}}},
	"POLICY": {func(c Config) any { return c.Policy },
		[]accepted{{"seed", PolicySeed}, {"fixed", PolicyFixed}},
		[]rejected{{"learned", "not known to this version"}, {"fixd", "did you mean fixed?"}, {"Seed", "did you mean seed?"}}},
	"IDLE_LIMIT": {func(c Config) any { return c.IdleLimit },
		[]accepted{{"10m", IdleLimit{Set: true, Duration: 10 * time.Minute}}, {"300", IdleLimit{Set: true, Checks: 300}}},
		[]rejected{{"0", "at least 1 check"}, {"-3", "at least 1 check"}, {"0s", "not above 0"}, {"-1m", "not above 0"}, {"2.5", "no whole number of checks"},
			{"400000000", "more than a year"}, {"1d", "did you mean 24h?"}}},
	"IDLE_MIN": {func(c Config) any { return c.IdleMin },
		[]accepted{{"0", time.Duration(0)}, {"9m", 9 * time.Minute}},
		[]rejected{{"5", "did you mean 5m?"}, {"300", "did you mean 300s?"}, {"-1s", "is negative"}}},
	"IDLE_MAX": {func(c Config) any { return c.IdleMax },
		[]accepted{{"0", time.Duration(0)}, {"2h", 2 * time.Hour}},
		[]rejected{{"-1s", "is negative"}, {"2 hours", "did you mean 2h?"}, {"3m", "is below WATCHDOG_IDLE_MIN (4m, environment)"}}},
	"MIN_RUNTIME": {func(c Config) any { return c.MinRuntime },
		[]accepted{{"0", time.Duration(0)}, {"1h", time.Hour}}, []rejected{{"-1ns", "is negative"}, {"10", "did you mean 10m?"}}},
	"STARTUP_TIMEOUT": {func(c Config) any { return c.StartupTimeout },
		[]accepted{{"1ns", time.Nanosecond}, {"1h", time.Hour}}, []rejected{{"0", "above 0"}, {"-1s", "is negative"}, {"30", "did you mean 30m?"}}},
	"BROKEN_LIMIT": {func(c Config) any { return c.BrokenLimit },
		[]accepted{{"10m", 10 * time.Minute}}, []rejected{{"0s", "above 0"}, {"5min", "did you mean 5m?"}, {"8761h", "longer than a year"}}},
	"WARN_BEFORE": {func(c Config) any { return c.WarnBefore },
		[]accepted{{"0", time.Duration(0)}, {"30s", 30 * time.Second}}, []rejected{{"-2m", "is negative"}, {"2", "did you mean 2m?"}, {"99999999999999999999", "write one with a unit"}}},
	"PRICE": {func(c Config) any { return c.Price },
		[]accepted{{"0", watchdog.Known(0.0)}, {"1.50", watchdog.Known(1.5)}, {"1000", watchdog.Known(1000.0)}, {"-0", watchdog.Known(0.0)}},
		[]rejected{{"-1", "is negative"}, {"1000.01", "surely a mistake"}, {"$1.50/h", "did you mean 1.50?"}, {"1,50", "did you mean 1.50?"}, {"Inf", "is not a number"}, {"nan", "is not a number"}, {"1e2", "is not a number"}}},
	"STORAGE_RUNNING": {func(c Config) any { return c.StorageRunning },
		[]accepted{{"0", 0.0}, {".5", 0.5}}, []rejected{{"-0.1", "is negative"}, {"free", "is not a number"}}},
	"STORAGE_STOPPED": {func(c Config) any { return c.StorageStopped },
		[]accepted{{"0.027", 0.027}}, []rejected{{"1001", "surely a mistake"}, {"0x10", "is not a number"}}},
	"COLD_START": {func(c Config) any { return c.ColdStart },
		[]accepted{{"7s", 7 * time.Second}}, []rejected{{"0", "above 0"}, {"180", "did you mean 180s?"}, {"-3m", "is negative"}}},
	"COLD_START_UNSEEN": {func(c Config) any { return c.ColdStartUnseen },
		[]accepted{{"0", time.Duration(0)}, {"1m", time.Minute}}, []rejected{{"-1s", "is negative"}, {"30", "did you mean 30s?"}}},
	"COLD_START_PENALTY": {func(c Config) any { return c.ColdStartPenalty },
		[]accepted{{"0x", Penalty{}}, {"2.5x", Penalty{Factor: 2.5}}, {"$0.25", Penalty{USD: 0.25, IsUSD: true}}, {"$0", Penalty{IsUSD: true}}},
		[]rejected{{"3", "write 3x for a multiple of the cold start's own cost, or $3 for US dollars"}, {"-3x", "is negative"}, {"$-1", "is negative"},
			{"1001x", "surely a mistake"}, {"$1001", "surely a mistake"}, {"$3x", "no penalty"}, {"bash.25", "in a shell quote them"}, {"x", "no penalty"}}},
	"PORTS": {func(c Config) any { return []uint16(c.Ports) },
		[]accepted{{"none", []uint16(nil)}, {"8888", []uint16{8888}}, {" 22 , 65535,1", []uint16{22, 65535, 1}}},
		[]rejected{{"0", "is no TCP port"}, {"65536", "is no TCP port"}, {"-1", "is no TCP port"}, {"ssh", "is no TCP port"}, {"022", "is no TCP port"}, {"22,22", "named twice"}, {"22,", "empty part"},
			{"22,none", "stands alone"}, {"0.0.0.0:22", "did you mean 22?"}, {"8000-8010", "name each port: 8000,8010"},
			{"22,9900", "is the watchdog's own port, of WATCHDOG_LISTEN=127.0.0.1:9900"}, {"4400", "of WATCHDOG_INGEST_LISTEN=127.0.0.1:4400"}}},
	"CPU_BUSY": {func(c Config) any { return float64(c.CPUBusy) },
		[]accepted{{"0", 0.0}, {"-0", 0.0}, {"0.25", 0.25}, {"4096", 4096.0}},
		[]rejected{{"-1", "is negative"}, {"50%", "is not a number"}, {"off", "did you mean 0?"}, {"NaN", "is not a number"}, {"Inf", "is not a number"}, {"1e1", "is not a number"}, {"4097", "surely a mistake"}}},
	"PROBE_MAX_TOKENS": {func(c Config) any { return c.ProbeMaxTokens },
		[]accepted{{"0", 0}, {"1", 1}, {"100000", 100_000}},
		[]rejected{{"-1", "is negative"}, {"100001", "which no monitor asks for"}, {"1.5", "is no whole number"}, {"many", "is no whole number"}, {"99999999999999999999", "is no whole number"}}},
	"BLIND_LIMIT": {func(c Config) any { return c.BlindLimit },
		[]accepted{{"0", time.Duration(0)}, {"1h", time.Hour}}, []rejected{{"-1s", "is negative"}, {"60", "did you mean 60s?"}}},
	"KEEP_HOURS": {func(c Config) any { return format(c.KeepHours) },
		[]accepted{{"none", "none"}, {"mon-fri 9:00-18:00 UTC", "mon-fri 09:00-18:00 UTC"}, {"mon-fri 09:00-12:00, 13:00-18:00; sat 22:00-02:00 Europe/Berlin",
			"mon-fri 09:00-12:00 Europe/Berlin; mon-fri 13:00-18:00 Europe/Berlin; sat 22:00-02:00 Europe/Berlin"}},
		[]rejected{{"9-18", "is no range of hours"}, {"mon-fri", "names days without hours"}, {"mon 09:00-18:00 KST", "did you mean Asia/Seoul?"}, {"Never 09:00-18:00", "is no day"}}},
	"TERMINAL_GUARD": {func(c Config) any { return c.TerminalGuard },
		[]accepted{{"0", time.Duration(0)}, {"1h", time.Hour}, {"24h", 24 * time.Hour}}, []rejected{{"-1s", "is negative"}, {"30", "did you mean 30m?"}, {"25h", "at most 24h"}}},
	"MAX_RUNTIME": {func(c Config) any { return c.MaxRuntime },
		[]accepted{{"0", time.Duration(0)}, {"8h", 8 * time.Hour}}, []rejected{{"-1s", "is negative"}, {"8 hours", "did you mean 8h?"}}},
	"MAX_SPEND_PER_DAY": {func(c Config) any { return float64(c.MaxSpendPerDay) },
		[]accepted{{"0", 0.0}, {"12.5", 12.5}, {"24000", 24000.0}},
		[]rejected{{"-1", "is negative"}, {"$20/day", "did you mean 20?"}, {"24001", "surely a mistake"}, {"all", "is not a number"}}},
	"STOP": {func(c Config) any { return []string(c.Stop) },
		[]accepted{{"auto", []string(nil)}, {"runpod", []string{"runpod"}}, {"webhook, command,kubernetes,runpod", []string{"webhook", "command", "kubernetes", "runpod"}}},
		[]rejected{{"runpood", "did you mean runpod?"}, {"docker", "write one of auto, runpod, kubernetes, webhook, command"}, {"none", "set WATCHDOG_DRY_RUN=true"}, {"off", "set WATCHDOG_DRY_RUN=true"},
			{"runpod,runpod", "named twice"}, {"auto,runpod", "auto stands alone"}, {"runpod,", "empty part"}}},
	"STOP_ACTION": {func(c Config) any { return c.StopAction },
		[]accepted{{"stop", ActionStop}, {"terminate", ActionTerminate}, {"terminate-and-lose-data", ActionLoseData}},
		[]rejected{{"term", "did you mean terminate?"}, {"terminate-and", "did you mean terminate?"}, {"terminate-and-loose-data", "did you mean terminate?"}, {"terminate-and-lose-dat", "did you mean terminate-and-lose-data?"},
			{"delete", "write one of stop, terminate, terminate-and-lose-data"}, {"Stop", "did you mean stop?"}}},
	"KUBERNETES_TARGET": {func(c Config) any { return string(c.KubernetesTarget) },
		[]accepted{{"deployment/llama", "deployment/llama"}, {"Deployments.Apps/llama-7.b", "deployments.apps/llama-7.b"}, {"sts/a", "sts/a"}},
		[]rejected{{"llama", "did you mean deployment/llama?"}, {"default/deployment/llama", "has a part too many"}, {"deployment/", "is not of the form"}, {"/llama", "is not of the form"},
			{"deploy ment/a", "is not of the form"}, {"deployment/a b", "is not of the form"}, {"deployment./../a", "has a part too many"}, {"deployment/" + strings.Repeat("n", 254), "is not of the form"}}},
	"STOP_URL": {func(c Config) any { return c.StopURL.Reveal() },
		[]accepted{{"https://h.example/x?y=z", "https://h.example/x?y=z"}, {"http://127.0.0.1:1/x", "http://127.0.0.1:1/x"}, {"http://reaper.ops.svc/x", "http://reaper.ops.svc/x"}},
		[]rejected{{planted, "cannot be read as a URL"}, {"ftp://h/" + planted, "neither https nor http"}, {"http://h.example/" + planted, "would be sent in the clear to h.example"},
			{"https://h/#" + planted, "has a fragment"}, {"https://h/{{ " + planted + " }}", "unfilled placeholder"}, {"https://h/" + strings.Repeat("x", 5000) + planted, "more than 4096"}}},
	"STOP_COMMAND": {func(c Config) any { return c.StopCommand.Argv() },
		[]accepted{{"poweroff", []string{"poweroff"}}, {"sh -c 'a && b'", []string{"sh", "-c", "a && b"}}, {`["/a b", ""]`, []string{"/a b", ""}}},
		[]rejected{{"echo '" + planted, "is never closed"}, {planted + " && b", "no shell reads this"}, {"['" + planted, "JSON array"}, {"[]", "is empty"}}},
	"NOTIFY_URL": {func(c Config) any { return c.NotifyURL.Reveal() },
		[]accepted{{"https://discord.com/api/webhooks/1/x", "https://discord.com/api/webhooks/1/x"}, {"http://localhost/x", "http://localhost/x"}},
		[]rejected{{"hooks.slack.com/" + planted, "cannot be read as a URL"}, {"http://h.example/" + planted, "sent in the clear"}, {"https://discord.com/api/webhooks/1/" + planted + "/github", "it ends in /github"}}},
	"WEBHOOK_SECRET": {func(c Config) any { return c.WebhookSecret.Reveal() },
		[]accepted{{"k/+=", "k/+="}}, []rejected{{planted + " x", "holds a blank"}, {"{{" + planted + "}}", "unfilled placeholder"}}},
	"CONTROL_SOCKET": {func(c Config) any { return c.ControlSocket },
		[]accepted{{"/run/x.sock", "/run/x.sock"}, {"/run//y/../x", "/run/x"}, {"/" + strings.Repeat("s", 106), "/" + strings.Repeat("s", 106)}},
		[]rejected{{"x.sock", "not absolute"}, {"@x", "not absolute"}, {"/run/", "is a folder"}, {"/" + strings.Repeat("s", 107), "has 108 bytes, and the path of a unix socket at most 107"}, {"/a\x01", "control character"}}},
	"RUNPOD_API_KEY": {func(c Config) any { return c.RunpodAPIKey.Reveal() },
		[]accepted{{"rpa_x", "rpa_x"}, {" rpa_x\n", "rpa_x"}},
		[]rejected{{planted + " " + planted, "holds a blank"}, {"{{RUNPOD_SECRET_" + planted + "}}", "unfilled placeholder"}, {planted + "\x7f", "control character"}, {planted + strings.Repeat("k", maxSecretBytes), "longer than"}}},
	"RUNPOD_API_URL": {func(c Config) any { return string(c.RunpodAPIURL) },
		[]accepted{{"https://api.example/v2/", "https://api.example/v2"}, {"http://localhost:1/v2", "http://localhost:1/v2"}, {"http://[::1]:1", "http://[::1]:1"}},
		[]rejected{{"http://api.example/v2", "unencrypted"}, {"api.example/v2", "did you mean https://api.example/v2?"}, {"https://u:p@api.example", "holds an @"}, {"https://api.example?x=1", "query"}}},
	"RUNPOD_GRAPHQL_URL": {func(c Config) any { return string(c.RunpodGraphQLURL) },
		[]accepted{{"https://api.example/graphql", "https://api.example/graphql"}, {"http://127.8.8.8:1", "http://127.8.8.8:1"}},
		[]rejected{{"http://10.0.0.1/graphql", "unencrypted"}, {"https://api.example/graphql?api_key=" + planted, "not shown"}}},
	"LISTEN": {func(c Config) any { return string(c.Listen) },
		[]accepted{{"127.0.0.1:0", "127.0.0.1:0"}, {":9877", ":9877"}, {"[::]:1", "[::]:1"}, {"localhost:9877", "localhost:9877"}},
		[]rejected{{"9877", "did you mean 127.0.0.1:9877?"}, {"http://127.0.0.1:9877", "is a URL"}, {"127.0.0.1", "is no address"}, {"127.0.0.1:70000", "no valid port"}, {"a b:1", "is no address"}, {"off", "is no address"}}},
	"INGEST_LISTEN": {func(c Config) any { return string(c.IngestListen) },
		[]accepted{{"127.0.0.1:0", "127.0.0.1:0"}, {"off", ""}, {"[::1]:4317", "[::1]:4317"}},
		[]rejected{{"4317", "did you mean 127.0.0.1:4317?"}, {"http://127.0.0.1:4317", "is a URL"}, {"none", "is no address"}, {"0.0.0.0:9900", "has the port of WATCHDOG_LISTEN=127.0.0.1:9900"}}},
	"SLA_TTFT": {func(c Config) any { return c.SLATTFT },
		[]accepted{{"2s", 2 * time.Second}, {"350ms", 350 * time.Millisecond}},
		[]rejected{{"0", "above 0"}, {"2", "did you mean 2s?"}, {"-1s", "is negative"}}},
	"SLA_TPS": {func(c Config) any { return float64(c.SLATPS) },
		[]accepted{{"300", 300.0}, {"0.5", 0.5}},
		[]rejected{{"0", "not above 0"}, {"-1", "not above 0"}, {"1e3", "is not a number"}, {"300/s", "is not a number"}, {"10000001", "surely a mistake"}}},
	"LOG_LEVEL": {func(c Config) any { return c.LogLevel },
		[]accepted{{"debug", LogDebug}, {"error", LogError}}, []rejected{{"INFO", "did you mean info?"}, {"warning", "did you mean warn?"}, {"loud", "write one of debug, info, warn, error"}}},
	"LOG_FORMAT": {func(c Config) any { return c.LogFormat },
		[]accepted{{"json", LogJSON}, {"console", LogConsole}}, []rejected{{"text", "write one of json, console"}, {"jsn", "did you mean json?"}}},
}

// TestEachVariable overrides one variable of a valid environment at a time. A field without rows fails.
func TestEachVariable(t *testing.T) {
	load(t, with(), options())
	for _, f := range Fields() {
		short := strings.TrimPrefix(f.Variable, Prefix)
		row, there := rows[short]
		if !there || len(row.ok) == 0 || len(row.bad) == 0 {
			t.Errorf("%s has no row with valid and invalid values in this test", f.Variable)
			continue
		}
		t.Run(short, func(t *testing.T) {
			for _, r := range row.ok {
				c := load(t, with(f.Variable, r.value), options())
				if diff := cmp.Diff(r.want, row.field(c)); diff != "" {
					t.Errorf("%q (-want +got):\n%s", r.value, diff)
				}
				if o := c.Origin(f.Variable); o != FromEnvironment {
					t.Errorf("%q has the origin %q", r.value, o)
				}
			}
			for _, r := range row.bad {
				found := refused(t, with(f.Variable, r.value), options())
				if len(found) != 1 || found[0].Variable != f.Variable || !strings.Contains(found[0].Text, r.says) {
					t.Errorf("%q gave %v, want one problem of %s that says %q", r.value, found, f.Variable, r.says)
				}
			}
		})
	}
	if len(rows) != len(Fields()) {
		t.Errorf("%d rows for %d fields: a row is for no variable", len(rows), len(Fields()))
	}
}

// TestDefaults holds the defaults against the table of outward names, written out here once more.
func TestDefaults(t *testing.T) {
	c := load(t, nil, options())
	want := map[string]string{
		"DRY_RUN": "false", "NAME": "pod-host", "CHECK_INTERVAL": "5s", "DIR": "/var/lib/gpu-watchdog",
		"VLLM_URLS": "http://127.0.0.1:8000", "GPUS": "all", "START_ID_FILE": "/var/lib/gpu-watchdog/start-id",
		"NVML_LIBRARY": "libnvidia-ml.so.1", "IDLE_THRESHOLD": "auto", "POLICY": "auto", "IDLE_LIMIT": "10m",
		"IDLE_MIN": "5m", "IDLE_MAX": "0s", "MIN_RUNTIME": "10m", "STARTUP_TIMEOUT": "30m", "BROKEN_LIMIT": "30m",
		"WARN_BEFORE": "2m", "PRICE": "", "STORAGE_RUNNING": "0", "STORAGE_STOPPED": "0", "COLD_START": "3m",
		"COLD_START_UNSEEN": "30s", "COLD_START_PENALTY": "10x", "STOP": "auto", "RUNPOD_API_KEY": "",
		"PORTS": "none", "CPU_BUSY": "0", "PROBE_MAX_TOKENS": "0", "BLIND_LIMIT": "0s", "KEEP_HOURS": "none", "TERMINAL_GUARD": "30m",
		"MAX_RUNTIME": "0s", "MAX_SPEND_PER_DAY": "0", "STOP_ACTION": "stop", "KUBERNETES_TARGET": "", "STOP_URL": "", "STOP_COMMAND": "",
		"NOTIFY_URL": "", "WEBHOOK_SECRET": "", "CONTROL_SOCKET": "",
		"RUNPOD_API_URL": "https://api.runpod.io/v2", "RUNPOD_GRAPHQL_URL": "https://api.runpod.io/graphql",
		"INGEST_LISTEN": "127.0.0.1:4317", "SLA_TTFT": "2s", "SLA_TPS": "300", "LISTEN": "127.0.0.1:9877", "LOG_LEVEL": "info", "LOG_FORMAT": "json",
	}
	for _, r := range c.Table() {
		short := strings.TrimPrefix(r.Variable, Prefix)
		if w, ok := want[short]; !ok || w != r.Value {
			t.Errorf("%s is %q by default, want %q", r.Variable, r.Value, w)
		}
		if r.Origin != FromDefault || c.Explicit(r.Variable) {
			t.Errorf("%s has the origin %q", r.Variable, r.Origin)
		}
		if r.Meaning == "" || r.Type == "" || r.Default == "" {
			t.Errorf("%s lacks a meaning, a type or a default in its documentation", r.Variable)
		}
		delete(want, short)
	}
	if len(want) > 0 {
		t.Errorf("no rows for %v", want)
	}
	if w := c.Warnings(); len(w) > 0 {
		t.Errorf("the defaults warn: %q", w)
	}
	if c.IdleLimit.Set {
		t.Error("the default idle limit counts as set")
	}
}
