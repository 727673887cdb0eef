package fakepod

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/nvml/standin"
)

// ErrNoCompiler is in the error of NewGPU where the stand-in cannot be compiled for want of a C compiler.
var ErrNoCompiler = standin.ErrNoCompiler

const (
	// samplePeriod is the real distance of two samples in the ring. NVIDIA's is 1/6 s to 1 s; a faster day needs a faster one.
	samplePeriod = 25 * time.Millisecond
	// burstLasts is how long one request of one token keeps the GPU at work.
	burstLasts = 3 * time.Millisecond

	idleMilliwatts, busyMilliwatts = 78_000, 265_000
)

// GPU is one GPU behind the compiled stand-in of NVML.
type GPU struct {
	// Library is the path of the stand-in, for WATCHDOG_NVML_LIBRARY.
	Library string

	mu     sync.Mutex
	script *standin.Script
	level  uint
	err    error
}

// NewGPU compiles the stand-in into dir, which takes a second and a C compiler, and lets the GPU idle. Whoever loads
// the library finds it by the variable that Env gives; a process can load one such library in its life.
func NewGPU(dir string) (*GPU, error) {
	library, err := standin.Build(dir)
	if err != nil {
		return nil, err
	}
	g := &GPU{Library: library, script: standin.NewScript(filepath.Join(dir, "gpu"), 1)}
	d := &g.script.GPUs[0]
	d.Name, d.Period = "Simulated GPU 80GB", samplePeriod
	d.MemoryTotal, d.MemoryUsed = 80<<30, 72<<30
	d.SetPower(time.Now(), idleMilliwatts)
	if err := g.script.Write(); err != nil {
		return nil, fmt.Errorf("simulated GPU: %w", err)
	}
	return g, nil
}

// Env is the variable, and its value, by which the library finds what the GPU does.
func (g *GPU) Env() (name, value string) { return standin.Variable, g.script.Path }

// Load lets the utilisation follow the number of running requests. A nil GPU has none to follow.
func (g *GPU) Load(running int) {
	level, power, memory := uint(0), uint(idleMilliwatts), uint(0)
	if running > 0 {
		level, power, memory = min(97, uint(64+9*running)), busyMilliwatts, 41
	}
	g.change(func(d *standin.GPU, now time.Time) bool {
		if level == g.level {
			return false
		}
		g.level = level
		d.SetLevel(now, level)
		d.SetPower(now, power)
		d.MemoryRate = memory
		return true
	})
}

// Burst is work so short that only the ring of samples remembers it.
func (g *GPU) Burst(percent uint) {
	g.change(func(d *standin.GPU, now time.Time) bool {
		d.Burst(now, burstLasts, percent)
		return true
	})
}

func (g *GPU) change(apply func(d *standin.GPU, now time.Time) bool) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if apply(&g.script.GPUs[0], time.Now()) {
		g.err = errors.Join(g.err, g.script.Write())
	}
}

// Err is what went wrong with the stand-in's control file, nil for nothing.
func (g *GPU) Err() error {
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.err
}
