package vllm

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// The reference reads a page in the plainest way, each line through the parser library and each series by its labels,
// without the shortcuts of the reader. What both can read they must read alike. It is also what the benchmark compares
// with.

// series is one sample.
type series struct {
	labels labels.Labels
	value  float64
}

func referenceSeries(body []byte, openMetrics bool) ([]series, error) {
	var p textparse.Parser
	if openMetrics {
		p = textparse.NewOpenMetricsParser(body, labels.NewSymbolTable())
	} else {
		p = textparse.NewPromParser(body, labels.NewSymbolTable(), false)
	}
	var all []series
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		if entry == textparse.EntrySeries {
			text, _, v := p.Series()
			s := series{value: v}
			p.Labels(&s.labels)
			// The library takes blanks before a name for a part of it.
			if text[0] == ' ' || text[0] == '\t' {
				if text = bytes.TrimLeft(text, " \t"); text[0] != '{' {
					name := strings.TrimLeft(s.labels.Get("__name__"), " \t")
					s.labels = labels.NewBuilder(s.labels).Set("__name__", name).Labels()
				}
			}
			all = append(all, s)
		}
	}
}

// referenceEngines interprets the samples of the engines.
func referenceEngines(all []series) []watchdog.Engine {
	ids := map[string]bool{}
	labelled := map[string]bool{}
	for _, s := range all {
		if ofEngine(s.labels.Get("__name__")) {
			id := engineOf(s.labels)
			ids[id] = true
			labelled[id] = labelled[id] || s.labels.Get("engine") != ""
		}
	}
	var engines []watchdog.Engine
	for _, id := range slices.Sorted(maps.Keys(ids)) {
		sum := func(name string) watchdog.Maybe[float64] { return referenceSum(all, id, name, false) }
		either := func(newer, older string) watchdog.Maybe[float64] {
			if has(all, id, newer) {
				return sum(newer)
			}
			return sum(older)
		}
		e := watchdog.Engine{ID: id}
		e.Counters[watchdog.PromptTokens] = sum("vllm:prompt_tokens_total")
		e.Counters[watchdog.GenerationTokens] = sum("vllm:generation_tokens_total")
		e.Counters[watchdog.FinishedRequests] = sum("vllm:request_success_total")
		e.Counters[watchdog.FirstTokens] = sum("vllm:time_to_first_token_seconds_count")
		e.Counters[watchdog.InterTokens] = either("vllm:inter_token_latency_seconds_count", "vllm:time_per_output_token_seconds_count")
		if labelled[id] {
			e.Counters[watchdog.EngineSteps] = sum("vllm:iteration_tokens_total_count")
		}
		e.Counters[watchdog.Preemptions] = sum("vllm:num_preemptions_total")
		e.Counters[watchdog.PrefixQueries] = either("vllm:prefix_cache_queries_total", "vllm:gpu_prefix_cache_queries_total")
		e.FirstTokenSecondsSum = sum("vllm:time_to_first_token_seconds_sum")
		e.Running = referenceSum(all, id, "vllm:num_requests_running", true)
		e.Waiting = referenceSum(all, id, "vllm:num_requests_waiting", true)
		engines = append(engines, e)
	}
	return engines
}

func engineOf(l labels.Labels) string { return cmp.Or(l.Get("engine"), "0") }

// ofEngine says that a series belongs to an engine and is one that we read.
func ofEngine(name string) bool {
	f, known := families[name]
	return known && strings.HasPrefix(name, "vllm:") && f != created && f != cacheConfig
}

func has(all []series, id, name string) bool {
	return slices.ContainsFunc(all, func(s series) bool {
		return s.labels.Get("__name__") == name && engineOf(s.labels) == id
	})
}

// referenceSum sums the series of a name; the highest of those that differ in pid only.
func referenceSum(all []series, id, name string, byPID bool) watchdog.Maybe[float64] {
	groups := map[string]float64{}
	total, seen, bad := 0.0, false, false
	for _, s := range all {
		if s.labels.Get("__name__") != name || engineOf(s.labels) != id {
			continue
		}
		seen = true
		if !(s.value >= 0) || math.IsInf(s.value, 0) {
			bad = true
			continue
		}
		if pid := s.labels.Get("pid"); byPID && pid != "" {
			key := string(s.labels.BytesWithoutLabels(nil, "pid"))
			groups[key] = max(groups[key], s.value)
			continue
		}
		total += s.value
	}
	for _, v := range groups {
		total += v
	}
	if !seen || bad || math.IsInf(total, 0) {
		return watchdog.Maybe[float64]{}
	}
	return watchdog.Known(total)
}
