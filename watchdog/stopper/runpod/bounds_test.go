package runpod_test

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/runpod"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/runpod/runpodtest"
)

// TestAnEndlessAnswer: of 200 MB a few are taken off the wire, and little more is ever held.
func TestAnEndlessAnswer(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	const size = 200 << 20
	var sent atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		block := bytes.Repeat([]byte("x"), 64<<10)
		for range size / len(block) {
			n, err := w.Write(block)
			sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	}))
	defer server.Close()
	client, err := runpod.New(runpod.Config{PodID: "pod1", APIKey: key, APIURL: server.URL, GraphQLURL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for _, r := range client.Rungs() {
		answer := r.Stop(t.Context())
		checkShown(t, answer.Detail)
		if answer.Kind == stopper.Failed != (r.Name() == "graphql") {
			t.Errorf("%s: %+v", r.Name(), answer)
		}
	}
	_, _, err = client.Describe(t.Context())
	if err == nil {
		t.Error("an endless answer describes a pod")
	}
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 40<<20 {
		t.Errorf("%d MiB allocated for four answers, want at most 40", used>>20)
	}
	if sent.Load() > 80<<20 {
		t.Errorf("%d MiB were taken off the wire", sent.Load()>>20)
	}
}

// TestRedirectsAreNotFollowed, since the key would go along.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	server := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer server.Close()
	for _, given := range []*http.Client{nil, {CheckRedirect: func(*http.Request, []*http.Request) error { return nil }}} {
		client, err := runpod.New(runpod.Config{PodID: "pod1", APIKey: key, APIURL: server.URL, GraphQLURL: server.URL, HTTPClient: given})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range client.Rungs() {
			if answer := r.Stop(t.Context()); answer.Kind != stopper.Failed || !strings.HasPrefix(answer.Detail, "redirected, not followed") {
				t.Errorf("%s: %+v", r.Name(), answer)
			}
		}
	}
	if elsewhere.Load() != 0 {
		t.Errorf("%d requests went on", elsewhere.Load())
	}
}

// TestABadCertificate: nothing is sent to a server that cannot prove its name.
func TestABadCertificate(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	var served atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served.Add(1) }))
	server.Config.ErrorLog = zap.NewStdLog(zap.NewNop())
	server.StartTLS()
	defer server.Close()
	client, err := runpod.New(runpod.Config{PodID: "pod1", APIKey: key, APIURL: server.URL, GraphQLURL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range client.Rungs() {
		if answer := r.Stop(t.Context()); answer.Kind != stopper.Failed || !strings.Contains(answer.Detail, "certificate") {
			t.Errorf("%s: %+v", r.Name(), answer)
		}
	}
	if served.Load() != 0 {
		t.Error("a request was served")
	}
}

// TestDryNeverDials: with DRY_RUN the client exists, and still nobody connects.
func TestDryNeverDials(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan error, 1)
	go func() {
		conn, err := listener.Accept()
		if err == nil {
			_ = conn.Close()
		}
		accepted <- err
	}()
	root := "http://" + listener.Addr().String()
	change, runs := script(t, "echo stopped")
	cfg := runpod.Config{PodID: "pod1", APIKey: key, APIURL: root + "/v2", GraphQLURL: root + "/graphql"}
	change(&cfg)
	client, err := runpod.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	report := stopper.Dry{Target: client.Target()}.Stop(t.Context())
	if report.Phase != watchdog.StopWouldHave || report.Target != "runpod" || !strings.Contains(report.Detail, "pod1") {
		t.Errorf("report %+v", report)
	}
	_ = listener.Close()
	if err := <-accepted; err == nil {
		t.Error("somebody connected")
	}
	if ran, err := http.Dir("/").Open(runs); err == nil {
		_ = ran.Close()
		t.Error("runpodctl ran")
	}
}

// TestTheWholeLadder against one RunPod, by what the key may do.
func TestTheWholeLadder(t *testing.T) {
	for _, c := range []struct {
		name    string
		refused []runpodtest.Call
		ctl     string
		want    string // the rung that said yes
		asked   string
	}{
		{"v2 says yes", nil, "exit 1", "v2_action", "v2_action"},
		{"v2 denies", []runpodtest.Call{runpodtest.V2Action}, "exit 1", "graphql", "v2_action graphql_stop"},
		{"both deny", []runpodtest.Call{runpodtest.V2Action, runpodtest.GraphQLStop}, "echo stopped", "runpodctl", "v2_action graphql_stop"},
		{"all deny", []runpodtest.Call{runpodtest.V2Action, runpodtest.GraphQLStop}, "echo 403; exit 1", "", "v2_action graphql_stop"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var lines bytes.Buffer
			log := zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.AddSync(&lines), zapcore.DebugLevel))
			change, _ := script(t, c.ctl)
			stopped := make(chan struct{}, 1)
			b := newBench(t, runpodtest.Options{Refused: c.refused, OnStop: func() { stopped <- struct{}{} }}, false, change)
			l := stopper.NewLadder(log, stopper.Flight{Target: b.Target(), Rungs: b.Rungs(), Each: 10 * time.Second})
			var kinds []string
			l.OnAnswer = func(_ stopper.Target, a stopper.Answer) { kinds = append(kinds, a.Kind.String()) }
			report := l.Stop(t.Context())

			if report.Rung != c.want || (report.Phase == watchdog.StopAccepted) != (c.want != "") {
				t.Errorf("report %+v", report)
			}
			if b.calls() != c.asked {
				t.Errorf("asked %s, want %s", b.calls(), c.asked)
			}
			b.server.Close() // waits for the hook
			if byAPI := c.want == "v2_action" || c.want == "graphql"; (len(stopped) == 1) != byAPI {
				t.Errorf("RunPod stopped the pod %d times", len(stopped))
			}
			if n := strings.Count(lines.String(), `"msg":"stop attempt answer"`); n != len(kinds) || n == 0 {
				t.Errorf("%d lines for the answers %v", n, kinds)
			}
			if strings.Contains(lines.String(), key) {
				t.Errorf("the log has the key:\n%s", lines.String())
			}
		})
	}
}
