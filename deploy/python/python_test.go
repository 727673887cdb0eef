package python_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/ingest"
)

// python runs a program in this folder and fails the test where it fails. CI has a Python; elsewhere one may be missing.
func python(t *testing.T, arguments ...string) string {
	t.Helper()
	if _, err := exec.LookPath("python3"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("CI has no python3: install it")
		}
		t.Skip("there is no python3 here")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "python3", arguments...)
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	cmd.WaitDelay = time.Second
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python3 %v: %v\n%s%s", arguments, err, out, said.Bytes())
	}
	return string(out)
}

func TestHelper(t *testing.T) { python(t, "-m", "unittest", "test_gpu_watchdog_rows") }

// sink keeps what comes, and is busy the first times.
type sink struct {
	mu       sync.Mutex
	busy     int
	requests map[string]ingest.Request
	labels   []ingest.Labels
}

func (s *sink) Add(_ context.Context, b ingest.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy > 0 {
		s.busy--
		return ingest.ErrBusy
	}
	for _, r := range b.Requests {
		s.requests[r.Key] = r
	}
	s.labels = append(s.labels, b.Labels...)
	return nil
}

// What the helper posts is what the watchdog takes: the same stamps, by way of both.
func TestHelperAgainstTheWatchdog(t *testing.T) {
	rows := &sink{busy: 2, requests: map[string]ingest.Request{}}
	server := ingest.New(ingest.Config{Listen: "127.0.0.1:0", Sink: rows})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- server.Run(ctx) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	for end := time.Now().Add(10 * time.Second); server.Address() == ""; <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the server does not listen")
		}
	}
	program := fmt.Sprintf(`
from gpu_watchdog_rows import Rows
from test_gpu_watchdog_rows import output, v0, v1
rows = Rows("http://%s", model="m")
rows.FIRST_PAUSE, rows.LONGEST_PAUSE = 0.01, 0.05
ids = rows.add([output(str(i), v1()) for i in range(450)], labels={"restaurant_id": 12, "analysis_type": "sentiment"})
rows.add([output("v0", v0(), tokens=(11,)), output("none"), output("aborted", v1(), tokens=(0,)), output("one", v1(last_token_ts=7032.645439175, num_generation_tokens=1), tokens=(1,))])
rows.label("cmpl-abc", {"restaurant_id": 7})
assert rows.flush(30) and rows.dropped == 0 and rows.posted == 455, (rows.posted, rows.dropped)
print(ids[0])
`, server.Address())
	first := python(t, "-c", program)
	activity, _, _ := server.Activity()
	if len(rows.requests) != 454 || len(rows.labels) != 1 || activity == 0 { // most of the stamps are of a recording, long ago
		t.Fatalf("%d requests and %d labels came, activity %d", len(rows.requests), len(rows.labels), activity)
	}
	r := rows.requests[first[:len(first)-1]]
	if r.Model != "m" || r.OutputTokens.Value != 40 || r.PromptTokens.Value != 26 || r.Labels["restaurant_id"] != "12" || r.Labels["analysis_type"] != "sentiment" {
		t.Errorf("the first row is %+v", r)
	}
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"queue", r.Queue.Value, 0.00004018}, {"prefill", r.Prefill.Value, 0.040970015}, {"decode", r.Decode.Value, 0.261211932},
		{"TTFT", r.TTFT.Value, 0.05443143844604492}, {"total", r.Total.Value, 0.3156433704}, {"TPOT", r.TPOT.Value, 0.261211932 / 39},
		{"TPS", r.TPS.Value, 40 / 0.3156433704}, {"end", float64(r.FinishedAt.UnixMicro()) / 1e6, 1700000000.0178277 + 0.3156433704},
	} {
		if d := c.got - c.want; d > 1e-5 || d < -1e-5 {
			t.Errorf("%s is %v, want %v", c.name, c.got, c.want)
		}
	}
	unknown := 0
	for _, r := range rows.requests {
		if !r.Total.Known {
			unknown++
		}
	}
	if unknown != 2 {
		t.Errorf("%d rows have no total time, and two were not measured", unknown)
	}
}
