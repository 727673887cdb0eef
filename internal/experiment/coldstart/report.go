package coldstart

import (
	"encoding/json"
	"math"
	"slices"

	"github.com/gpu-watchdog/gpu-watchdog/internal/serving"
	"github.com/gpu-watchdog/gpu-watchdog/internal/startup"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Report is what came out. Times are in seconds, money in US dollars; null is unknown.
type Report struct {
	Command []string `json:"command"`
	URL     string   `json:"url"`
	// Version is the server's own; empty where it does not tell.
	Version string  `json:"version,omitempty"`
	Pricing Pricing `json:"pricing"`
	// Files are what was dropped from the page cache before each cold start; nothing else was.
	Files       []string `json:"dropped_files"`
	EmptyCaches bool     `json:"empty_caches"`
	Starts      []Start  `json:"starts"`
	Cold        *Summary `json:"cold"`
	Warm        *Summary `json:"warm"`
	// Suggestion is nil where no start was measured.
	Suggestion *Suggestion `json:"suggestion"`
	// LogDir holds what the server wrote, a file for each start.
	LogDir string `json:"log_dir"`
	// EndedEarly says why there are fewer starts than asked for; empty where there are not.
	EndedEarly string `json:"ended_early,omitempty"`
}

// Summary is over all starts of a kind that became ready.
type Summary struct {
	Starts int `json:"starts"`
	// ColdStartSeconds is C of them.
	ColdStartSeconds Spread `json:"cold_start_seconds"`
	// Phases are means over the starts in which a phase was seen.
	Phases []startup.Phase `json:"phases"`
	// Money is that of the mean C.
	Money
}

// Spread is how some numbers lie.
type Spread struct {
	Mean float64                 `json:"mean"`
	Min  float64                 `json:"min"`
	Max  float64                 `json:"max"`
	P75  watchdog.Maybe[float64] `json:"p75"`
}

// Suggestion is a value for WATCHDOG_COLD_START.
type Suggestion struct {
	Variable string  `json:"variable"`
	Value    string  `json:"value"`
	Seconds  float64 `json:"seconds"`
	// Of says which starts it stands on, and how many there were.
	Of     Kind `json:"of"`
	Starts int  `json:"starts"`
	Money
	// Longest is the phase that takes most of a start, Share its share in percent, and Remedy what shortens it.
	Longest string  `json:"longest_phase"`
	Share   float64 `json:"longest_phase_percent"`
	Remedy  string  `json:"remedy"`
}

// conclude fills in what follows from the starts.
func (r *Report) conclude() {
	r.Cold, r.Warm = r.summary(Cold), r.summary(Warm)
	of, s := Cold, r.Cold
	if s == nil {
		of, s = Warm, r.Warm
	}
	if s == nil {
		return
	}
	value := suggested(r.coldStarts(of)).Value
	out := &Suggestion{
		Variable: "WATCHDOG_COLD_START", Value: value.String(), Seconds: value.Seconds(), Of: of, Starts: s.Starts,
		Money: r.Pricing.of(value - r.Pricing.Unseen),
	}
	total := 0.0
	longest := startup.Phase{}
	for _, p := range s.Phases {
		total += p.Seconds.Value
		if p.Seconds.Value > longest.Seconds.Value {
			longest = p
		}
	}
	if total > 0 {
		out.Longest, out.Share, out.Remedy = longest.Name, 100*longest.Seconds.Value/total, startup.Remedies[longest.Name]
	}
	r.Suggestion = out
}

// coldStarts are C of each start of a kind that became ready, in seconds.
func (r *Report) coldStarts(kind Kind) (out []float64) {
	for _, s := range r.Starts {
		if s.Kind == kind && s.Money != nil {
			out = append(out, s.ColdStartSeconds)
		}
	}
	return out
}

// summary is nil where no start of the kind became ready.
func (r *Report) summary(kind Kind) *Summary {
	all := r.coldStarts(kind)
	if len(all) == 0 {
		return nil
	}
	s := &Summary{Starts: len(all), ColdStartSeconds: spreadOf(all)}
	s.Money = r.Pricing.of(seconds(s.ColdStartSeconds.Mean) - r.Pricing.Unseen)
	for i, name := range startup.Names {
		sum, n := 0.0, 0
		p := startup.Phase{Name: name}
		for _, start := range r.Starts {
			if start.Kind == kind && start.Money != nil && start.Phases[i].Seconds.Known {
				sum += start.Phases[i].Seconds.Value
				n++
				p.Source = start.Phases[i].Source
			}
		}
		if n > 0 {
			p.Seconds = watchdog.Known(sum / float64(n))
			p.USD = r.Pricing.bill(seconds(p.Seconds.Value))
		}
		s.Phases = append(s.Phases, p)
	}
	return s
}

// spreadOf wants at least one number.
func spreadOf(all []float64) Spread {
	sorted := slices.Sorted(slices.Values(all))
	sum := 0.0
	for _, v := range sorted {
		sum += v
	}
	mean := sum / float64(len(sorted))
	// The sum may round beyond its parts.
	mean = math.Min(math.Max(mean, sorted[0]), sorted[len(sorted)-1])
	return Spread{Mean: mean, Min: sorted[0], Max: sorted[len(sorted)-1], P75: serving.Percentile(sorted, .75)}
}

// MarshalJSON tells prices by names that carry their unit; of the two forms of a penalty the one that counts.
func (p Pricing) MarshalJSON() ([]byte, error) {
	out := struct {
		Price   watchdog.Maybe[float64] `json:"price_usd_per_hour"`
		Running float64                 `json:"storage_running_usd_per_hour"`
		Stopped float64                 `json:"storage_stopped_usd_per_hour"`
		Factor  watchdog.Maybe[float64] `json:"penalty_factor"`
		USD     watchdog.Maybe[float64] `json:"penalty_usd"`
		Unseen  float64                 `json:"cold_start_unseen_seconds"`
	}{Price: p.USDPerHour, Running: p.Tariff.StorageRunning, Stopped: p.Tariff.StorageStopped, Unseen: p.Unseen.Seconds()}
	if p.Tariff.Penalty.InDollars {
		out.USD = watchdog.Known(p.Tariff.Penalty.USD)
	} else {
		out.Factor = watchdog.Known(p.Tariff.Penalty.Factor)
	}
	return json.Marshal(out)
}
