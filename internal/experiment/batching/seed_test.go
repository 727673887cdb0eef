//go:build linux && cgo

package batching

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/nvml"
	"github.com/gpu-watchdog/gpu-watchdog/collector/nvml/standin"
	"github.com/gpu-watchdog/gpu-watchdog/collector/vllm"
	"github.com/gpu-watchdog/gpu-watchdog/internal/fakepod"
	"github.com/gpu-watchdog/gpu-watchdog/internal/load"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// gpuAt is a GPU behind the compiled stand-in of NVML that is that busy, with 8 GiB in use.
func gpuAt(t *testing.T, percent uint) *nvml.Source {
	t.Helper()
	dir := t.TempDir()
	library, err := standin.Build(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := standin.NewScript(filepath.Join(dir, "script"), 1)
	s.GPUs[0] = standin.GPU{UUID: "GPU-1", Name: "A card", MemoryUsed: 8 << 30, MemoryTotal: 24 << 30, Period: 5 * time.Millisecond, Slots: 200}
	s.GPUs[0].SetLevel(time.Now().Add(-time.Hour), percent)
	if err := s.Write(); err != nil {
		t.Fatal(err)
	}
	t.Setenv(standin.Variable, s.Path)
	source := nvml.New(nvml.Config{Library: library, FiguresEvery: time.Nanosecond}, nil)
	t.Cleanup(source.Close)
	return source
}

// TestSeedSection2_2BatchingTable plays the experiment of the seed document's section 2.2 against a server that really streams: the
// same workload one at a time (A), in static batches (B) and by continuous batching (C), with all that its sections 2.1 and 2.2 want
// to be collected: whole time, mean TTFT and at P95, tokens per second, GPU utilisation (section 2.3: and memory), and the batch size.
func TestSeedSection2_2BatchingTable(t *testing.T) {
	const perToken, prefill = 4 * time.Millisecond, 10 * time.Millisecond
	pod, err := fakepod.NewServer(fakepod.ServerConfig{MaxRunning: 8, Prefill: prefill, PerToken: perToken})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pod.Close)
	if err := pod.Ready(); err != nil {
		t.Fatal(err)
	}
	client, err := load.New(load.Config{URL: pod.URL(), Deadline: 20 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	server, err := vllm.New(vllm.Config{URL: pod.URL()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)

	// Two restaurants with 8 reviews each, one of them long: what a barrier makes all others wait for.
	workload := slices.Concat(prompts(1, 40), prompts(7, 5), prompts(1, 40), prompts(7, 5))
	scenarios := []Scenario{{Kind: Sequential}, {Kind: Static, Batch: 8}, {Kind: Continuous, Concurrency: 8}}
	result, err := Play(t.Context(), Config{
		Asker: client, Model: "demo/llama-8b-instruct", Workload: workload, Scenarios: scenarios, Repeats: 2,
		Server: server, GPU: gpuAt(t, 70), Pages: client, Every: 10 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	r := Report{
		Result: result, URL: client.URL(), Model: "demo/llama-8b-instruct", Date: time.Now(), Prompts: 16, Groups: 2, Repeats: 2,
		Objectives: Objectives{TTFT: watchdog.Known(2000.0)}, TokensPerSecond: 1,
	}
	summaries, err := r.Summaries(r.Objectives)
	if err != nil || len(summaries) != 3 {
		t.Fatalf("%d scenarios, %v", len(summaries), err)
	}
	of := func(i int, key string) float64 {
		v := summaries[i].Mean.Of(key)
		if !v.Known {
			t.Errorf("%s: %s is not known", summaries[i].Scenario.Name(), key)
		}
		return v.Value
	}
	for i := range summaries {
		if of(i, "completed") != 16 || of(i, "total_output_tokens") != 150 || of(i, "failed") != 0 {
			t.Errorf("%s: other work than was asked for", summaries[i].Scenario.Name())
		}
		if v := of(i, "mean_tpot_ms"); v < 4 {
			t.Errorf("%s: a TPOT of %v ms, of a server that takes 4", summaries[i].Scenario.Name(), v)
		}
		if v := of(i, "mean_ttft_ms"); v < 10 || v > of(i, "p99_ttft_ms") {
			t.Errorf("%s: a TTFT of %v ms", summaries[i].Scenario.Name(), v)
		}
		if v := of(i, "gpu_utilization_percent"); v != 70 {
			t.Errorf("%s: GPU at %v %%", summaries[i].Scenario.Name(), v)
		}
		if v := of(i, "gpu_memory_used_bytes"); v != 8<<30 {
			t.Errorf("%s: %v bytes", summaries[i].Scenario.Name(), v)
		}
		if v := of(i, "request_goodput"); v != of(i, "request_throughput") {
			t.Errorf("%s: goodput %v", summaries[i].Scenario.Name(), v)
		}
	}
	// Which of B and C is faster, TestScenariosKeepTheirOrder knows: here it would hang on how busy this machine is.
	if a, b, c := of(0, "duration"), of(1, "duration"), of(2, "duration"); a < b || a < c {
		t.Errorf("A took %v s, B %v s, C %v s", a, b, c)
	}
	if a, b, c := of(0, "running_max"), of(1, "running_max"), of(2, "running_max"); a != 1 || b < 2 || b > 8 || c < 2 || c > 8 {
		t.Errorf("batches of %v, %v, %v", a, b, c)
	}

	var table strings.Builder
	if err := r.Table(&table); err != nil {
		t.Fatal(err)
	}
	for _, pattern := range []string{
		`(?m)^demo/llama-8b-instruct on http://127.0.0.1:\d+: 2 groups of 8 prompts, each scenario 2 times$`,
		`(?m)^SCENARIO +WHOLE TIME +TTFT +P95 +TPOT +TOKENS/S +GOOD REQ/S +BATCH +MAX +GPU +GPU MEMORY$`,
		`(?m)^A one at a time( +[\d.]+ s| +[\d.]+ ms| +[\d.]+| ±[\d.]+)+ +70 % +8.00 GiB$`,
		`(?m)^B batches of 8( +[\d.]+ s| +[\d.]+ ms| +[\d.]+| ±[\d.]+)+ +70 % +8.00 GiB$`,
		`(?m)^C 8 at a time( +[\d.]+ s| +[\d.]+ ms| +[\d.]+| ±[\d.]+)+ +70 % +8.00 GiB$`,
		`(?m)^C 8 at a time made [\d.]+ times the tokens per second of A one at a time, with [\d.]+ times the TTFT at P95\.$`,
		`(?m)^1 tokens/s are promised; reached by: A one at a time, B batches of 8, C 8 at a time\.$`,
		`(?m)^Prompt caching was held off: no prompt token came from the cache, by the server's own count\.$`,
	} {
		if !regexp.MustCompile(pattern).MatchString(table.String()) {
			t.Errorf("no line like %s in\n%s", pattern, table.String())
		}
	}

	t.Run("JSON", func(t *testing.T) {
		var text strings.Builder
		if err := r.JSON(&text); err != nil {
			t.Fatal(err)
		}
		var read struct {
			Scenarios []map[string]any `json:"scenarios"`
		}
		if err := json.Unmarshal([]byte(text.String()), &read); err != nil || len(read.Scenarios) != 3 {
			t.Fatalf("%v in\n%s", err, text.String())
		}
		for i, s := range read.Scenarios {
			if s["completed"] != 16.0 || s["p95_ttft_ms"] != of(i, "p95_ttft_ms") || len(s["runs"].([]any)) != 2 {
				t.Errorf("scenario %d: %v", i, s)
			}
		}
		if s := read.Scenarios; s[0]["max_concurrency"] != 1.0 || s[1]["scenario"] != "static" || s[2]["request_rate"] != "inf" {
			t.Errorf("have %v", s)
		}
	})
	t.Run("CSV", func(t *testing.T) {
		var text strings.Builder
		if err := r.CSV(&text); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(text.String(), "\n"); n != 7 || !strings.HasPrefix(text.String(), "name,scenario,max_concurrency,request_rate,repeat,duration,completed,") {
			t.Errorf("%d lines:\n%s", n, text.String())
		}
	})
	t.Run("its own records", func(t *testing.T) {
		// What --detailed writes is what Replay reads, and comes to the same figures.
		for i := range summaries {
			more := map[string]any{"max_concurrency": 1, "request_rate": "inf"}
			summaries[i].Runs[0].records(more)
			text, err := joined(more, summaries[i].Each[0])
			if err != nil {
				t.Fatal(err)
			}
			replayed, err := Replay(strings.NewReader(string(text)), r.Objectives)
			if err != nil || len(replayed.Differ()) > 0 || len(replayed.Compared) < 40 {
				t.Errorf("%d keys, of which %v differ: %v", len(replayed.Compared), replayed.Differ(), err)
			}
		}
	})
	t.Run("plot", func(t *testing.T) {
		checkPlot(t, &r)
	})
	fmt.Fprintln(t.Output(), table.String())
}
