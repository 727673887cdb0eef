// Package nvml reads the GPUs of this pod through NVIDIA's NVML: one watchdog.GPU for each look.
//
// The main signal is the driver's own ring of utilisation samples, read since the last stamp seen, so that no burst
// between two looks is missed. The package drains that ring itself, however rarely somebody looks, and keeps what it
// saw until the next look. It interprets nothing: thresholds, noise floors and spin waits are the core's.
//
// NVML can hang inside the kernel, and go-nvml races when it is initialised in one goroutine and used in another. So
// one goroutine makes every call, Source.Read waits for it no longer than its context allows, and a call that does not
// return costs one thread and is reported by name.
//
// go-nvml binds the library's functions lazily: calling one that the library lacks ends the process with status 127,
// beyond the reach of recover. So library.go looks every symbol up before its first call, and nothing outside that file
// calls NVML. For the same reason nothing here formats an nvml.Return with its own Error method, which is a call into
// the library; codes.go has the words. And a process must not be linked with -z now, nor have more than one Source: the
// first library that go-nvml loads stays for the life of the process.
//
// It must not import other sources, nor anything above collector.
package nvml
