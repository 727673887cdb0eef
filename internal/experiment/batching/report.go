package batching

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Report is a result with what it takes to print it.
type Report struct {
	Result
	// URL, Model, Version and GPU say what was asked; Version and GPU may be empty.
	URL, Model, Version, GPU string
	Date                     time.Time
	Prompts, Groups, Repeats int
	WarmUp                   int
	Seed                     uint64
	StopAtEOS, KeepCache     bool
	Objectives               Objectives
	// TokensPerSecond is the rate that the server should reach, 0 for none.
	TokensPerSecond float64
	// Early says why the experiment ended before it was complete; empty where it did not.
	Early string
	// Detailed adds the record of every request to the JSON.
	Detailed bool
}

// Notes are what a reader must know to judge the figures.
func (r *Report) Notes() (notes []string) {
	if r.BusyBefore > 0 {
		notes = append(notes, fmt.Sprintf("%.0f requests of somebody else ran on the server before the experiment began", r.BusyBefore))
	}
	foreign, hits, looked, unknown := 0.0, 0.0, 0.0, false
	for _, o := range r.Outcomes {
		for i := range o.Runs {
			s := &o.Runs[i].Seen
			foreign += s.Foreign.Value
			hits, looked, unknown = hits+s.HitTokens.Value, looked+s.LookedUp.Value, unknown || !s.HitTokens.Known
		}
	}
	if foreign > 0 {
		notes = append(notes, fmt.Sprintf("the server finished %.0f requests that are not of the experiment: the figures are of both", foreign))
	}
	switch {
	case r.KeepCache:
		notes = append(notes, fmt.Sprintf("prompt caching was let in: %.0f prompt tokens came from the cache", hits))
	case hits > 0:
		notes = append(notes, fmt.Sprintf("prompt caching was NOT held off: %.0f of %.0f prompt tokens came from the cache, by the server's own count", hits, looked))
	case unknown:
		notes = append(notes, "prompt caching: each prompt began with a text of its own, but the server does not tell how many tokens came from its cache")
	default:
		notes = append(notes, "prompt caching was held off: no prompt token came from the cache, by the server's own count")
	}
	return notes
}

// cachingHeldOff is whether the server confirms it.
func (r *Report) cachingHeldOff() watchdog.Maybe[bool] {
	off, some := !r.KeepCache, false
	for _, o := range r.Outcomes {
		for i := range o.Runs {
			hits := o.Runs[i].Seen.HitTokens
			if !hits.Known {
				return watchdog.Maybe[bool]{Value: false, Known: r.KeepCache}
			}
			off, some = off && hits.Value == 0, true
		}
	}
	return watchdog.Maybe[bool]{Value: off, Known: some}
}

// JSON writes the report for programs. A scenario has the keys of `vllm bench serve` (means over the repeats), the range of each
// over the repeats, and its runs with the same keys.
func (r *Report) JSON(out io.Writer) error {
	summaries, err := r.Summaries(r.Objectives)
	if err != nil {
		return err
	}
	type objectives struct {
		TTFT watchdog.Maybe[float64] `json:"ttft_ms"`
		TPOT watchdog.Maybe[float64] `json:"tpot_ms"`
		E2EL watchdog.Maybe[float64] `json:"e2el_ms"`
		TPS  float64                 `json:"tokens_per_second"`
	}
	type caching struct {
		HeldOff   watchdog.Maybe[bool] `json:"held_off"`
		CacheSalt bool                 `json:"cache_salt"`
	}
	scenarios := make([]json.RawMessage, 0, len(summaries))
	for i := range summaries {
		one, err := r.scenario(&summaries[i])
		if err != nil {
			return err
		}
		scenarios = append(scenarios, one)
	}
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	var early *string
	if r.Early != "" {
		early = &r.Early
	}
	return enc.Encode(struct {
		Schema    int               `json:"schema"`
		Date      string            `json:"date"`
		URL       string            `json:"url"`
		Model     string            `json:"model_id"`
		Version   string            `json:"server_version,omitempty"`
		GPU       string            `json:"gpu,omitempty"`
		Prompts   int               `json:"num_prompts"`
		Groups    int               `json:"groups,omitempty"`
		Repeats   int               `json:"repeats"`
		WarmUp    int               `json:"num_warmups"`
		Seed      uint64            `json:"seed"`
		IgnoreEOS bool              `json:"ignore_eos"`
		Goals     objectives        `json:"objectives"`
		Caching   caching           `json:"prompt_caching"`
		Early     *string           `json:"ended_early"`
		Notes     []string          `json:"notes"`
		Scenarios []json.RawMessage `json:"scenarios"`
	}{
		1, r.Date.UTC().Format(time.RFC3339), r.URL, r.Model, r.Version, r.GPU, r.Prompts, r.Groups, r.Repeats, r.WarmUp, r.Seed, !r.StopAtEOS,
		objectives{r.Objectives.TTFT, r.Objectives.TPOT, r.Objectives.E2EL, r.TokensPerSecond},
		caching{r.cachingHeldOff(), r.CacheSalt && !r.KeepCache}, early, r.Notes(), scenarios,
	})
}

// scenario is one scenario as JSON: its setting, the means, the ranges, the runs.
func (r *Report) scenario(s *Summary) (json.RawMessage, error) {
	settings := map[string]any{"name": s.Scenario.Name(), "scenario": s.Scenario.Kind.String(), "num_prompts": r.Prompts}
	settings["max_concurrency"], settings["request_rate"] = nil, "inf"
	if limit := s.Scenario.limit(); limit > 0 {
		settings["max_concurrency"] = limit
	}
	if s.Scenario.Rate > 0 {
		settings["request_rate"] = s.Scenario.Rate
	}
	spread := map[string][2]watchdog.Maybe[float64]{}
	for i := range s.Mean {
		spread[s.Mean[i].Key] = [2]watchdog.Maybe[float64]{s.Low[i].Value, s.High[i].Value}
	}
	runs := make([]json.RawMessage, 0, len(s.Runs))
	for i := range s.Runs {
		more := map[string]any{"max_concurrency": settings["max_concurrency"], "request_rate": settings["request_rate"], "repeat": s.Runs[i].Repeat, "began": s.Runs[i].Began.UTC().Format(time.RFC3339Nano)}
		if r.Detailed {
			s.Runs[i].records(more)
		}
		one, err := joined(more, s.Each[i])
		if err != nil {
			return nil, err
		}
		runs = append(runs, one)
	}
	settings["spread"], settings["runs"] = spread, runs
	return joined(settings, s.Mean)
}

// records adds what --save-detailed adds, under its names.
func (r *Run) records(to map[string]any) {
	d := r.detail()
	to["input_lens"], to["output_lens"], to["ttfts"], to["itls"] = d.InputLens, d.OutputLens, d.TTFTs, d.ITLs
	to["latencies"], to["start_times"], to["queue_times"], to["errors"] = d.Latencies, d.Starts, d.Queues, d.Errors
}

// joined is one JSON object of more and, after it, of the figures.
func joined(more map[string]any, f Figures) (json.RawMessage, error) {
	a, err := json.Marshal(f)
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(more)
	if err != nil {
		return nil, err
	}
	if len(f) == 0 || len(more) == 0 {
		return b, nil
	}
	return append(append(b[:len(b)-1], ','), a[1:]...), nil
}

// CSV writes a line for each run, with all keys as columns.
func (r *Report) CSV(out io.Writer) error {
	summaries, err := r.Summaries(r.Objectives)
	if err != nil {
		return err
	}
	w := csv.NewWriter(out)
	var keys []string
	for i := range summaries {
		for _, f := range summaries[i].Mean {
			if !slices.Contains(keys, f.Key) {
				keys = append(keys, f.Key)
			}
		}
	}
	if err := w.Write(append([]string{"name", "scenario", "max_concurrency", "request_rate", "repeat"}, keys...)); err != nil {
		return err
	}
	for i := range summaries {
		s := &summaries[i]
		for k := range s.Runs {
			row := []string{s.Scenario.Name(), s.Scenario.Kind.String(), "", "inf", strconv.Itoa(s.Runs[k].Repeat)}
			if limit := s.Scenario.limit(); limit > 0 {
				row[2] = strconv.Itoa(limit)
			}
			if s.Scenario.Rate > 0 {
				row[3] = strconv.FormatFloat(s.Scenario.Rate, 'g', -1, 64)
			}
			for _, key := range keys {
				cell := ""
				if v := s.Each[k].Of(key); v.Known {
					cell = strconv.FormatFloat(v.Value, 'f', -1, 64)
				}
				row = append(row, cell)
			}
			if err := w.Write(row); err != nil {
				return err
			}
		}
	}
	w.Flush()
	return w.Error()
}
