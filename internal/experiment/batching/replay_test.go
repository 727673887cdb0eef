package batching

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// TestReplayOfRecordedResults holds our figures against files that vllm bench serve wrote, key by key.
func TestReplayOfRecordedResults(t *testing.T) {
	for _, c := range []struct {
		file       string
		objectives Objectives
		// keys is how many must have been compared, failed how many of the requests failed.
		keys, failed int
	}{
		{"rate.json", Objectives{TTFT: watchdog.Known(40.0), TPOT: watchdog.Known(12.0)}, 36, 0},
		{"concurrency.json", Objectives{E2EL: watchdog.Known(500.0)}, 48, 0},
		{"failures.json", Objectives{}, 35, 2},
	} {
		t.Run(c.file, func(t *testing.T) {
			file, err := os.Open(filepath.Join("testdata", c.file))
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			r, err := Replay(file, c.objectives)
			if err != nil {
				t.Fatal(err)
			}
			for _, one := range r.Compared {
				if !one.Agrees {
					t.Errorf("%s: %v in the file, %v here", one.Key, one.File, one.Here)
				}
			}
			if len(r.Compared) < c.keys {
				t.Errorf("only %d keys were compared", len(r.Compared))
			}
			if failed := r.Figures.Of("failed"); c.failed > 0 && failed.Value < float64(c.failed) {
				t.Errorf("%v requests failed", failed)
			}
			for _, key := range r.Passed {
				switch key {
				case "num_prompts", "burstiness", "request_rate", "max_concurrency":
				default:
					t.Errorf("%s was passed over", key)
				}
			}
		})
	}
}

// result is a small result with these changes; nil takes a key away.
func result(t *testing.T, changes map[string]any) string {
	t.Helper()
	all := map[string]any{
		"duration": 4, "errors": []string{"", ""}, "input_lens": []int{10, 20}, "output_lens": []int{3, 2}, "ttfts": []float64{0.1, 0.3},
		"itls": [][]float64{{0.1, 0.3}, {0.5}}, "completed": 2, "mean_ttft_ms": 200, "p95_e2el_ms": 785, "max_concurrency": nil,
		"request_goodput": nil, "request_rate": "inf", "date": "20261124-131500", "spec_decode_num_drafts": 7,
	}
	for key, v := range changes {
		all[key] = v
		if v == nil {
			delete(all, key)
		}
	}
	b, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestReplay(t *testing.T) {
	for _, c := range []struct {
		name    string
		changes map[string]any
		goals   Objectives
		differ  string
		says    string
	}{
		{"an old version's, without latencies", nil, Objectives{}, "", ""},
		{"a mean a little off", map[string]any{"mean_ttft_ms": 200.001}, Objectives{}, "mean_ttft_ms", ""},
		{"as exact as it must be", map[string]any{"mean_ttft_ms": 200.0001}, Objectives{}, "", ""},
		{"a percentile of its own", map[string]any{"p99.9_ttft_ms": 299.8}, Objectives{}, "", ""},
		{"a goodput", map[string]any{"request_goodput": 0.25}, Objectives{TTFT: watchdog.Known(150.0)}, "", ""},
		{"a goodput of another SLA", map[string]any{"request_goodput": 0.5}, Objectives{TTFT: watchdog.Known(150.0)}, "request_goodput", ""},
		{"a goodput without its objectives", map[string]any{"request_goodput": 0.25}, Objectives{}, "request_goodput", ""},
		{"no records", map[string]any{"ttfts": nil}, Objectives{}, "", "--save-detailed"},
		{"records of another length", map[string]any{"ttfts": []float64{1}}, Objectives{}, "", "both have one for each request"},
		{"no duration", map[string]any{"duration": 0}, Objectives{}, "", "0 seconds"},
		{"texts for times", map[string]any{"ttfts": "no"}, Objectives{}, "", "no result of a benchmark"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := Replay(strings.NewReader(result(t, c.changes)), c.goals)
			if (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
				t.Fatalf("have %v", err)
			}
			if have := strings.Join(r.Differ(), " "); have != c.differ {
				t.Errorf("%q differ", have)
			}
			if err != nil {
				return
			}
			if len(r.Compared) < 3 || strings.Join(r.Passed, " ") != "spec_decode_num_drafts" {
				t.Errorf("compared %d keys, passed over %v", len(r.Compared), r.Passed)
			}
			var table, asJSON, asCSV strings.Builder
			r.Table(&table)
			if err := errors.Join(r.JSON(&asJSON), r.CSV(&asCSV)); err != nil {
				t.Fatal(err)
			}
			if !json.Valid([]byte(asJSON.String())) || strings.Count(asCSV.String(), "\n") != 1+len(r.Compared) {
				t.Errorf("%s\n%s", asJSON.String(), asCSV.String())
			}
			if (c.differ != "") != strings.Contains(table.String(), "DIFFERS") {
				t.Errorf("it says\n%s", table.String())
			}
		})
	}
	if _, err := Replay(strings.NewReader("["), Objectives{}); err == nil {
		t.Error("half a file is a result")
	}
}

// FuzzReplay: whatever a file says, it is refused or comes to figures that are numbers, and fast.
func FuzzReplay(f *testing.F) {
	f.Add([]byte(`{"duration":4,"errors":["",""],"input_lens":[10,20],"output_lens":[3,2],"ttfts":[0.1,0.3],"itls":[[0.1,0.3],[0.5]],"start_times":[1,2]}`))
	f.Add([]byte(`{"duration":1e-300,"input_lens":[1],"output_lens":[1],"ttfts":[0],"itls":[[]],"start_times":[1e300],"p99_ttft_ms":1}`))
	f.Add([]byte(`{"duration":1,"input_lens":[1,1],"output_lens":[1,1],"ttfts":[0,0],"itls":[null,null],"start_times":[0,9999999]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := Replay(strings.NewReader(string(text)), Objectives{TTFT: watchdog.Known(100.0)})
		if err != nil {
			return
		}
		completed, failed := r.Figures.Of("completed"), r.Figures.Of("failed")
		if completed.Value < 0 || failed.Value < 0 {
			t.Errorf("completed %v, failed %v", completed, failed)
		}
		for _, name := range []string{"ttft", "e2el", "itl"} {
			low, high := r.Figures.Of("p50_"+name+"_ms"), r.Figures.Of("p99_"+name+"_ms")
			mean := r.Figures.Of("mean_" + name + "_ms")
			if low.Known != high.Known || low.Known != mean.Known || low.Known && !(low.Value <= high.Value) {
				t.Errorf("%s: P50 %v, P99 %v, mean %v", name, low, high, mean)
			}
		}
		if good := r.Figures.Of("request_goodput"); good.Value > r.Figures.Of("request_throughput").Value {
			t.Errorf("goodput %v", good)
		}
	})
}
