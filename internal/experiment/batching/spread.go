package batching

import (
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Figures are those of vLLM's benchmark, and beside them what was seen: running_mean and running_max (requests), tokens_per_step,
// kv_cache_usage_max (0 to 1), gpu_utilization_percent and _max_percent, gpu_memory_used_bytes, prefix_cache_hit_tokens.
func (r *Run) Figures(o Objectives) (Figures, error) {
	f, err := FiguresOf(r.detail(), o, Percentiles)
	if err != nil {
		return nil, err
	}
	f.add("missing", float64(r.Missing))
	s := &r.Seen
	f.addMaybe("running_mean", s.RunningMean)
	f.addMaybe("running_max", s.RunningMax)
	f.addMaybe("tokens_per_step", s.TokensPerStep)
	f.addMaybe("kv_cache_usage_max", s.KVMax)
	f.addMaybe("gpu_utilization_percent", s.Utilisation)
	f.addMaybe("gpu_utilization_max_percent", s.UtilisationMax)
	f.addMaybe("gpu_memory_used_bytes", s.MemoryMax)
	f.addMaybe("prefix_cache_hit_tokens", s.HitTokens)
	return f, nil
}

// Summary is one scenario over its runs.
type Summary struct {
	Scenario Scenario
	Runs     []Run
	// Each are the figures of each run. Mean, Low and High are of each figure over the runs, unknown where a run does not know it.
	Each            []Figures
	Mean, Low, High Figures
}

// Summaries are the scenarios that have a run.
func (r *Result) Summaries(o Objectives) ([]Summary, error) {
	var all []Summary
	for _, outcome := range r.Outcomes {
		if len(outcome.Runs) == 0 {
			continue
		}
		s := Summary{Scenario: outcome.Scenario, Runs: outcome.Runs}
		for i := range outcome.Runs {
			f, err := outcome.Runs[i].Figures(o)
			if err != nil {
				return nil, err
			}
			s.Each = append(s.Each, f)
		}
		s.overRuns()
		all = append(all, s)
	}
	return all, nil
}

func (s *Summary) overRuns() {
	for _, first := range s.Each[0] {
		sum, low, high, known := 0.0, first.Value.Value, first.Value.Value, true
		for _, f := range s.Each {
			v := f.Of(first.Key)
			known = known && v.Known
			sum, low, high = sum+v.Value, min(low, v.Value), max(high, v.Value)
		}
		of := func(v float64) Figure { return Figure{first.Key, watchdog.Maybe[float64]{Value: v, Known: known}} }
		s.Mean, s.Low, s.High = append(s.Mean, of(sum/float64(len(s.Each)))), append(s.Low, of(low)), append(s.High, of(high))
	}
}

// half is half of the range of a figure over the runs; unknown where there is one run only.
func (s *Summary) half(key string) watchdog.Maybe[float64] {
	low, high := s.Low.Of(key), s.High.Of(key)
	if len(s.Each) < 2 || !low.Known {
		return watchdog.Maybe[float64]{}
	}
	return watchdog.Known((high.Value - low.Value) / 2)
}
