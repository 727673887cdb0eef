//go:build linux && cgo

package nvml

import (
	"fmt"
	"slices"

	"github.com/NVIDIA/go-nvml/pkg/dl"
	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// call is one function of NVML that we use.
type call uint8

const (
	callOpen call = iota // loading the library
	callInit
	callShutdown
	callCount
	callHandle
	callUUID
	callName
	callMIG
	callSamples
	callRates
	callMemory
	callPower
	callEnergy
	callDriver
	numCalls
)

// symbols are the names under which the library may export each function; go-nvml takes the first that is there.
var symbols = [numCalls][]string{
	callOpen:     {"dlopen"},
	callInit:     {"nvmlInit_v2", "nvmlInit"},
	callShutdown: {"nvmlShutdown"},
	callCount:    {"nvmlDeviceGetCount_v2", "nvmlDeviceGetCount"},
	callHandle:   {"nvmlDeviceGetHandleByIndex_v2", "nvmlDeviceGetHandleByIndex"},
	callUUID:     {"nvmlDeviceGetUUID"},
	callName:     {"nvmlDeviceGetName"},
	callMIG:      {"nvmlDeviceGetMigMode"},
	callSamples:  {"nvmlDeviceGetSamples"},
	callRates:    {"nvmlDeviceGetUtilizationRates"},
	callMemory:   {"nvmlDeviceGetMemoryInfo"},
	callPower:    {"nvmlDeviceGetPowerUsage"},
	callEnergy:   {"nvmlDeviceGetTotalEnergyConsumption"},
	callDriver:   {"nvmlSystemGetDriverVersion"},
}

// needed are the functions without which there is nothing to watch.
var needed = [...]call{callInit, callShutdown, callCount, callHandle}

func (c call) String() string { return symbols[c][0] }

// noGPU is the index that calls have which concern no one GPU.
const noGPU = -1

// problem is why NVML as a whole does not answer.
type problem struct {
	code nvml.Return
	text string
}

// library makes the calls: each only where its symbol exists, and each announced before and after, so that somebody
// else can tell which one hangs. One goroutine owns it.
type library struct {
	path string
	api  nvml.Interface
	// lib is our own hold on the library; nil until it was found usable. It is never let go: go-nvml's calls stay bound
	// to the first library, and while it is held, the symbols that we look up are those that go-nvml will call.
	lib *dl.DynamicLibrary
	has [numCalls]bool
	up  bool
	// shown is how many GPUs the library last counted.
	shown int
	// enter and leave announce a call.
	enter func(c call, index int)
	leave func()
}

func newLibrary(path string, enter func(call, int), leave func()) *library {
	return &library{path: path, api: nvml.New(nvml.WithLibraryPath(path)), enter: enter, leave: leave}
}

// do makes one call. A function that the library lacks answers as one that the driver does not know.
func (l *library) do(c call, index int, f func() nvml.Return) nvml.Return {
	if !l.has[c] {
		return nvml.ERROR_FUNCTION_NOT_FOUND
	}
	l.enter(c, index)
	code := f()
	l.leave()
	return code
}

// open loads and initialises NVML; nil means that it is up.
func (l *library) open() *problem {
	if p := l.probe(); p != nil {
		return p
	}
	if code := l.do(callInit, noGPU, l.api.Init); code != nvml.SUCCESS {
		return &problem{code, "NVML does not start: " + codeText(code)}
	}
	l.up = true
	return nil
}

// probe looks the symbols up before anything is called. It opens the library by itself, because go-nvml tells neither
// why a library cannot be loaded nor what it lacks before it has called nvmlInit.
func (l *library) probe() *problem {
	if l.lib != nil {
		return nil
	}
	l.enter(callOpen, noGPU)
	defer l.leave()
	lib := dl.New(l.path, dl.RTLD_LAZY)
	if err := lib.Open(); err != nil {
		return &problem{nvml.ERROR_LIBRARY_NOT_FOUND, fmt.Sprintf(
			"no NVML library: %v: give the container the NVIDIA runtime with the capability utility, or set WATCHDOG_NVML_LIBRARY", err)}
	}
	for c := callInit; c < numCalls; c++ {
		l.has[c] = slices.ContainsFunc(symbols[c], func(name string) bool { return lib.Lookup(name) == nil })
	}
	for _, c := range needed {
		if !l.has[c] {
			l.has = [numCalls]bool{}
			_ = lib.Close()
			return &problem{nvml.ERROR_FUNCTION_NOT_FOUND, fmt.Sprintf("%s is not a usable NVML library: it lacks %v", l.path, c)}
		}
	}
	l.lib = lib
	return nil
}

// close shuts NVML down where it is up; the next open may follow.
func (l *library) close() {
	if l.up {
		l.up = false
		_ = l.do(callShutdown, noGPU, l.api.Shutdown) // whatever it says, the next step is another open, or our end
	}
}

func (l *library) count() (n int, code nvml.Return) {
	code = l.do(callCount, noGPU, func() (r nvml.Return) { n, r = l.api.DeviceGetCount(); return r })
	l.shown = n
	return n, code
}

func (l *library) handle(index int) (h nvml.Device, code nvml.Return) {
	code = l.do(callHandle, index, func() (r nvml.Return) { h, r = l.api.DeviceGetHandleByIndex(index); return r })
	return h, code
}

func (l *library) uuid(index int, h nvml.Device) (text string, code nvml.Return) {
	code = l.do(callUUID, index, func() (r nvml.Return) { text, r = h.GetUUID(); return r })
	return text, code
}

func (l *library) name(index int, h nvml.Device) (text string, code nvml.Return) {
	code = l.do(callName, index, func() (r nvml.Return) { text, r = h.GetName(); return r })
	return text, code
}

// mig says whether the GPU is cut into instances, in which case its utilisation means nothing.
func (l *library) mig(index int, h nvml.Device) bool {
	var current int
	code := l.do(callMIG, index, func() (r nvml.Return) { current, _, r = h.GetMigMode(); return r })
	return code == nvml.SUCCESS && current == nvml.DEVICE_MIG_ENABLE
}

// samples returns what the ring holds after a stamp.
func (l *library) samples(index int, h nvml.Device, after uint64) (t nvml.ValueType, s []nvml.Sample, code nvml.Return) {
	code = l.do(callSamples, index, func() (r nvml.Return) {
		t, s, r = h.GetSamples(nvml.GPU_UTILIZATION_SAMPLES, after)
		return r
	})
	return t, s, code
}

func (l *library) rates(index int, h nvml.Device) (u nvml.Utilization, code nvml.Return) {
	code = l.do(callRates, index, func() (r nvml.Return) { u, r = h.GetUtilizationRates(); return r })
	return u, code
}

func (l *library) memory(index int, h nvml.Device) (m nvml.Memory, code nvml.Return) {
	code = l.do(callMemory, index, func() (r nvml.Return) { m, r = h.GetMemoryInfo(); return r })
	return m, code
}

func (l *library) power(index int, h nvml.Device) (milliwatts uint32, code nvml.Return) {
	code = l.do(callPower, index, func() (r nvml.Return) { milliwatts, r = h.GetPowerUsage(); return r })
	return milliwatts, code
}

func (l *library) energy(index int, h nvml.Device) (millijoules uint64, code nvml.Return) {
	code = l.do(callEnergy, index, func() (r nvml.Return) { millijoules, r = h.GetTotalEnergyConsumption(); return r })
	return millijoules, code
}

func (l *library) driver() (version string, code nvml.Return) {
	code = l.do(callDriver, noGPU, func() (r nvml.Return) { version, r = l.api.SystemGetDriverVersion(); return r })
	return version, code
}
