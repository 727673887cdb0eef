package kvcache

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/vllm"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// lookEvery is how often the server's gauges are read while a probe runs.
const lookEvery = 20 * time.Millisecond

// offer is what a server says of the model that is asked for.
type offer struct {
	ID        string `json:"id"`
	Root      string `json:"root"`
	MaxTokens int    `json:"max_model_len"`
}

// introduce asks the server what it is, and finds the model.
func (e *experiment) introduce(ctx context.Context) (offer, error) {
	names, err := e.Client.Models(ctx)
	if err != nil {
		return offer{}, err
	}
	if e.Model == "" {
		e.Model = names[0]
	}
	e.report.Model = e.Model
	o := offer{ID: e.Model}
	if body, _, err := e.Client.Page(ctx, "/v1/models"); err == nil {
		var list struct{ Data []offer }
		_ = json.Unmarshal(body, &list) // Models has read it
		for _, one := range list.Data {
			if one.ID == e.Model {
				o = one
			}
		}
	}
	if body, _, err := e.Client.Page(ctx, "/version"); err == nil {
		var told struct{ Version string }
		if json.Unmarshal(body, &told) == nil && len(told.Version) <= 64 {
			e.report.Version = told.Version
		}
	}
	g, page, err := e.look(ctx)
	switch {
	case err != nil:
		e.note("The KV cache is not seen: %v", err)
		return o, nil
	case g.running > 0:
		e.note("%.0f requests of others were running when this began: their batch is in these times", g.running)
	}
	if c, found := cacheOf(page); found {
		e.report.Cache = &c
		e.bytesFromModel(&c, o.Root)
	}
	return o, nil
}

// bytesFromModel fills in what a block takes where the server does not tell, from the model's files, if the server runs here.
func (e *experiment) bytesFromModel(c *Cache, root string) {
	if c.BytesPerBlock.Known || !c.BlockTokens.Known || !filepath.IsAbs(root) || !local(e.report.URL) {
		return
	}
	f, err := os.Open(filepath.Join(root, "config.json"))
	if err != nil {
		return // the model lies elsewhere
	}
	defer f.Close()
	if per, err := bytesPerToken(f, c.DType); err == nil && per.Known {
		c.BytesPerBlock, c.BytesSource = watchdog.Known(per.Value*c.BlockTokens.Value), fromModel
	}
}

// local says that a server is on this machine.
func local(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// gauges are those of one page, over all engines.
type gauges struct {
	running float64
	// blocks in use.
	blocks watchdog.Maybe[float64]
}

// look reads the server's page of metrics.
func (e *experiment) look(ctx context.Context) (g gauges, page []byte, err error) {
	page, contentType, err := e.Client.Page(ctx, "/metrics")
	if err != nil {
		return g, nil, err
	}
	var s vllm.Serving
	if err := vllm.ParseServing(page, contentType, &s); err != nil {
		return g, page, fmt.Errorf("/metrics: %w", err)
	}
	for _, engine := range s.Engines {
		g.running += engine.Running.Or(0)
		if used := blocksInUse(engine); used.Known {
			g.blocks = watchdog.Known(g.blocks.Value + used.Value)
		}
	}
	return g, page, nil
}

// blocksInUse is the gauge of an engine as a number of blocks. The gauge is a share of all blocks but one, which vLLM keeps for
// itself; blocks that hold a finished prompt, to be found again, count as free.
func blocksInUse(engine vllm.ServedEngine) watchdog.Maybe[float64] {
	if !engine.KVUsage.Known || !engine.KVBlocks.Known || engine.KVBlocks.Value < 2 {
		return watchdog.Maybe[float64]{}
	}
	return watchdog.Known(engine.KVUsage.Value * (engine.KVBlocks.Value - 1))
}

// probe asks for each length, and looks at the KV cache and the GPUs' memory meanwhile. Looking costs the server some
// milliseconds each time, so these requests are not among the measured ones.
func (e *experiment) probe(ctx context.Context) error {
	if e.GPUMemory != nil {
		e.report.GPUMemoryBefore = e.GPUMemory(ctx)
	}
	for _, length := range e.Lengths {
		p, err := e.probeLength(ctx, length)
		if err != nil {
			return err
		}
		e.report.peaks = append(e.report.peaks, p)
		e.tick()
	}
	return nil
}

// probesMost is how often a length is probed until its blocks are seen: on a busy machine a look may come too late.
const probesMost = 3

func (e *experiment) probeLength(ctx context.Context, length int) (p peak, err error) {
	needed := blocksNeeded(e.report.PromptTokens, length, e.report.Cache)
	for range probesMost {
		if ctx.Err() != nil {
			return p, context.Cause(ctx)
		}
		stop, seen := make(chan struct{}), make(chan peak)
		go func() { seen <- e.watch(ctx, stop) }()
		s := e.one(ctx, length, 0)
		close(stop)
		now := <-seen
		if s.Error != "" {
			return p, fmt.Errorf("%d tokens: %w", length, s.failure())
		}
		p = peak{larger(p.blocks, now.blocks), needed, larger(p.gpuMemory, now.gpuMemory), p.looks + now.looks}
		if !needed.Known || math.Round(p.blocks.Value) >= needed.Value {
			break
		}
	}
	if needed.Known && math.Round(p.blocks.Value) < needed.Value {
		e.note("Of the %.0f blocks that %d output tokens need, no more than %.0f were seen in use, in %d looks", needed.Value, length, p.blocks.Value, p.looks)
	}
	return p, nil
}

// blocksNeeded is how many blocks hold the prompt and the output, of which the last token is made and not kept.
func blocksNeeded(promptTokens, outputTokens int, c *Cache) watchdog.Maybe[float64] {
	if c == nil || !c.BlockTokens.Known || !c.Blocks.Known || promptTokens < 1 {
		return watchdog.Maybe[float64]{}
	}
	return watchdog.Known(math.Ceil(float64(promptTokens+outputTokens-1) / c.BlockTokens.Value))
}

// peak is the most that was seen during one request.
type peak struct {
	blocks, needed, gpuMemory watchdog.Maybe[float64]
	looks                     int
}

// watch looks until stop is closed; a look that is under way then may still have seen the end of the request.
func (e *experiment) watch(ctx context.Context, stop <-chan struct{}) (p peak) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return p
		case <-ticker.C:
		}
		if g, _, err := e.look(ctx); err == nil {
			p.looks++
			p.blocks = larger(p.blocks, g.blocks)
		}
		if e.GPUMemory != nil && ctx.Err() == nil {
			p.gpuMemory = larger(p.gpuMemory, e.GPUMemory(ctx))
		}
	}
}

func larger(a, b watchdog.Maybe[float64]) watchdog.Maybe[float64] {
	if !a.Known || b.Known && b.Value > a.Value {
		return b
	}
	return a
}

func (e *experiment) note(format string, a ...any) {
	e.report.Notes = append(e.report.Notes, fmt.Sprintf(format, a...))
}
