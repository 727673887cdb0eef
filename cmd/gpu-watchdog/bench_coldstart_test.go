package main

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gpu-watchdog/gpu-watchdog/internal/experiment/coldstart"
)

// called runs a command by itself, and returns what it wrote.
func called(t *testing.T, cmd interface {
	SetArgs([]string)
	Execute() error
}, out *strings.Builder, args ...string) (string, error) {
	t.Helper()
	out.Reset()
	cmd.SetArgs(args)
	err := cmd.Execute()
	return out.String(), err
}

func runColdStart(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out, rest strings.Builder
	cmd := newBenchColdStart()
	cmd.SilenceUsage, cmd.SilenceErrors = true, true
	cmd.SetOut(&out)
	cmd.SetErr(&rest)
	return called(t, cmd, &out, args...)
}

func TestBenchColdStartWrongUse(t *testing.T) {
	for _, args := range [][]string{
		{}, {"vllm", "serve"}, {"--"}, {"--runs", "0", "--warm", "0", "--", "sh"}, {"--runs", "-1", "--", "sh"}, {"--runs", "101", "--", "sh"},
		{"--timeout", "0s", "--", "sh"}, {"--grace", "0s", "--", "sh"}, {"--output", "xml", "--", "sh"}, {"--health", "health", "--", "sh"},
		{"--", "no-such-program-anywhere", "serve"}, {"--", "sh", "-c", "exit 1"}, {"--drop", "/nonexistent", "--", "sh"},
		{"--drop", "none", "--spans", "--", "sh", "--otlp-traces-endpoint", "http://127.0.0.1:4317"},
	} {
		if text, err := runColdStart(t, args...); exitCode(err) != 2 || text != "" {
			t.Errorf("%q: exit code %d, %v, %q", args, exitCode(err), err, text)
		}
	}
}

// A command that ends at once is no server: exit code 1, and yet a report.
func TestBenchColdStartOfNoServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	t.Setenv("WATCHDOG_PRICE", "1.5")
	logs := filepath.Join(t.TempDir(), "logs")
	text, err := runColdStart(t, "--drop", "none", "--runs", "2", "--logs", logs, "--output", "json", "--",
		"sh", "-c", "env; echo it cannot >&2; exit 7", "--port", port, "--api-key", "sk-very-secret")
	if exitCode(err) != 1 || !strings.Contains(err.Error(), "exit status 7") || !strings.Contains(err.Error(), "it cannot") {
		t.Errorf("exit code %d, %v", exitCode(err), err)
	}
	var r struct {
		Command    []string          `json:"command"`
		URL        string            `json:"url"`
		Starts     []coldstart.Start `json:"starts"`
		EndedEarly string            `json:"ended_early"`
		Pricing    struct {
			Price float64 `json:"price_usd_per_hour"`
		} `json:"pricing"`
	}
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if len(r.Starts) != 1 || r.Starts[0].Error == "" || r.EndedEarly == "" || r.URL != "http://127.0.0.1:"+port || r.Pricing.Price != 1.5 {
		t.Errorf("have %s", text)
	}
	if strings.Contains(text, "sk-very-secret") || !slices.Contains(r.Command, "[secret]") {
		t.Errorf("the command is shown as %q", r.Command)
	}
	log, err := os.ReadFile(filepath.Join(logs, "cold-1.log"))
	if err != nil || !strings.Contains(string(log), "it cannot") || strings.Contains(string(log), "WATCHDOG_PRICE=") {
		t.Errorf("%v, the server's log is %q", err, log)
	}
}
