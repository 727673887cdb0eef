package vllm

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// referenceServing reads the histograms in the plainest way, series by series.
func referenceServing(all []series) []ServedEngine {
	ids := map[string]bool{}
	for _, e := range referenceEngines(all) {
		ids[e.ID] = true
	}
	for _, s := range all {
		name := s.labels.Get("__name__")
		if m, ours := servedSeries[name]; ours && len(engineOf(s.labels)) <= maxEngineID && (m.part != partAborted || s.labels.Get("finished_reason") == "abort") {
			ids[engineOf(s.labels)] = true
		}
	}
	plain := map[string]watchdog.Engine{}
	for _, e := range referenceEngines(all) {
		plain[e.ID] = e
	}
	var engines []ServedEngine
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		p := plain[id]
		e := ServedEngine{
			ID: id, PromptTokens: p.Counters[watchdog.PromptTokens], GenerationTokens: p.Counters[watchdog.GenerationTokens],
			Finished: p.Counters[watchdog.FinishedRequests], Running: p.Running,
		}
		for name, f := range map[string]Family{
			"vllm:time_to_first_token_seconds": TTFT, "vllm:request_time_per_output_token_seconds": PerOutputToken,
			"vllm:e2e_request_latency_seconds": EndToEnd, "vllm:request_queue_time_seconds": Queue,
			"vllm:request_prefill_time_seconds": Prefill, "vllm:request_decode_time_seconds": Decode,
			"vllm:request_generation_tokens": OutputTokens, "vllm:inter_token_latency_seconds": InterToken,
		} {
			e.Histograms[f] = referenceHistogram(all, id, name)
			if f == InterToken && e.Histograms[f].State == HistogramAbsent {
				e.Histograms[f] = referenceHistogram(all, id, "vllm:time_per_output_token_seconds")
			}
		}
		var blocks, tokens []float64
		for _, s := range all {
			if engineOf(s.labels) != id {
				continue
			}
			switch s.labels.Get("__name__") {
			case "vllm:request_success_total":
				if s.labels.Get("finished_reason") == "abort" {
					e.Aborted.Known = e.Aborted.Known || e.Aborted.Value == 0
					e.Aborted.Value += s.value
				}
			case "vllm:kv_cache_usage_perc":
				e.KVUsage = watchdog.Known(max(e.KVUsage.Value, s.value))
			case "vllm:cache_config_info":
				n, size, all := wholeNumber([]byte(s.labels.Get("num_gpu_blocks"))), wholeNumber([]byte(s.labels.Get("block_size"))), wholeNumber([]byte(s.labels.Get("kv_cache_size_tokens")))
				if all == 0 {
					all = n * size
				}
				blocks, tokens = append(blocks, n), append(tokens, all)
			}
		}
		e.KVBlocks, e.KVTokens = ofOneMind(blocks), ofOneMind(tokens)
		engines = append(engines, e)
	}
	return engines
}

func ofOneMind(all []float64) watchdog.Maybe[float64] {
	all = slices.DeleteFunc(all, func(v float64) bool { return v == 0 })
	slices.Sort(all)
	if all = slices.Compact(all); len(all) != 1 {
		return watchdog.Maybe[float64]{}
	}
	return watchdog.Known(all[0])
}

// referenceHistogram sums the series of a histogram by their bounds, each series by itself first.
func referenceHistogram(all []series, id, name string) Histogram {
	counts := map[float64][]float64{}
	var sums, totals []float64
	for _, s := range all {
		if engineOf(s.labels) != id || len(id) > maxEngineID {
			continue
		}
		full := s.labels.Get("__name__")
		part, ours := strings.CutPrefix(full, name)
		if !ours {
			continue
		}
		switch part {
		case "_bucket":
			le, err := strconv.ParseFloat(s.labels.Get("le"), 64)
			if err != nil || math.IsNaN(le) || !possible(s.value) {
				return Histogram{State: HistogramBroken}
			}
			counts[le] = append(counts[le], s.value)
		case "_sum":
			sums = append(sums, s.value)
		case "_count":
			totals = append(totals, s.value)
			if !possible(s.value) {
				return Histogram{State: HistogramBroken}
			}
		}
	}
	if len(counts)+len(sums)+len(totals) == 0 {
		return Histogram{}
	}
	h := Histogram{State: HistogramGood, Sum: added(sums)}
	for _, le := range slices.Sorted(maps.Keys(counts)) {
		h.Bounds, h.Counts = append(h.Bounds, le), append(h.Counts, added(counts[le]))
		if len(counts[le]) != len(sums) || len(counts[le]) != len(totals) {
			h.State = HistogramBroken
		}
	}
	n := len(h.Bounds)
	if n == 0 || n > maxBounds || !math.IsInf(h.Bounds[n-1], 1) || math.IsInf(h.Bounds[0], -1) || h.Counts[n-1] != added(totals) ||
		!slices.IsSorted(h.Counts) || h.Counts[n-1] > mostCounted || !(math.Abs(h.Sum) <= mostCounted) {
		h.State = HistogramBroken
	}
	if h.State == HistogramBroken {
		return Histogram{State: HistogramBroken}
	}
	return h
}

func added(all []float64) (sum float64) {
	for _, v := range all {
		sum += v
	}
	return sum
}
