package batching

import (
	"context"
	"sync"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Server looks at the server's page; collector/vllm's client is one.
type Server interface {
	Read(ctx context.Context) watchdog.Server
}

// GPU looks at the GPUs; collector/nvml's source is one.
type GPU interface {
	Read(ctx context.Context) watchdog.GPU
}

// Seen is what was looked at while a run went on. What could not be looked at is unknown.
type Seen struct {
	// RunningMean and RunningMax are the batch size: requests that ran, on all engines together, over all looks.
	RunningMean, RunningMax watchdog.Maybe[float64]
	// KVMax is the highest share of KV blocks in use, 0 to 1, of the fullest engine.
	KVMax watchdog.Maybe[float64]
	// TokensPerStep is how many tokens the engines made in a step, by their own counters: the batch size too, without sampling.
	TokensPerStep watchdog.Maybe[float64]
	// HitTokens of the prompts came from the prefix cache, of LookedUp.
	HitTokens, LookedUp watchdog.Maybe[float64]
	// Foreign is how many requests more the server finished than we saw end: somebody else's.
	Foreign watchdog.Maybe[float64]
	// Utilisation is the mean over all samples of all GPUs, UtilisationMax the highest, in percent; MemoryMax is the most that was
	// in use on all GPUs together, in bytes, whoever used it.
	Utilisation, UtilisationMax, MemoryMax watchdog.Maybe[float64]
	// ServerWhy and GPUWhy say why there is nothing, where there is nothing.
	ServerWhy, GPUWhy string
}

// lookDeadline bounds one look.
const lookDeadline = 2 * time.Second

// watching looks at the server and the GPU every so often, until stop is called, which returns what was seen.
func watching(ctx context.Context, server Server, gpu GPU, every time.Duration) (stop func() Seen) {
	ctx, cancel := context.WithCancel(ctx)
	var w watchers
	var both sync.WaitGroup
	if server != nil {
		both.Go(func() {
			each(ctx, every, func(once context.Context) {
				if s := server.Read(once); ctx.Err() == nil { // a look that the end overtook may have seen what came after it
					w.server(s)
				}
			})
		})
	} else {
		w.seen.ServerWhy = "nobody looked at the server's page"
	}
	if gpu != nil {
		// What the ring holds from before the run is not of the run. There is a last look after it, for what came since the one before.
		drain(ctx, gpu)
		both.Go(func() {
			each(ctx, every, func(once context.Context) { w.gpu(gpu.Read(once)) })
			last, end := context.WithTimeout(context.WithoutCancel(ctx), lookDeadline)
			defer end()
			w.gpu(gpu.Read(last))
		})
	} else {
		w.seen.GPUWhy = "nobody looked at a GPU"
	}
	return func() Seen {
		cancel()
		both.Wait()
		return w.done()
	}
}

func drain(ctx context.Context, gpu GPU) {
	ctx, cancel := context.WithTimeout(ctx, lookDeadline)
	defer cancel()
	gpu.Read(ctx)
}

// each calls look every so often until ctx ends; a look that is under way then is let end.
func each(ctx context.Context, every time.Duration, look func(context.Context)) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			once, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookDeadline)
			look(once)
			cancel()
		}
	}
}

// watchers add up what was seen. The two halves belong to a goroutine each.
type watchers struct {
	seen          Seen
	running, used mean
}

// mean is a mean while it grows, and the highest value.
type mean struct{ sum, n, max float64 }

func (m *mean) add(v float64) { m.sum, m.n, m.max = m.sum+v, m.n+1, max(m.max, v) }

func (m *mean) into(mean, highest *watchdog.Maybe[float64]) {
	if m.n > 0 {
		*mean, *highest = watchdog.Known(m.sum/m.n), watchdog.Known(m.max)
	}
}

func (w *watchers) server(s watchdog.Server) {
	if s.Outcome != watchdog.OutcomeAnswered || !s.EngineSeries {
		if w.seen.ServerWhy == "" {
			w.seen.ServerWhy = s.Detail
		}
		return
	}
	running, known := 0.0, false
	for i := range s.Engines {
		e := &s.Engines[i]
		if e.Running.Known {
			running, known = running+e.Running.Value, true
		}
		if e.KVUsage.Known {
			w.seen.KVMax = watchdog.Known(max(w.seen.KVMax.Value, e.KVUsage.Value))
		}
	}
	if known {
		w.running.add(running)
	}
}

func (w *watchers) gpu(g watchdog.GPU) {
	if g.State != watchdog.SourceOK {
		if w.seen.GPUWhy == "" {
			w.seen.GPUWhy = g.Reason
		}
		return
	}
	memory, known := 0.0, len(g.Devices) > 0
	for i := range g.Devices {
		d := &g.Devices[i]
		if d.State != watchdog.SourceOK {
			known = false
			if w.seen.GPUWhy == "" {
				w.seen.GPUWhy = d.Reason
			}
			continue
		}
		for _, v := range d.Samples {
			w.used.add(float64(v))
		}
		if len(d.Samples) == 0 && d.Rate.Known && d.SamplePeriod == 0 {
			w.used.add(d.Rate.Value) // this GPU has no ring of samples
		}
		memory += d.MemoryUsedBytes.Value
		known = known && d.MemoryUsedBytes.Known
	}
	if known {
		w.seen.MemoryMax = watchdog.Known(max(w.seen.MemoryMax.Value, memory))
	}
}

func (w *watchers) done() Seen {
	w.running.into(&w.seen.RunningMean, &w.seen.RunningMax)
	w.used.into(&w.seen.Utilisation, &w.seen.UtilisationMax)
	if w.running.n > 0 {
		w.seen.ServerWhy = ""
	} else if w.seen.ServerWhy == "" {
		w.seen.ServerWhy = "the run was over before the first look"
	}
	if w.used.n > 0 {
		w.seen.GPUWhy = ""
	} else if w.seen.GPUWhy == "" {
		w.seen.GPUWhy = "no sample of the utilisation came"
	}
	return w.seen
}
