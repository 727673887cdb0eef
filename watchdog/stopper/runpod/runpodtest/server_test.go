package runpodtest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/runpod/internal/conformity"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/runpod/runpodtest"
)

// document is RunPod's, read once.
var document = sync.OnceValues(conformity.Load)

// caller asks a server by hand, and holds requests and answers against RunPod's document.
type caller struct {
	t      *testing.T
	server *runpodtest.Server
	http   *http.Client
	// key is sent where it is not empty.
	key string
}

func call(t *testing.T, opts runpodtest.Options) *caller {
	t.Helper()
	document, err := document()
	if err != nil {
		t.Fatal(err)
	}
	server := runpodtest.New(opts)
	t.Cleanup(server.Close)
	wire := &conformity.Transport{Base: &http.Transport{DisableKeepAlives: true}, Document: document}
	t.Cleanup(func() {
		faults, _ := wire.Faults()
		for _, err := range faults {
			t.Error(err)
		}
	})
	return &caller{t: t, server: server, http: &http.Client{Transport: wire, Timeout: 10 * time.Second}, key: "any"}
}

// do returns status and body.
func (c *caller) do(method, url, body string, headers ...string) (int, string) {
	c.t.Helper()
	status, answer, err := c.try(method, url, body, headers...)
	if err != nil {
		c.t.Fatal(err)
	}
	return status, answer
}

func (c *caller) try(method, url, body string, headers ...string) (int, string, error) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := c.http.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	return res.StatusCode, string(answer), err
}

func (c *caller) pod() string { return c.server.URL() + "/pods/" + c.server.PodID() }

func (c *caller) act(action string) int {
	status, _ := c.do(http.MethodPost, c.pod()+"/action", `{"action":"`+action+`"}`)
	return status
}

// TestStates walks through RunPod's table of states and actions; every answer is held against the document.
func TestStates(t *testing.T) {
	for _, c := range []struct {
		from                            string
		start, stop, restart, terminate int
	}{
		{runpodtest.Running, 409, 200, 200, 204},
		{runpodtest.Provisioning, 409, 200, 409, 204},
		{runpodtest.Starting, 409, 200, 409, 204},
		{runpodtest.Exited, 200, 409, 409, 204},
		{runpodtest.Error, 200, 409, 409, 204},
		{runpodtest.Terminated, 404, 404, 404, 404},
	} {
		for action, want := range map[string]int{"start": c.start, "stop": c.stop, "restart": c.restart, "terminate": c.terminate} {
			t.Run(c.from+" "+action, func(t *testing.T) {
				caller := call(t, runpodtest.Options{Status: c.from, CostUSDPerHour: 1})
				if got := caller.act(action); got != want {
					t.Errorf("status %d, want %d", got, want)
				}
				after := map[string]string{"start": runpodtest.Starting, "stop": runpodtest.Exited, "restart": c.from, "terminate": runpodtest.Terminated}[action]
				if want >= 300 {
					after = c.from
				}
				if got := caller.server.Status(); got != after {
					t.Errorf("the pod is %s, want %s", got, after)
				}
				status, body := caller.do(http.MethodGet, caller.pod(), "")
				if (status == 404) != (after == runpodtest.Terminated) {
					t.Errorf("read: %d %s", status, body)
				}
				if costs := strings.Contains(body, `"cost":1,`); costs != (status == 200 && after != runpodtest.Exited) {
					t.Errorf("a pod that is %s: %s", after, body)
				}
			})
		}
	}
}

// TestDelete is the other way to terminate; every answer is held against the document.
func TestDelete(t *testing.T) {
	for from, want := range map[string]int{
		runpodtest.Running: 204, runpodtest.Starting: 204, runpodtest.Exited: 204, runpodtest.Error: 204, runpodtest.Terminated: 404,
	} {
		ended := make(chan struct{}, 2)
		c := call(t, runpodtest.Options{Status: from, Locked: true, OnStop: func() { ended <- struct{}{} }})
		if status, body := c.do(http.MethodDelete, c.pod(), ""); status != want || c.server.Status() != runpodtest.Terminated {
			t.Errorf("from %s: %d %s, the pod is %s", from, status, body, c.server.Status())
		}
		if status, _ := c.do(http.MethodDelete, c.pod(), ""); status != 404 {
			t.Errorf("from %s, again: %d", from, status)
		}
		c.server.Close() // waits for the hook
		if did := want == 204; (len(ended) == 1) != did || (c.server.Terminations() == 1) != did || c.server.Stops() != 0 {
			t.Errorf("from %s: the hook was called %d times for %d terminations", from, len(ended), c.server.Terminations())
		}
	}
	c := call(t, runpodtest.Options{Refused: []runpodtest.Call{runpodtest.V2Delete}})
	if status, _ := c.do(http.MethodDelete, c.pod(), ""); status != 403 {
		t.Errorf("refused: %d", status)
	}
}

// TestStorage: at most one kind, in the document's form and in GraphQL's.
func TestStorage(t *testing.T) {
	query := `{"query":"query($podId: String!) { pod(input: {podId: $podId}) { volumeInGb networkVolumeId } }","variables":{"podId":"testpod"}}`
	for _, c := range []struct {
		opts            runpodtest.Options
		mounts, graphql string
	}{
		{runpodtest.Options{}, `"mounts":{"persistent":{"path":"/workspace","size":20}}`, `{"networkVolumeId":null,"volumeInGb":20}`},
		{runpodtest.Options{VolumeGB: 100}, `"mounts":{"persistent":{"path":"/workspace","size":100}}`, `{"networkVolumeId":null,"volumeInGb":100}`},
		{runpodtest.Options{VolumeGB: -1}, `"mounts":{}`, `{"networkVolumeId":null,"volumeInGb":0}`},
		{runpodtest.Options{VolumeGB: 100, NetworkVolume: "v"}, `"mounts":{"network":[{"path":"/workspace","volumeId":"v"}]}`, `{"networkVolumeId":"v","volumeInGb":0}`},
	} {
		caller := call(t, c.opts)
		if status, body := caller.do(http.MethodGet, caller.pod(), ""); status != 200 || !strings.Contains(body, c.mounts) {
			t.Errorf("%+v: %d %s", c.opts, status, body)
		}
		if _, body := caller.do(http.MethodPost, caller.server.GraphQLURL(), query); body != `{"data":{"pod":`+c.graphql+`}}` {
			t.Errorf("%+v: %s", c.opts, body)
		}
	}
}

// TestNetworkNeverStops: such a pod publishes no stop and conflicts with it, and can be terminated.
func TestNetworkNeverStops(t *testing.T) {
	for network, want := range map[string]int{"": 200, "v": 409} {
		c := call(t, runpodtest.Options{NetworkVolume: network, NetworkNeverStops: true})
		_, body := c.do(http.MethodGet, c.pod(), "")
		if offered := strings.Contains(body, `"actions":["stop",`); offered != (want == 200) {
			t.Errorf("network volume %q: %s", network, body)
		}
		if got := c.act("stop"); got != want {
			t.Errorf("network volume %q: stop %d", network, got)
		}
		if got := c.act("terminate"); got != 204 {
			t.Errorf("network volume %q: terminate %d", network, got)
		}
	}
}

func TestRefusals(t *testing.T) {
	c := call(t, runpodtest.Options{APIKey: "right", Refused: []runpodtest.Call{runpodtest.V2Action}})
	c.key = "wrong"
	if status, _ := c.do(http.MethodGet, c.pod(), ""); status != 401 {
		t.Errorf("wrong key: %d", status)
	}
	c.key = "right"
	if status, _ := c.do(http.MethodGet, c.pod(), ""); status != 200 {
		t.Errorf("right key: %d", status)
	}
	if status := c.act("stop"); status != 403 {
		t.Errorf("refused call: %d", status)
	}
	if status, _ := c.do(http.MethodGet, c.server.URL()+"/pods/another", ""); status != 404 {
		t.Errorf("another pod: %d", status)
	}
	c.server.Refuse()
	if status := c.act("stop"); status != 200 {
		t.Errorf("allowed again: %d", status)
	}
	c.server.SetStatus(runpodtest.Running)
	c.server.SetLocked(true)
	if status := c.act("stop"); status != 409 {
		t.Errorf("locked: %d", status)
	}
}

// TestBadRequests are such that the document forbids them, so they go by a client that does not check.
func TestBadRequests(t *testing.T) {
	c := call(t, runpodtest.Options{})
	c.http = &http.Client{Timeout: 10 * time.Second}
	for _, one := range []struct {
		name, method, path, body string
		headers                  []string
		want                     int
		says                     string
	}{
		{"other field", "POST", "/action", `{"action":"stop","force":true}`, nil, 422, "additional properties 'force' not allowed"},
		{"no field", "POST", "/action", `{}`, nil, 422, "missing property 'action'"},
		{"other action", "POST", "/action", `{"action":"reset"}`, nil, 422, "$.action"},
		{"no JSON", "POST", "/action", `stop`, nil, 422, "not a JSON object"},
		{"other content type", "POST", "/action", `{"action":"stop"}`, []string{"Content-Type", "text/plain"}, 422, "content type"},
		{"path of API v1", "POST", "/stop", ``, nil, 404, "resource not found"},
		{"other method", "PUT", "", `{}`, nil, 404, "resource not found"},
		{"no key", "GET", "", "", []string{"Authorization", ""}, 401, "missing bearer token"},
		{"no User-Agent", "GET", "", "", []string{"User-Agent", ""}, 403, "error code: 1010"},
		{"Python's User-Agent", "GET", "", "", []string{"User-Agent", "Python-urllib/3.12"}, 403, "error code: 1010"},
		{"huge", "POST", "/action", strings.Repeat(" ", 100<<10), nil, 413, "cannot be read"},
	} {
		t.Run(one.name, func(t *testing.T) {
			status, body := c.do(one.method, c.pod()+one.path, one.body, one.headers...)
			if status != one.want || !strings.Contains(body, one.says) {
				t.Errorf("%d %s; want %d and %q", status, body, one.want, one.says)
			}
		})
	}
	if c.server.Status() != runpodtest.Running || c.server.Stops() != 0 {
		t.Errorf("after bad requests the pod is %s", c.server.Status())
	}
}

func TestGraphQL(t *testing.T) {
	stop := `{"query":"mutation($podId: String!) { podStop(input: {podId: $podId}) { id desiredStatus } }","variables":{"podId":"testpod"}}`
	end := `{"query":"mutation($podId: String!) { podTerminate(input: {podId: $podId}) }","variables":{"podId":"testpod"}}`
	read := `{"query":"query($podId: String!) { pod(input: {podId: $podId}) { id desiredStatus costPerHr } }","variables":{"podId":"testpod"}}`
	for _, c := range []struct {
		name string
		opts runpodtest.Options
		body string
		want string
		then string
	}{
		{"stop", runpodtest.Options{}, stop, `{"data":{"podStop":{"desiredStatus":"EXITED","id":"testpod"}}}`, runpodtest.Exited},
		{"read", runpodtest.Options{CostUSDPerHour: 0.5}, read, `{"data":{"pod":{"costPerHr":"0.5","desiredStatus":"RUNNING","id":"testpod"}}}`, runpodtest.Running},
		{"never stops", runpodtest.Options{NeverStops: true}, stop, `{"data":{"podStop":{"desiredStatus":"EXITED","id":"testpod"}}}`, runpodtest.Running},
		{"terminate", runpodtest.Options{}, end, `{"data":{"podTerminate":null}}`, runpodtest.Terminated},
		{"terminate, locked", runpodtest.Options{Locked: true}, end, `{"data":{"podTerminate":null}}`, runpodtest.Terminated},
		{"terminate, never", runpodtest.Options{NeverStops: true}, end, `{"data":{"podTerminate":null}}`, runpodtest.Running},
		{"terminate, refused", runpodtest.Options{Refused: []runpodtest.Call{runpodtest.GraphQLTerminate}}, end, `{"data":{"podTerminate":null},"errors":[{"message":"Unauthorized","path":["podTerminate"]}]}`, runpodtest.Running},
		{"terminate, gone", runpodtest.Options{Status: runpodtest.Terminated}, end, `{"data":{"podTerminate":null},"errors":[{"message":"pod not found to terminate","path":["podTerminate"]}]}`, runpodtest.Terminated},
		{"stop with a network volume", runpodtest.Options{NetworkVolume: "v", NetworkNeverStops: true}, stop, `{"data":{"podStop":null},"errors":[{"message":"Something went wrong. Please try again later or contact support.","path":["podStop"]}]}`, runpodtest.Running},
		{"refused", runpodtest.Options{Refused: []runpodtest.Call{runpodtest.GraphQLStop}}, stop, `{"data":{"podStop":null},"errors":[{"message":"Unauthorized","path":["podStop"]}]}`, runpodtest.Running},
		{"wrong key", runpodtest.Options{APIKey: "right"}, read, `{"data":{"pod":null},"errors":[{"message":"Unauthorized","path":["pod"]}]}`, runpodtest.Running},
		{"another pod", runpodtest.Options{PodID: "mine"}, stop, `{"data":{"podStop":null},"errors":[{"message":"pod not found","path":["podStop"]}]}`, runpodtest.Running},
		{"locked", runpodtest.Options{Locked: true}, stop, `{"data":{"podStop":null},"errors":[{"message":"Something went wrong. Please try again later or contact support.","path":["podStop"]}]}`, runpodtest.Running},
	} {
		t.Run(c.name, func(t *testing.T) {
			caller := call(t, c.opts)
			status, body := caller.do(http.MethodPost, caller.server.GraphQLURL(), c.body)
			if status != 200 || body != c.want || caller.server.Status() != c.then {
				t.Errorf("%d, pod %s\ngot  %s\nwant %s", status, caller.server.Status(), body, c.want)
			}
		})
	}
	caller := call(t, runpodtest.Options{})
	if status, body := caller.do(http.MethodPost, caller.server.GraphQLURL(), "{}"); status != 400 || !strings.Contains(body, "errors") {
		t.Errorf("no query: %d %s", status, body)
	}
}

func TestFaults(t *testing.T) {
	c := call(t, runpodtest.Options{})
	c.http = &http.Client{Timeout: 10 * time.Second}
	c.server.Inject(runpodtest.V2Read, runpodtest.TooManyRequests("7"), runpodtest.HTML(502, "Bad gateway"), runpodtest.Fault{Delay: 20 * time.Millisecond})
	for _, want := range []int{429, 502, 200, 200} {
		if got, _ := c.do(http.MethodGet, c.pod(), ""); got != want {
			t.Errorf("status %d, want %d", got, want)
		}
	}
	c.server.Inject(runpodtest.V2Action, runpodtest.Fault{Status: 500, Forever: true})
	for range 3 {
		if got := c.act("stop"); got != 500 {
			t.Errorf("status %d, want 500 for ever", got)
		}
	}
	c.server.Heal()
	if got := c.act("stop"); got != 200 {
		t.Errorf("status %d after healing", got)
	}

	// A read is tried again where a kept connection breaks; a fresh one shows the fault.
	c.http.Transport = &http.Transport{DisableKeepAlives: true}
	c.server.Inject(runpodtest.V2Read, runpodtest.Fault{Drop: true})
	if _, _, err := c.try(http.MethodGet, c.pod(), ""); !errors.Is(err, io.EOF) {
		t.Errorf("a cut connection gave %v", err)
	}
	c.http.Timeout = 50 * time.Millisecond
	c.server.Inject(runpodtest.V2Read, runpodtest.Fault{Hang: true})
	var timeout net.Error
	if _, _, err := c.try(http.MethodGet, c.pod(), ""); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("a server that hangs gave %v", err)
	}
}

// TestCloseFreesWhatHangs, or it would wait for ever.
func TestCloseFreesWhatHangs(t *testing.T) {
	c := call(t, runpodtest.Options{})
	c.http = &http.Client{}
	c.server.Inject(runpodtest.V2Read, runpodtest.Fault{Hang: true})
	failed := make(chan error, 1)
	go func() {
		_, _, err := c.try(http.MethodGet, c.pod(), "")
		failed <- err
	}()
	poll := time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for range 5000 {
		if c.server.Pending() == 1 {
			break
		}
		<-poll.C
	}
	c.server.Close()
	c.server.Close()
	if err := <-failed; err == nil {
		t.Error("a request that hung was answered")
	}
}

func TestOnStop(t *testing.T) {
	for _, never := range []bool{false, true} {
		called := make(chan struct{}, 10)
		c := call(t, runpodtest.Options{NeverStops: never, OnStop: func() { called <- struct{}{} }})
		first, second := c.act("stop"), c.act("stop")
		if want := map[bool]int{false: 409, true: 200}[never]; first != 200 || second != want {
			t.Errorf("never stops: %t; status %d and %d", never, first, second)
		}
		c.server.Close() // waits for the handlers, so for the hook
		if got, want := len(called), map[bool]int{false: 1, true: 0}[never]; got != want {
			t.Errorf("never stops: %t; the hook was called %d times, want %d", never, got, want)
		}
		if got, want := c.server.Stops(), map[bool]int{false: 1, true: 2}[never]; got != want {
			t.Errorf("never stops: %t; %d stops, want %d", never, got, want)
		}
	}
}

// TestRateLimitHeaders: RunPod tells every caller whose key it knows how much is left.
func TestRateLimitHeaders(t *testing.T) {
	for key, want := range map[string]bool{"right": true, "wrong": false} {
		c := call(t, runpodtest.Options{APIKey: "right"})
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.pod(), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key)
		res, err := c.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		for _, name := range []string{"RateLimit", "RateLimit-Policy"} {
			if got := res.Header.Get(name); strings.Contains(got, `"minute";`) != want {
				t.Errorf("key %s, %s: %q", key, name, got)
			}
		}
	}
}

// TestTheAnswerComesBeforeOnStop, whole: what ends in the hook has got it.
func TestTheAnswerComesBeforeOnStop(t *testing.T) {
	free := make(chan struct{})
	c := call(t, runpodtest.Options{OnStop: func() { <-free }})
	defer close(free)
	if status := c.act("stop"); status != 200 {
		t.Errorf("status %d", status)
	}
	if c.server.Pending() != 1 {
		t.Error("the hook is not running any more")
	}
}

func TestRequestsAreRecorded(t *testing.T) {
	c := call(t, runpodtest.Options{Env: map[string]string{"TOKEN": "x"}})
	_, body := c.do(http.MethodGet, c.pod(), "")
	c.act("stop")
	var pod struct {
		Env map[string]string `json:"env"`
	}
	if err := json.Unmarshal([]byte(body), &pod); err != nil || pod.Env["TOKEN"] != "x" {
		t.Errorf("error %v, pod %s", err, body)
	}
	got := c.server.Requests()
	if len(got) != 2 {
		t.Fatalf("%d requests", len(got))
	}
	if r := got[1]; r.Call != runpodtest.V2Action || r.Method != "POST" || r.Path != "/v2/pods/testpod/action" || r.Query != "" ||
		!bytes.Equal(r.Body, []byte(`{"action":"stop"}`)) || r.Status != 200 || r.Header.Get("Authorization") != "Bearer any" {
		t.Errorf("request %+v", r)
	}
}

func TestListenAndServe(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	taken := runpodtest.New(runpodtest.Options{})
	defer taken.Close()
	addr := strings.TrimSuffix(strings.TrimPrefix(taken.URL(), "http://"), "/v2")
	if err := runpodtest.ListenAndServe(ctx, addr, runpodtest.Options{}); err == nil || !strings.Contains(err.Error(), "simulated RunPod") {
		t.Errorf("a port that is taken gave %v", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- runpodtest.ListenAndServe(ctx, "127.0.0.1:0", runpodtest.Options{}) }()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
