package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/ingest"
	"github.com/gpu-watchdog/gpu-watchdog/internal/memory"
	"github.com/gpu-watchdog/gpu-watchdog/internal/store"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// reported runs `report` as a user does.
func reported(t *testing.T, args ...string) (out, progress string, err error) {
	t.Helper()
	root := newRoot()
	var stdout, stderr bytes.Buffer
	root.SetOut(&stdout)
	root.SetErr(&stderr)
	root.SetArgs(append([]string{"report"}, args...))
	err = root.ExecuteContext(t.Context())
	return stdout.String(), stderr.String(), err
}

// keepRows makes the database that `run` would, with rows of today.
func keepRows(t *testing.T, path string, rows int) {
	t.Helper()
	s := store.Open(store.Config{Path: path, Run: store.Run{Version: "1", Name: "pod", StartID: "s", Config: "0"}})
	var b ingest.Batch
	for n := range rows {
		b.Requests = append(b.Requests, ingest.Request{
			Source: ingest.FromPost, Key: string(rune('a' + n)), ID: string(rune('a' + n)), FinishedAt: time.Now(), TTFT: watchdog.Known(0.5), OutputTokens: watchdog.Known(int64(10)),
		})
	}
	if err := s.Add(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestReportReadsTheFileThatRunWrites(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("WATCHDOG_DIR", dir)
	t.Setenv("WATCHDOG_NAME", "pod-7")
	place := memory.Choose(dir, "pod-7", os.TempDir())
	keepRows(t, filepath.Join(place.Dir, telemetryFile), 3)
	out, _, err := reported(t, "--output", "json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Name string
		Days []struct {
			Date     string
			Requests int `json:"total_requests"`
		}
	}
	if err := json.Unmarshal([]byte(out), &d); err != nil || d.Name != "pod-7" || len(d.Days) == 0 || d.Days[0].Requests != 3 {
		t.Errorf("%v: %s", err, out)
	}
	for format, want := range map[string]string{"table": "Total Requests  SLA Met  Total Tokens  Goodput TPS  SLA Compliance\n", "csv": "date,open,total_requests,sla_met_requests,"} {
		if out, _, err := reported(t, "--days", "2", "-o", format); err != nil || !strings.Contains(out, want) {
			t.Errorf("%s: %v: %s", format, err, out)
		}
	}
}

// `run` falls back to the temporary folder where it cannot write to its own; then that file is the newer one.
func TestReportTakesTheFileThatWasWrittenLast(t *testing.T) {
	dir, temp := t.TempDir(), t.TempDir()
	t.Setenv("WATCHDOG_DIR", dir)
	t.Setenv("WATCHDOG_NAME", "pod-7")
	t.Setenv("TMPDIR", temp)
	fallback := memory.Choose("/proc/nowhere", "pod-7", temp).Dir
	if fallback == "" {
		t.Fatal("there is no folder to fall back to")
	}
	older, newer := filepath.Join(dir, "pod-7", telemetryFile), filepath.Join(fallback, telemetryFile)
	keepRows(t, older, 1)
	keepRows(t, newer, 2)
	for _, c := range []struct {
		ages map[string]time.Duration
		want string
	}{
		{map[string]time.Duration{older: time.Hour, newer: 0}, "2"}, {map[string]time.Duration{older: 0, newer: time.Hour}, "1"},
	} {
		for path, age := range c.ages {
			if err := os.Chtimes(path, time.Time{}, time.Now().Add(-age)); err != nil {
				t.Fatal(err)
			}
		}
		out, _, err := reported(t, "--output", "csv")
		lines := strings.Split(strings.TrimSpace(out), "\n")
		if total := strings.Split(lines[len(lines)-1], ","); err != nil || total[0] != "total" || total[2] != c.want {
			t.Errorf("%v, want %s requests: %s", err, c.want, out)
		}
	}
}

func TestReportSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("WATCHDOG_DIR", dir)
	t.Setenv("WATCHDOG_NAME", "pod-7")
	t.Setenv("TMPDIR", t.TempDir())
	damaged := filepath.Join(t.TempDir(), "damaged.db")
	if err := os.WriteFile(damaged, bytes.Repeat([]byte("no database "), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		code int
		want []string
	}{
		{nil, 1, []string{"no telemetry in " + filepath.Join(dir, "pod-7"), "gpu-watchdog run", "--db"}},
		{[]string{"--db", "/nowhere/telemetry.db"}, 1, []string{"no file /nowhere/telemetry.db", "WATCHDOG_DIR"}},
		{[]string{"--db", dir}, 1, []string{"is a folder"}},
		{[]string{"--db", damaged}, 1, []string{damaged, "not a database"}},
		{[]string{"--days", "0"}, 2, []string{"--days 0"}},
		{[]string{"--days", "1000"}, 2, []string{"--days 1000"}},
		{[]string{"--days", "x"}, 2, []string{"--days"}},
		{[]string{"--days", "7", "--from", "2026-01-01"}, 2, []string{"contradict"}},
		{[]string{"--from", "1.1.2026"}, 2, []string{"--from", "2026-01-31"}},
		{[]string{"--to", "yesterday"}, 2, []string{"--to"}},
		{[]string{"--from", "2026-01-02", "--to", "2026-01-01"}, 2, []string{"no day"}},
		{[]string{"--output", "yaml"}, 2, []string{"table, json, csv"}},
		{[]string{"today"}, 2, []string{"today"}},
	} {
		out, _, err := reported(t, c.args...)
		if exitCode(err) != c.code || out != "" {
			t.Errorf("%q: exit code %d, %v, printed %q", c.args, exitCode(err), err, out)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v, without %q", c.args, err, want)
			}
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("asking left %v behind: %v", left, err)
	}
}

func TestReportWritesAPage(t *testing.T) {
	folder := t.TempDir()
	file, html := filepath.Join(folder, "pod-7", telemetryFile), filepath.Join(folder, "report.html")
	keepRows(t, file, 2)
	out, progress, err := reported(t, "--db", file, "--html", html)
	if err != nil || !strings.Contains(progress, html) || !strings.Contains(out, "Total Requests") {
		t.Fatalf("%v, said %q, printed %s", err, progress, out)
	}
	text, err := os.ReadFile(html)
	if err != nil || !strings.HasPrefix(string(text), "<!doctype html>") || !strings.HasSuffix(string(text), "</html>\n") || !strings.Contains(string(text), "<h1>pod-7</h1>") {
		t.Errorf("%v: %.300s", err, text)
	}
	if out, _, err := reported(t, "--db", file, "--html", "-"); err != nil || !strings.HasPrefix(out, "<!doctype html>") || strings.Contains(out, "Goodput TPS  ") {
		t.Errorf("%v: %.300s", err, out)
	}
	if _, _, err := reported(t, "--db", file, "--html", filepath.Join(folder, "none", "report.html")); exitCode(err) != 1 {
		t.Errorf("a folder that is not there: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(folder, ".report-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	// A range without anything is an answer, too.
	for _, format := range []string{"table", "json", "csv"} {
		if out, _, err := reported(t, "--db", file, "--from", "2020-01-01", "--to", "2020-01-02", "-o", format); err != nil || out == "" {
			t.Errorf("%s: %v, %q", format, err, out)
		}
	}
}
