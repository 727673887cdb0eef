//go:build linux && cgo

package nvml

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/NVIDIA/go-nvml/pkg/nvml"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// inventory lists the devices that count in a new session. Those that were known before are carried over, with the
// stamps of their rings; those that have worked and are no longer there stay on the list as failed.
func inventory(lib *library, selected Selection, known []*device) ([]*device, *problem) {
	n, code := lib.count()
	if code != nvml.SUCCESS {
		return nil, &problem{code, "NVML does not count its GPUs: " + codeText(code)}
	}
	if n == 0 {
		return nil, &problem{nvml.ERROR_NOT_FOUND, "NVML shows no GPU"}
	}
	here := make([]*device, 0, n)
	for i := range n {
		here = append(here, identify(lib, i, known, here))
	}
	return choose(selected, here, known), nil
}

// choose picks from the devices that are here, and adds one for each that should be.
func choose(selected Selection, here, known []*device) []*device {
	var list []*device
	for _, d := range here {
		if selected.All() || slices.Contains(known, d) {
			list = append(list, d)
		}
	}
	for _, name := range selected.names {
		if slices.ContainsFunc(known, func(d *device) bool { return d.worked && d.chosen == name }) {
			continue // below, if it is gone; another GPU may have its index by now
		}
		i := slices.IndexFunc(here, func(d *device) bool { return names(name, d.index, d.uuid) })
		switch {
		case i < 0:
			list = append(list, missing(name, here))
		case !slices.Contains(list, here[i]):
			here[i].chosen = name
			list = append(list, here[i])
		}
	}
	for _, d := range known {
		if d.worked && !slices.Contains(list, d) {
			d.handle = nil
			d.fixed = standing{watchdog.SourceFailed, fmt.Sprintf("%v was here and is gone; NVML shows %s", d, listed(here))}
			list = append(list, d)
		}
	}
	slices.SortStableFunc(list, func(a, b *device) int { return cmp.Compare(a.index, b.index) })
	return list
}

// identify makes, or finds again, the device with that index. here are those of lower indices.
func identify(lib *library, index int, known, here []*device) *device {
	handle, code := lib.handle(index)
	if code != nvml.SUCCESS {
		return unreachable(index, code, known, here)
	}
	uuid, code := lib.uuid(index, handle)
	if code != nvml.SUCCESS || uuid == "" {
		uuid = "index-" + strconv.Itoa(index) // metrics tell devices apart by it
	}
	d := &device{uuid: uuid}
	if i := slices.IndexFunc(known, func(k *device) bool { return k.uuid == uuid }); i >= 0 && !slices.Contains(here, known[i]) {
		d = known[i]
		d.ring.reopened = true
	}
	d.index, d.handle, d.fixed, d.off = index, handle, standing{}, [numCalls]bool{}
	if name, code := lib.name(index, handle); code == nvml.SUCCESS {
		d.name = name
	}
	if lib.mig(index, handle) {
		d.handle, d.fixed = nil, standing{watchdog.SourceAbsent, migReason}
	}
	return d
}

// unreachable is a GPU that NVML counts but does not hand out. Whoever had its index before is taken for the same GPU.
func unreachable(index int, code nvml.Return, known, here []*device) *device {
	d := &device{index: index, uuid: "index-" + strconv.Itoa(index)}
	if i := slices.IndexFunc(known, func(k *device) bool { return k.index == index }); i >= 0 && !slices.Contains(here, known[i]) {
		d = known[i]
	}
	state := watchdog.SourceFailed
	if neverHere(code) && !d.worked {
		state = watchdog.SourceAbsent
	}
	d.handle, d.fixed = nil, standing{state, fmt.Sprintf("%v: %v: %s", d, callHandle, codeText(code))}
	return d
}

// missing stands for a name in GPUS that NVML does not know.
func missing(name string, here []*device) *device {
	d := &device{index: noGPU, uuid: name}
	if index, err := strconv.Atoi(name); err == nil {
		d.index, d.uuid = index, "index-"+name
	}
	d.fixed = standing{watchdog.SourceAbsent, fmt.Sprintf("GPUS names %s, which NVML does not show; it shows %s", name, listed(here))}
	return d
}

// listed names GPUs for people.
func listed(here []*device) string {
	texts := make([]string, 0, len(here))
	for _, d := range here {
		texts = append(texts, fmt.Sprintf("%d %s", d.index, d.uuid))
	}
	return strings.Join(texts, ", ")
}
