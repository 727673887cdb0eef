package batching

import (
	"bytes"
	"context"
	"strconv"

	"github.com/gpu-watchdog/gpu-watchdog/collector/vllm"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Pages fetches a page of the server; load.Client does.
type Pages interface {
	Page(ctx context.Context, path string) (body []byte, contentType string, err error)
}

// counted is where the server's counters stand, over all engines.
type counted struct {
	tokens, steps, finished, lookedUp, hits watchdog.Maybe[float64]
	// running is how many requests run at this moment.
	running watchdog.Maybe[float64]
}

// count reads the counters; what cannot be read is unknown.
func count(ctx context.Context, from Pages) (c counted) {
	if from == nil {
		return c
	}
	body, contentType, err := from.Page(ctx, "/metrics")
	if err != nil {
		return c
	}
	page, err := vllm.ParsePage(body, contentType)
	if err != nil || !page.EngineSeries {
		return c
	}
	total := func(of func(*watchdog.Engine) watchdog.Maybe[float64]) (sum watchdog.Maybe[float64]) {
		for i := range page.Engines {
			v := of(&page.Engines[i])
			if !v.Known {
				return watchdog.Maybe[float64]{}
			}
			sum = watchdog.Known(sum.Value + v.Value)
		}
		return sum
	}
	counter := func(n watchdog.Counter) watchdog.Maybe[float64] {
		return total(func(e *watchdog.Engine) watchdog.Maybe[float64] { return e.Counters[n] })
	}
	c.tokens, c.steps = counter(watchdog.GenerationTokens), counter(watchdog.EngineSteps)
	c.finished, c.lookedUp = counter(watchdog.FinishedRequests), counter(watchdog.PrefixQueries)
	c.running = total(func(e *watchdog.Engine) watchdog.Maybe[float64] { return e.Running })
	for _, name := range []string{"vllm:prefix_cache_hits_total", "vllm:gpu_prefix_cache_hits_total"} {
		if c.hits = series(body, name); c.hits.Known {
			break
		}
	}
	return c
}

// series sums the series of exactly this name, on a page that has been found to be one.
func series(page []byte, name string) (sum watchdog.Maybe[float64]) {
	for line := range bytes.Lines(page) {
		rest, ours := bytes.CutPrefix(line, []byte(name))
		if !ours || len(rest) == 0 || rest[0] != '{' && rest[0] != ' ' {
			continue
		}
		if at := bytes.LastIndexByte(rest, '}'); at >= 0 {
			rest = rest[at+1:]
		}
		fields := bytes.Fields(rest)
		if len(fields) == 0 {
			return watchdog.Maybe[float64]{}
		}
		v, err := strconv.ParseFloat(string(fields[0]), 64)
		if err != nil {
			return watchdog.Maybe[float64]{}
		}
		sum = watchdog.Known(sum.Value + v)
	}
	return sum
}

// grown is by how much a counter grew, unknown where it fell: the server started anew.
func grown(before, after watchdog.Maybe[float64]) watchdog.Maybe[float64] {
	if !before.Known || !after.Known || after.Value < before.Value {
		return watchdog.Maybe[float64]{}
	}
	return watchdog.Known(after.Value - before.Value)
}

// counted fills in what the counters say of a run in which ended requests came to an end.
func (s *Seen) counted(before, after counted, ended int) {
	tokens, steps := grown(before.tokens, after.tokens), grown(before.steps, after.steps)
	if tokens.Known && steps.Known && steps.Value > 0 {
		s.TokensPerStep = watchdog.Known(tokens.Value / steps.Value)
	}
	s.HitTokens, s.LookedUp = grown(before.hits, after.hits), grown(before.lookedUp, after.lookedUp)
	if finished := grown(before.finished, after.finished); finished.Known {
		s.Foreign = watchdog.Known(max(0, finished.Value-float64(ended)))
	}
}
