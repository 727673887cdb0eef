package batching

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// three is a run of four requests, whose figures were worked out by hand.
func three() Detail {
	return Detail{
		Duration: 4, Errors: []string{"", "", "status 500", ""},
		InputLens: []int{10, 20, 30, 40}, OutputLens: []int{3, 1, 0, 5},
		TTFTs: []float64{0.1, 0.3, 0, 0.2}, Latencies: []float64{0.5, 0.3, 0, 1.0}, Starts: []float64{100, 100, 100, 101.9}, Queues: []float64{0, 0, 0, 1},
		ITLs: [][]float64{{0.1, 0.3}, nil, nil, {0.2, 0.2, 0.2, 0.2}},
	}
}

func TestFiguresByHand(t *testing.T) {
	d := three()
	d.Limited, d.Paced = true, true
	f, err := FiguresOf(d, Objectives{TTFT: watchdog.Known(200.0), TPOT: watchdog.Known(200.0)}, []float64{50, 99.9})
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]float64{
		"duration": 4, "completed": 3, "failed": 1, "total_input_tokens": 70, "total_output_tokens": 9,
		"request_throughput": 0.75, "output_throughput": 2.25, "total_token_throughput": 19.75,
		"request_goodput": 0.5, // of the three, one has its TTFT above 200 ms; exactly 200 ms is kept
		"mean_ttft_ms":    200, "median_ttft_ms": 200, "std_ttft_ms": 1000 * math.Sqrt(0.02/3), "p50_ttft_ms": 200, "p99.9_ttft_ms": 299.8,
		"mean_tpot_ms": 200, "std_tpot_ms": 0, // 0.4/2 and 0.8/4; one token has no TPOT
		"mean_itl_ms": 200, "median_itl_ms": 200, "std_itl_ms": 1000 * math.Sqrt(0.02/6),
		"mean_e2el_ms": 600, "median_e2el_ms": 500,
		"mean_client_queue_time_ms": 1000. / 3, "mean_e2el_including_client_queue_ms": 2800. / 3,
		// Chunks come at 100.1, .2, .5 and .3, and at 102.1 and later: four in the first second, five in the third.
		"max_output_tokens_per_s": 5, "max_concurrent_requests": 2,
	} {
		if have := f.Of(key); !have.Known || math.Abs(have.Value-want) > 1e-9 {
			t.Errorf("%s: have %v, want %v", key, have, want)
		}
	}
	if f.Of("p95_ttft_ms").Known {
		t.Error("a percentile that nobody asked for")
	}
}

func TestFiguresOfNothing(t *testing.T) {
	f, err := FiguresOf(Detail{Duration: 1, Errors: []string{"no"}, InputLens: []int{1}, OutputLens: []int{0}, TTFTs: []float64{0}, Latencies: []float64{0}, ITLs: [][]float64{nil}}, Objectives{}, Percentiles)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"mean_ttft_ms", "p95_tpot_ms", "std_itl_ms", "request_goodput", "max_output_tokens_per_s"} {
		if v := f.Of(key); v.Known {
			t.Errorf("%s is %v, of nothing", key, v)
		}
	}
	if v := f.Of("output_throughput"); !v.Known || v.Value != 0 {
		t.Errorf("the throughput is %v", v)
	}
	b, err := json.Marshal(f)
	if err != nil || !strings.HasPrefix(string(b), `{"duration":1,"completed":0,"failed":1,`) || !strings.Contains(string(b), `"mean_ttft_ms":null`) {
		t.Errorf("%s, %v", b, err)
	}
}

func TestFiguresRefuse(t *testing.T) {
	for name, spoil := range map[string]func(*Detail){
		"no time":               func(d *Detail) { d.Duration = 0 },
		"no number":             func(d *Detail) { d.TTFTs[0] = math.NaN() },
		"negative":              func(d *Detail) { d.ITLs[3][1] = -1 },
		"endless":               func(d *Detail) { d.Latencies[1] = math.Inf(1) },
		"a request too few":     func(d *Detail) { d.ITLs = d.ITLs[1:] },
		"starts of others":      func(d *Detail) { d.Starts = d.Starts[1:] },
		"starts years apart":    func(d *Detail) { d.Starts[0] = -1e12 },
		"starts that are none":  func(d *Detail) { d.Starts[0] = math.NaN() },
		"fewer than no tokens":  func(d *Detail) { d.OutputLens[0] = -1 },
		"no latencies":          func(d *Detail) { d.Latencies = nil },
		"waited beyond measure": func(d *Detail) { d.Queues[2] = math.NaN() },
	} {
		d := three()
		spoil(&d)
		if f, err := FiguresOf(d, Objectives{}, Percentiles); err == nil {
			t.Errorf("%s: have %v", name, f)
		}
	}
}

// TestPeaksBySeconds holds the peaks against the plainest way to count them, over random runs.
func TestPeaksBySeconds(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		d := Detail{Duration: 1}
		first := math.Inf(1)
		for range 1 + random.IntN(30) {
			at, ttft, n := 1000+random.Float64()*8, random.Float64(), random.IntN(20)
			latency, gaps := ttft, []float64(nil)
			for range n {
				gaps = append(gaps, random.Float64()/4)
				latency += gaps[len(gaps)-1]
			}
			failure := ""
			if random.IntN(5) == 0 {
				failure = "bad"
			} else {
				first = min(first, at)
			}
			d.Errors, d.Starts, d.TTFTs, d.Latencies, d.ITLs = append(d.Errors, failure), append(d.Starts, at), append(d.TTFTs, ttft), append(d.Latencies, latency), append(d.ITLs, gaps)
		}
		came, under := make([]float64, 60), make([]float64, 60)
		for i, at := range d.Starts {
			if d.Errors[i] != "" {
				continue
			}
			now := at + d.TTFTs[i]
			came[int(now-first)]++
			for _, gap := range d.ITLs[i] {
				now += gap
				came[int(now-first)]++
			}
			for s := int(at - first); s <= int(at+d.Latencies[i]-first); s++ {
				under[s]++
			}
		}
		tokens, requests := d.peaks()
		if !tokens.Known || tokens.Value != slices.Max(came) || requests.Value != slices.Max(under) {
			t.Fatalf("have %v and %v, want %v and %v, of %+v", tokens, requests, slices.Max(came), slices.Max(under), d)
		}
	}
}
