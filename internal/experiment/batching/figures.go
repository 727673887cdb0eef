package batching

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"strconv"

	"github.com/gpu-watchdog/gpu-watchdog/internal/serving"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Objectives are what a request must keep to count as good, in milliseconds; an objective that is unknown is none. At the limit
// itself it is kept, as in vLLM's benchmark.
type Objectives struct {
	TTFT, TPOT, E2EL watchdog.Maybe[float64]
}

// Any says that there is one.
func (o Objectives) Any() bool { return o.TTFT.Known || o.TPOT.Known || o.E2EL.Known }

func (o Objectives) kept(ttft, tpot, e2el float64) bool {
	within := func(limit watchdog.Maybe[float64], v float64) bool { return !limit.Known || v <= limit.Value/1000 }
	return within(o.TTFT, ttft) && within(o.TPOT, tpot) && within(o.E2EL, e2el)
}

// Figure is one number under its key; unknown where nothing was observed.
type Figure struct {
	Key   string
	Value watchdog.Maybe[float64]
}

// Figures are numbers in their order. As JSON they are an object.
type Figures []Figure

// Of is the number under a key.
func (f Figures) Of(key string) watchdog.Maybe[float64] {
	for i := range f {
		if f[i].Key == key {
			return f[i].Value
		}
	}
	return watchdog.Maybe[float64]{}
}

// MarshalJSON writes an object, in order, with null for unknown.
func (f Figures) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i := range f {
		if i > 0 {
			b.WriteByte(',')
		}
		value, err := json.Marshal(f[i].Value)
		if err != nil {
			return nil, err
		}
		b.WriteString(strconv.Quote(f[i].Key) + ":")
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

func (f *Figures) add(key string, v float64) { *f = append(*f, Figure{key, watchdog.Known(v)}) }
func (f *Figures) addMaybe(key string, v watchdog.Maybe[float64]) {
	*f = append(*f, Figure{key, v})
}

// Percentiles are those that every result has.
var Percentiles = []float64{50, 90, 95, 99}

// FiguresOf computes all keys of `vllm bench serve` from what was measured, by its definitions: TPOT is (latency − TTFT) ÷ (tokens
// − 1) of requests with two tokens or more, ITL all gaps of all requests together, goodput the good requests over the wall time, a
// standard deviation that of a population, percentiles interpolated as numpy does. Its error says what cannot be.
func FiguresOf(d Detail, o Objectives, percentiles []float64) (Figures, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	var ttfts, tpots, itls, e2els, queues, withQueue []float64
	input, output, completed, good := 0, 0, 0, 0
	for i, failure := range d.Errors {
		if failure != "" {
			continue
		}
		completed++
		input += d.InputLens[i]
		output += d.OutputLens[i]
		tpot := 0.0
		if d.OutputLens[i] > 1 {
			tpot = (d.Latencies[i] - d.TTFTs[i]) / float64(d.OutputLens[i]-1)
			tpots = append(tpots, tpot)
		}
		ttfts, e2els, itls = append(ttfts, d.TTFTs[i]), append(e2els, d.Latencies[i]), append(itls, d.ITLs[i]...)
		if d.Queues != nil {
			queues, withQueue = append(queues, d.Queues[i]), append(withQueue, d.Latencies[i]+d.Queues[i])
		}
		if o.kept(d.TTFTs[i], tpot, d.Latencies[i]) {
			good++
		}
	}
	var f Figures
	f.add("duration", d.Duration)
	f.add("completed", float64(completed))
	f.add("failed", float64(len(d.Errors)-completed))
	f.add("total_input_tokens", float64(input))
	f.add("total_output_tokens", float64(output))
	f.add("request_throughput", float64(completed)/d.Duration)
	goodput := watchdog.Maybe[float64]{}
	if o.Any() {
		goodput = watchdog.Known(float64(good) / d.Duration)
	}
	f.addMaybe("request_goodput", goodput)
	f.add("output_throughput", float64(output)/d.Duration)
	f.add("total_token_throughput", float64(input+output)/d.Duration)
	tokens, requests := d.peaks()
	f.addMaybe("max_output_tokens_per_s", tokens)
	f.addMaybe("max_concurrent_requests", requests)
	f.distribution("ttft", ttfts, percentiles)
	f.distribution("tpot", tpots, percentiles)
	f.distribution("itl", itls, percentiles)
	f.distribution("e2el", e2els, percentiles)
	if d.Limited && d.Queues != nil {
		f.distribution("client_queue_time", queues, percentiles)
		if d.Paced {
			f.distribution("e2el_including_client_queue", withQueue, percentiles)
		}
	}
	return f, nil
}

// distribution adds the keys of one quantity, whose values are seconds and whose figures milliseconds.
func (f *Figures) distribution(name string, seconds []float64, percentiles []float64) {
	slices.Sort(seconds)
	n, sum := float64(len(seconds)), 0.0
	for _, v := range seconds {
		sum += v
	}
	mean, squares := sum/n, 0.0
	for _, v := range seconds {
		squares += (v - mean) * (v - mean)
	}
	put := func(which string, v watchdog.Maybe[float64]) {
		v.Value *= 1000
		f.addMaybe(which+"_"+name+"_ms", v)
	}
	some := len(seconds) > 0
	if !some {
		mean = 0
	}
	put("mean", watchdog.Maybe[float64]{Value: mean, Known: some})
	put("median", serving.Percentile(seconds, .5))
	deviation := watchdog.Maybe[float64]{}
	if some {
		deviation = watchdog.Known(math.Sqrt(squares / n))
	}
	put("std", deviation)
	for _, p := range percentiles {
		put(percentileWord(p), serving.Percentile(seconds, p/100))
	}
}

// percentileWord is p95 for 95, and p99.9 for 99.9.
func percentileWord(p float64) string { return "p" + strconv.FormatFloat(p, 'f', -1, 64) }

// peaks are the most chunks that came, and the most requests that were under way, in one of the seconds since the first start.
// (vLLM calls chunks tokens here.)
func (d *Detail) peaks() (tokens, requests watchdog.Maybe[float64]) {
	if d.Starts == nil {
		return tokens, requests
	}
	first, last, some := math.Inf(1), 0.0, false
	for i, at := range d.Starts {
		if d.Errors[i] == "" {
			first, some = min(first, at), true
		}
	}
	if !some {
		return watchdog.Known(0.0), watchdog.Known(0.0)
	}
	for i, at := range d.Starts {
		if d.Errors[i] == "" {
			last = max(last, at+d.Latencies[i]-first)
		}
	}
	seconds := int(math.Ceil(last)) + 1
	came, changes := make([]int, seconds), make([]int, seconds+1)
	for i, at := range d.Starts {
		if d.Errors[i] != "" {
			continue
		}
		note := func(t float64) {
			if s := int(t - first); s >= 0 && s < seconds {
				came[s]++
			}
		}
		now := at + d.TTFTs[i]
		note(now)
		for _, gap := range d.ITLs[i] {
			now += gap
			note(now)
		}
		changes[min(seconds-1, int(at-first))]++
		changes[min(seconds, int((at+d.Latencies[i])-first)+1)]--
	}
	under, most := 0, 0
	for _, c := range changes {
		under += c
		most = max(most, under)
	}
	return watchdog.Known(float64(slices.Max(came))), watchdog.Known(float64(most))
}
