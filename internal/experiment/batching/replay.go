package batching

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// tolerance is how far a figure may lie from the one in the file: so much, and so much of it.
const tolerance = 1e-6

// maxReplay bounds a file, in bytes: some million requests.
const maxReplay = 1 << 30

// Compared is one key of a file beside what its raw records come to.
type Compared struct {
	Key string `json:"key"`
	// File and Here are null where they are not known.
	File watchdog.Maybe[float64] `json:"file"`
	Here watchdog.Maybe[float64] `json:"here"`
	// Agrees: both are known, and lie within 1e-6.
	Agrees bool `json:"agrees"`
}

// Replayed is what the raw records of a detailed result come to.
type Replayed struct {
	Figures Figures
	// Compared has the keys of the file that follow from its records, in the order of Figures.
	Compared []Compared
	// Passed are the other numbers of the file, which do not.
	Passed []string
}

// Differ are the keys that do not agree.
func (r *Replayed) Differ() (keys []string) {
	for _, c := range r.Compared {
		if !c.Agrees {
			keys = append(keys, c.Key)
		}
	}
	return keys
}

// saved are the raw records of `vllm bench serve --save-result --save-detailed`. Older versions save neither latencies nor
// start_times nor queue_times.
type saved struct {
	Duration       *float64    `json:"duration"`
	InputLens      []int       `json:"input_lens"`
	OutputLens     []int       `json:"output_lens"`
	TTFTs          []float64   `json:"ttfts"`
	ITLs           [][]float64 `json:"itls"`
	Latencies      []float64   `json:"latencies"`
	Starts         []float64   `json:"start_times"`
	Queues         []float64   `json:"queue_times"`
	Errors         []string    `json:"errors"`
	MaxConcurrency *float64    `json:"max_concurrency"`
	// Rate is a number or "inf".
	Rate any `json:"request_rate"`
}

// Replay reads a detailed result of vLLM's benchmark (or one run of ours), computes every key from its raw records, and holds them
// against the keys that are in it. The objectives of a goodput are not in the file and must be told.
func Replay(from io.Reader, o Objectives) (Replayed, error) {
	text, err := io.ReadAll(io.LimitReader(from, maxReplay+1))
	switch {
	case err != nil:
		return Replayed{}, err
	case len(text) > maxReplay:
		return Replayed{}, fmt.Errorf("it is larger than %d bytes", maxReplay)
	}
	var raw saved
	if err := json.Unmarshal(text, &raw); err != nil {
		return Replayed{}, fmt.Errorf("it is no result of a benchmark: %w", err)
	}
	d, err := raw.detail()
	if err != nil {
		return Replayed{}, err
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return Replayed{}, fmt.Errorf("it is no result of a benchmark: %w", err)
	}
	written := map[string]watchdog.Maybe[float64]{}
	for key, value := range all {
		var v *float64
		if json.Unmarshal(value, &v) != nil {
			continue // no number
		}
		written[key] = watchdog.Maybe[float64]{}
		if v != nil {
			written[key] = watchdog.Known(*v)
		}
	}
	var r Replayed
	if r.Figures, err = FiguresOf(d, o, percentilesIn(written)); err != nil {
		return r, err
	}
	if _, ok := written["rtfx"]; ok {
		r.Figures.add("rtfx", 0) // of audio, of which completions have none
	}
	r.compare(written, o)
	return r, nil
}

func (s *saved) detail() (Detail, error) {
	if s.Duration == nil || s.TTFTs == nil || s.ITLs == nil || s.InputLens == nil || s.OutputLens == nil {
		return Detail{}, errors.New("it has no raw records: save it with vllm bench serve --save-result --save-detailed")
	}
	rate, paced := s.Rate.(float64)
	d := Detail{
		Duration: *s.Duration, InputLens: s.InputLens, OutputLens: s.OutputLens, TTFTs: s.TTFTs, ITLs: s.ITLs,
		Latencies: s.Latencies, Starts: s.Starts, Queues: s.Queues, Errors: s.Errors,
		Limited: s.MaxConcurrency != nil, Paced: paced && !math.IsInf(rate, 1),
	}
	if d.Errors == nil {
		d.Errors = make([]string, len(d.TTFTs))
	}
	if d.Latencies == nil && len(d.ITLs) == len(d.TTFTs) {
		for i, v := range d.TTFTs {
			for _, gap := range d.ITLs[i] {
				v += gap
			}
			d.Latencies = append(d.Latencies, v)
		}
	}
	return d, nil
}

var percentileKey = regexp.MustCompile(`^p([0-9]{1,2}(?:\.[0-9]{1,6})?|100)_[a-z0-9_]+_ms$`)

// percentilesIn are the percentiles that a result has, and those that every result of ours has, in order.
func percentilesIn(written map[string]watchdog.Maybe[float64]) []float64 {
	all := slices.Clone(Percentiles)
	for key := range written {
		if found := percentileKey.FindStringSubmatch(key); found != nil {
			if p, err := strconv.ParseFloat(found[1], 64); err == nil && !slices.Contains(all, p) && len(all) < 1000 {
				all = append(all, p)
			}
		}
	}
	slices.Sort(all)
	return all
}

func (r *Replayed) compare(written map[string]watchdog.Maybe[float64], o Objectives) {
	for _, f := range r.Figures {
		file, ok := written[f.Key]
		if !ok {
			continue
		}
		delete(written, f.Key)
		c := Compared{Key: f.Key, File: file, Here: f.Value}
		if f.Key == "request_goodput" && !o.Any() && !file.Known {
			continue // nobody asked for one
		}
		here := f.Value
		if !here.Known && f.Key != "request_goodput" {
			here.Known = true // vLLM writes 0 where nothing was observed
		}
		c.Agrees = here.Known && file.Known && math.Abs(here.Value-file.Value) <= tolerance*max(1, math.Abs(file.Value))
		r.Compared = append(r.Compared, c)
	}
	for key, v := range written {
		if v.Known {
			r.Passed = append(r.Passed, key)
		}
	}
	slices.Sort(r.Passed)
}
