package config

import (
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
)

// fixture is an environment in which every variable is set to something valid that is not its default.
func fixture() map[string]string {
	return map[string]string{
		"WATCHDOG_DRY_RUN":            "true",
		"WATCHDOG_NAME":               "llama-70b",
		"WATCHDOG_CHECK_INTERVAL":     "2s",
		"WATCHDOG_DIR":                "/data/watchdog",
		"WATCHDOG_VLLM_URLS":          "http://127.0.0.1:8001,http://127.0.0.1:8002",
		"WATCHDOG_GPUS":               "0,1",
		"WATCHDOG_START_ID_FILE":      "/run/start-id",
		"WATCHDOG_NVML_LIBRARY":       "/usr/lib/libnvidia-ml.so.1",
		"WATCHDOG_IDLE_THRESHOLD":     "6",
		"WATCHDOG_PORTS":              "8888,22",
		"WATCHDOG_CPU_BUSY":           "1.5",
		"WATCHDOG_PROBE_MAX_TOKENS":   "16",
		"WATCHDOG_POLICY":             "seed",
		"WATCHDOG_IDLE_LIMIT":         "9m",
		"WATCHDOG_IDLE_MIN":           "4m",
		"WATCHDOG_IDLE_MAX":           "1h",
		"WATCHDOG_MIN_RUNTIME":        "7m",
		"WATCHDOG_STARTUP_TIMEOUT":    "20m",
		"WATCHDOG_BROKEN_LIMIT":       "25m",
		"WATCHDOG_BLIND_LIMIT":        "2h",
		"WATCHDOG_KEEP_HOURS":         "mon-fri 09:00-18:00 Asia/Seoul",
		"WATCHDOG_TERMINAL_GUARD":     "10m",
		"WATCHDOG_WARN_BEFORE":        "1m",
		"WATCHDOG_MAX_RUNTIME":        "12h",
		"WATCHDOG_MAX_SPEND_PER_DAY":  "20",
		"WATCHDOG_PRICE":              "1.50",
		"WATCHDOG_STORAGE_RUNNING":    "0.01",
		"WATCHDOG_STORAGE_STOPPED":    "0.02",
		"WATCHDOG_COLD_START":         "4m",
		"WATCHDOG_COLD_START_UNSEEN":  "40s",
		"WATCHDOG_COLD_START_PENALTY": "3x",
		"WATCHDOG_STOP":               "runpod,kubernetes",
		"WATCHDOG_STOP_ACTION":        "terminate",
		"WATCHDOG_RUNPOD_API_KEY":     planted,
		"WATCHDOG_RUNPOD_API_URL":     "http://127.0.0.1:9000/v2",
		"WATCHDOG_RUNPOD_GRAPHQL_URL": "http://127.0.0.1:9000/graphql",
		"WATCHDOG_KUBERNETES_TARGET":  "deployment/llama",
		"WATCHDOG_STOP_URL":           "https://stop.example/" + planted,
		"WATCHDOG_STOP_COMMAND":       "poweroff --key " + planted,
		"WATCHDOG_NOTIFY_URL":         "https://hooks.slack.com/services/" + planted,
		"WATCHDOG_WEBHOOK_SECRET":     planted,
		"WATCHDOG_LISTEN":             "127.0.0.1:9900",
		"WATCHDOG_INGEST_LISTEN":      "127.0.0.1:4400",
		"WATCHDOG_CONTROL_SOCKET":     "/run/watchdog/orders.sock",
		"WATCHDOG_SLA_TTFT":           "1s",
		"WATCHDOG_SLA_TPS":            "250.5",
		"WATCHDOG_LOG_LEVEL":          "debug",
		"WATCHDOG_LOG_FORMAT":         "console",
	}
}

// planted is a secret that no output may hold.
const planted = "rpa_PLANTED7SECRET"

// options are facts of an ordinary machine, with one secret's file.
func options() Options {
	return Options{
		Hostname: "pod-host",
		TempDir:  "/tmp",
		ReadFile: func(path string) ([]byte, error) {
			switch path {
			case "/run/secrets/key":
				return []byte(planted + "\n"), nil
			case "/run/secrets/hook":
				return []byte("https://hooks.example/" + planted + "\n"), nil
			case "/run/secrets/empty":
				return []byte(" \n"), nil
			case "/run/secrets/large":
				return []byte(strings.Repeat("k", maxSecretBytes+1)), nil
			case "/run/secrets/two":
				return []byte(planted + "\n" + planted), nil
			case "/run/secrets/denied":
				return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrPermission}
			}
			return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
		},
	}
}

func environ(vars map[string]string) []string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		lines = append(lines, name+"="+vars[name])
	}
	return lines
}

// with is the fixture with some variables changed; "" removes one.
func with(pairs ...string) []string {
	vars := fixture()
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			delete(vars, pairs[i])
			continue
		}
		vars[pairs[i]] = pairs[i+1]
	}
	return environ(vars)
}

func load(t *testing.T, env []string, opts Options) Config {
	t.Helper()
	c, err := Load(env, opts)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return c
}

// refused returns the problems of a configuration that must have some.
func refused(t *testing.T, env []string, opts Options) []Problem {
	t.Helper()
	_, err := Load(env, opts)
	var e *Error
	if !errors.As(err, &e) || len(e.Problems) == 0 {
		t.Fatalf("Load gave %v, want an *Error with problems", err)
	}
	if strings.Contains(err.Error(), planted) {
		t.Fatalf("the error shows the secret: %v", err)
	}
	return e.Problems
}
