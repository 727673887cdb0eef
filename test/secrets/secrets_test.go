package secrets

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/test/eventually"
	"github.com/gpu-watchdog/gpu-watchdog/test/program"
)

var binary string

func TestMain(m *testing.M) { os.Exit(program.Main(m, &binary)) }

// planted are the secrets, by the setting that holds each. None has a part in common with another, or with anything else.
var planted = map[string]string{
	"RUNPOD_API_KEY":          "rpa_INJECTEDq7w8e9r0t1y2u3i4o5p6",
	"WATCHDOG_RUNPOD_API_KEY": "rpa_BETTERz1x2c3v4b5n6m7a8s9d0f1",
	"WATCHDOG_STOP_URL":       "stophookT0KENm9n8b7v6c5x4z3",
	"WATCHDOG_NOTIFY_URL":     "notifyhookT0KENl1k2j3h4g5f6",
	"WATCHDOG_WEBHOOK_SECRET": "signingKEYp0o9i8u7y6t5r4e3",
	"WATCHDOG_STOP_COMMAND":   "argumentSECRETq1w2e3r4t5y6",
	"WATCHDOG_VLLM_URLS":      "basicPASSWORDu7i8o9p0a1s2",
	"HF_TOKEN":                "hf_NOTOURSd3f4g5h6j7k8l9",
}

// found says which secret is in the text, whole or but for its ends; empty where none is.
func found(text []byte) string {
	for name, s := range planted {
		core := s[4 : len(s)-4]
		if bytes.Contains(text, []byte(core)) {
			at := bytes.Index(text, []byte(core))
			return fmt.Sprintf("the secret of %s: …%q…", name, text[max(0, at-80):min(len(text), at+len(core)+20)])
		}
	}
	return ""
}

// gossip answers with all that it is told, and another status each time.
type gossip struct {
	*httptest.Server
	heard atomic.Int64
}

func newGossip(t *testing.T) *gossip {
	g := &gossip{}
	statuses := []int{401, 403, 500, 200, 404, 409, 400, 302, 422, 502}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<16))
		status := statuses[int(g.heard.Add(1))%len(statuses)]
		w.Header().Set("X-Request", r.URL.String())
		if status == 302 {
			w.Header().Set("Location", "http://"+r.Host+"/elsewhere?"+r.Header.Get("Authorization"))
		}
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"title": "refused: %s", "detail": "%s %s", "errors": [{"message": "no: %s"}], "error": %q}`,
			r.Header.Get("Authorization"), r.Method, r.URL, r.Header.Get("Authorization"), fmt.Sprint(r.Header, string(body)))
	}))
	t.Cleanup(g.Close)
	return g
}

// settings are those of a pod that soon wants to stop, by every means, each of which refuses and says back what it was told.
func settings(t *testing.T, dir string, g *gossip) []string {
	t.Helper()
	return []string{
		"RUNPOD_POD_ID=secretspod", "TMPDIR=" + dir, "HF_TOKEN=" + planted["HF_TOKEN"],
		"RUNPOD_API_KEY=" + planted["RUNPOD_API_KEY"], "WATCHDOG_RUNPOD_API_KEY=" + planted["WATCHDOG_RUNPOD_API_KEY"],
		"WATCHDOG_RUNPOD_API_URL=" + g.URL + "/v2", "WATCHDOG_RUNPOD_GRAPHQL_URL=" + g.URL + "/graphql",
		"WATCHDOG_STOP=runpod,webhook,command", "WATCHDOG_STOP_URL=" + g.URL + "/" + planted["WATCHDOG_STOP_URL"],
		"WATCHDOG_STOP_COMMAND=sh -c 'echo \"$0 and $RUNPOD_API_KEY $WATCHDOG_STOP_URL are refused\" >&2; exit 1' " + planted["WATCHDOG_STOP_COMMAND"],
		"WATCHDOG_NOTIFY_URL=" + g.URL + "/" + planted["WATCHDOG_NOTIFY_URL"], "WATCHDOG_WEBHOOK_SECRET=" + planted["WATCHDOG_WEBHOOK_SECRET"],
		"WATCHDOG_VLLM_URLS=" + g.URL, "WATCHDOG_GPUS=none", "WATCHDOG_TERMINAL_GUARD=0s",
		"WATCHDOG_DIR=" + filepath.Join(dir, "volume"), "WATCHDOG_START_ID_FILE=" + filepath.Join(dir, "start-id"),
		"WATCHDOG_CONTROL_SOCKET=" + filepath.Join(dir, "control"),
		"WATCHDOG_CHECK_INTERVAL=200ms", "WATCHDOG_MIN_RUNTIME=0s", "WATCHDOG_STARTUP_TIMEOUT=500ms", "WATCHDOG_BROKEN_LIMIT=500ms",
		"WATCHDOG_POLICY=fixed", "WATCHDOG_IDLE_LIMIT=600ms", "WATCHDOG_WARN_BEFORE=200ms", "WATCHDOG_MAX_RUNTIME=1s", "WATCHDOG_LOG_LEVEL=debug",
	}
}

// TestNothingShowsASecret: neither log, pages, commands, nor files.
func TestNothingShowsASecret(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	g := newGossip(t)
	env := settings(t, dir, g)
	p := program.Start(t, binary, env...)
	refusals := func() int { return len(p.Find(func(l program.Line) bool { return l.Msg() == "stop attempt answer" })) }
	eventually.Within(t, time.Minute, "each way to stop was asked twice, and notifications were tried", func() bool {
		told := p.Find(func(l program.Line) bool { return strings.Contains(l.Msg(), "notification") })
		return refusals() >= 8 && len(told) > 0
	})
	for _, path := range []string{"/", "/status", "/metrics", "/healthz", "/readyz", "/armedz", "/nothing"} {
		_, body := p.Get(path)
		if s := found([]byte(body)); s != "" {
			t.Errorf("%s shows %s", path, s)
		}
	}
	address := strings.TrimPrefix(p.URL(), "http://")
	for _, args := range [][]string{
		{"env"}, {"env", "--output", "json"}, {"status", "--address", address}, {"status", "--address", address, "--output", "json"},
		{"stop", "--rehearse"}, {"stop"}, {"hold", "5s", planted["WATCHDOG_NOTIFY_URL"][:4]}, {"release"}, {"report"}, {"version"},
	} {
		if s := found(output(t, env, args...)); s != "" {
			t.Errorf("gpu-watchdog %s shows %s", strings.Join(args, " "), s)
		}
	}
	p.Terminate(10 * time.Second)
	for _, line := range p.Lines() {
		if s := found([]byte(fmt.Sprint(line))); s != "" {
			t.Errorf("the log shows %s", s)
		}
	}
	looked := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		looked++
		if s := found(b); s != "" {
			t.Errorf("%s holds %s", path, s)
		}
		return err
	})
	if err != nil || looked < 2 {
		t.Errorf("%d files were looked at (%v), want the memory and the telemetry at least", looked, err)
	}
}

// TestNoMistakeShowsASecret: a setting that is refused is a secret all the same.
func TestNoMistakeShowsASecret(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	for name, mistakes := range map[string][]string{
		"WATCHDOG_RUNPOD_API_KEY":      {"%s with blanks", "%s\x01", "{{ RUNPOD_SECRET_%s }}"},
		"WATCHDOG_RUNPOD_API_KEY_FILE": {"%s", "/nowhere/at/all"},
		"WATCHDOG_STOP_URL":            {"%s", "ftp://host/%s", "http://example.com/%s", "https://user:%s@example.com/", "https://example.com/%s#part", "https://exa mple.com/%s"},
		"WATCHDOG_NOTIFY_URL":          {"%s", "https://hooks.slack.com/%s", "https://discord.com/api/webhooks/%s", "http://example.com/?key=%s"},
		"WATCHDOG_WEBHOOK_SECRET":      {"%s with blanks", "%s\x7f"},
		"WATCHDOG_STOP_COMMAND":        {"curl -H 'key: %s", "curl %s | sh", `["curl", "%s"`},
		"WATCHDOG_VLLM_URLS":           {"http://user:%s@127.0.0.1:8000", "http://127.0.0.1:8000/?key=%s"},
		"WATCHDOG_RUNPOD_API_URL":      {"https://user:%s@api.runpod.io/v2", "https://api.runpod.io/v2?key=%s"},
	} {
		for _, mistake := range mistakes {
			secret := planted[strings.TrimSuffix(name, "_FILE")]
			if secret == "" {
				secret = planted["WATCHDOG_RUNPOD_API_KEY"]
			}
			value := mistake
			if strings.Contains(mistake, "%s") {
				value = fmt.Sprintf(mistake, secret)
			}
			env := []string{"WATCHDOG_LISTEN=127.0.0.1:0", "TMPDIR=" + dir, name + "=" + value, "WATCHDOG_STOP=webhook,command"}
			for _, command := range []string{"run", "env"} {
				text := output(t, env, command)
				if !bytes.Contains(text, []byte("mistake")) {
					t.Errorf("%s: %s=%q is no mistake: %s", command, name, mistake, text)
				}
				if s := found(text); s != "" {
					t.Errorf("%s: the mistake in %s=%q shows %s", command, name, mistake, s)
				}
			}
		}
	}
}

// output is all that a command writes.
func output(t *testing.T, env []string, args ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	out, err := cmd.CombinedOutput()
	if len(out) == 0 {
		t.Errorf("gpu-watchdog %s writes nothing (%v)", strings.Join(args, " "), err)
	}
	return out
}

// shortDir is a folder whose path leaves room for a socket's.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gw")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // what is left is in the temporary folder
	return dir
}
