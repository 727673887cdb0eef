package faults

import (
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/nvml/standin"
)

// samplePeriod is the distance of two samples in the ring.
const samplePeriod = 20 * time.Millisecond

// gpu is what the driver's stand-in says of the pod's GPUs.
type gpu struct {
	t      testing.TB
	mu     sync.Mutex
	script *standin.Script
}

// newGPUs are n idle GPUs of a driver that lacks what the variants say.
func (p *pod) newGPUs(n int, variants ...string) {
	p.t.Helper()
	g := &gpu{t: p.t, script: standin.NewScript(filepath.Join(p.dir, "gpu"), n)}
	for i := range g.script.GPUs {
		d := &g.script.GPUs[i]
		d.Name, d.Period, d.MemoryTotal, d.MemoryUsed = "Simulated GPU 80GB", samplePeriod, 80<<30, 72<<30
		d.SetPower(time.Now(), 78_000)
	}
	p.gpu = g
	g.change(func(*standin.Script) {})
	p.set("WATCHDOG_GPUS=all", "WATCHDOG_NVML_LIBRARY="+drivers.library(p.t, variants...), g.script.Env())
}

func (g *gpu) change(apply func(*standin.Script)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	apply(g.script)
	if err := g.script.Write(); err != nil {
		g.t.Error(err)
	}
}

// level is the utilisation of the first GPU from now on, in percent, at a draw of so many watts.
func (g *gpu) level(percent, watts uint) {
	g.change(func(s *standin.Script) {
		s.GPUs[0].SetLevel(time.Now(), percent)
		s.GPUs[0].SetPower(time.Now(), 1000*watts)
		s.GPUs[0].MemoryRate = percent / 2
	})
}
