package faults

import (
	"slices"

	"github.com/gpu-watchdog/gpu-watchdog/collector/nvml/standin"
)

// driver changes what NVML says; when the fault is over it says again what it did, of what the GPUs do now.
func driver(change func(*standin.Script)) act {
	return func(p *pod) {
		p.gpu.mu.Lock()
		before := *p.gpu.script
		before.GPUs = slices.Clone(before.GPUs)
		p.gpu.mu.Unlock()
		p.gpu.change(change)
		p.heal = func() {
			p.gpu.change(func(s *standin.Script) {
				now := s.GPUs
				*s = before
				for i := range s.GPUs {
					s.GPUs[i].Levels, s.GPUs[i].MemoryRate = now[i].Levels, now[i].MemoryRate
				}
			})
		}
	}
}

func hangs(call string) func(*standin.Script) {
	return func(s *standin.Script) { s.Hangs = []string{call} }
}

func code(call string, n int) func(*standin.Script) {
	return func(s *standin.Script) { s.Codes = map[string]int{call: n} }
}

// lacks is a driver without a symbol.
func lacks(variant string) act {
	return func(p *pod) {
		p.set("WATCHDOG_NVML_LIBRARY=" + drivers.library(p.t, variant))
	}
}
