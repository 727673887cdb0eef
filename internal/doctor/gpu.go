package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/nvml"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// gpus reads every GPU that counts, as the watchdog would.
func (e *examination) gpus(ctx context.Context) []Finding {
	if e.Config.GPUs.None {
		return []Finding{{Verdict: Note, Detail: "WATCHDOG_GPUS is none: the GPU is no evidence here, so requests alone tell work"}}
	}
	selection, err := nvml.ParseSelection(e.Config.GPUs.String())
	if err != nil {
		return []Finding{{Verdict: Failed, Detail: err.Error(), Remedy: "correct WATCHDOG_GPUS"}}
	}
	source := nvml.New(nvml.Config{Library: e.Config.NVMLLibrary, GPUs: selection, Driver: true}, nil)
	defer source.Close()
	g := source.Read(ctx)
	if len(g.Devices) > 0 && wait(ctx, settleGPU) {
		g = again(g, source.Read(ctx))
	}
	return judgeGPUs(g, source.Session(), selection.Names(), e.Env.GPUCount, e.Env.GPUCountFrom)
}

// settleGPU is how long the second look at the GPUs is after the first: long enough for the driver to have sampled anew.
const settleGPU = 1500 * time.Millisecond

// again is the newer of two looks, with the samples of both: together they tell that the ring is read.
func again(first, second watchdog.GPU) watchdog.GPU {
	for i := range second.Devices {
		if i < len(first.Devices) && first.Devices[i].UUID == second.Devices[i].UUID {
			second.Devices[i].Samples = slices.Concat(first.Devices[i].Samples, second.Devices[i].Samples)
		}
	}
	return second
}

func judgeGPUs(g watchdog.GPU, session nvml.Session, chosen []string, expected watchdog.Maybe[int], expectedFrom string) []Finding {
	if len(g.Devices) == 0 {
		f := Finding{Verdict: Warning, Detail: g.Reason,
			Remedy: "give this container the GPU with NVIDIA's runtime and the capability utility (NVIDIA_DRIVER_CAPABILITIES), or set WATCHDOG_NVML_LIBRARY; WATCHDOG_GPUS=none says that it is meant so"}
		if detail, _, cut := strings.Cut(g.Reason, ": give the container"); cut {
			f.Detail = detail
		}
		f.Detail += "; so work that only the GPU shows is not seen, and vLLM alone tells"
		if g.State == watchdog.SourceFailed {
			f.Verdict, f.Remedy = Failed, "see whether nvidia-smi answers here; if it hangs too, the machine is at fault: rent another"
		}
		return []Finding{f}
	}
	var out []Finding
	for _, d := range g.Devices {
		out = append(out, judgeDevice(d))
	}
	about := fmt.Sprintf("%s shown", count(session.Shown, "GPU is", "GPUs are"))
	if session.Driver != "" {
		about += fmt.Sprintf(" by driver %s", session.Driver)
	}
	whole := Finding{Verdict: OK, Detail: about}
	if len(chosen) > 0 {
		whole.Detail += ", of which WATCHDOG_GPUS counts " + strings.Join(chosen, ", ")
	}
	if expected.Known && expected.Value != session.Shown && session.Shown > 0 {
		whole.Verdict = Warning
		whole.Detail += fmt.Sprintf("; RUNPOD_GPU_COUNT (%s) says %d", from(expectedFrom), expected.Value)
		whole.Remedy = "if nvidia-smi shows as few, this pod does not have what you pay for: restart it, or rent another"
		if session.Shown > expected.Value {
			whole.Remedy = "GPUs of other people are seen too: set WATCHDOG_GPUS to the UUIDs of your own (nvidia-smi -L)"
		}
	}
	return append(out, whole)
}

func judgeDevice(d watchdog.Device) Finding {
	name := d.Name
	if name == "" {
		name = "GPU"
	}
	label := fmt.Sprintf("%d: %s", d.Index, name)
	if d.UUID != "" {
		label += " (" + d.UUID + ")"
	}
	if d.Index < 0 {
		return Finding{Verdict: Failed, Detail: d.Reason, Remedy: "correct WATCHDOG_GPUS: nvidia-smi -L lists indices and UUIDs"}
	}
	if strings.HasPrefix(d.Reason, "GPU") {
		label = d.Reason
	} else if d.Reason != "" {
		label += ": " + d.Reason
	}
	switch d.State {
	case watchdog.SourceFailed:
		return Finding{Verdict: Failed, Detail: label, Remedy: "see whether nvidia-smi shows it; if it does not either, the machine is at fault: restart the pod, or rent another"}
	case watchdog.SourceAbsent:
		return Finding{Verdict: Warning, Detail: label, Remedy: "vLLM's own counters and the sockets tell work without it; WATCHDOG_GPUS=none says that it is meant so"}
	case watchdog.SourceOK, watchdog.SourceSkipped:
	}
	f := Finding{Verdict: OK}
	var facts []string
	if d.Rate.Known {
		facts = append(facts, fmt.Sprintf("%.0f %% in use now", d.Rate.Value))
	}
	if d.MemoryUsedBytes.Known && d.MemoryTotalBytes.Known {
		facts = append(facts, fmt.Sprintf("%s of %s", size(d.MemoryUsedBytes.Value), size(d.MemoryTotalBytes.Value)))
	}
	if d.PowerWatts.Known {
		facts = append(facts, fmt.Sprintf("%.0f W", d.PowerWatts.Value))
	}
	switch {
	case len(d.Samples) > 0:
		facts = append(facts, fmt.Sprintf("%d samples of the last seconds read, at most %d %%", len(d.Samples), slices.Max(d.Samples)))
	case !d.Rate.Known:
		f.Verdict, f.Remedy = Warning, "update the driver: neither samples nor the present utilisation can be read"
	default:
		facts = append(facts, "no new samples, as on an idle GPU")
	}
	f.Detail = label + ": " + strings.Join(facts, ", ")
	return f
}
