package standin

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Variable is the environment variable by which the library finds its control file.
const Variable = "NVML_STANDIN_FILE"

// maxSpans is how many levels, and how many bursts, the library keeps for one GPU.
const maxSpans = 128

// Script is what the control file says. Change the fields, then Write. It is not for several goroutines at once.
type Script struct {
	// Path is the control file.
	Path string
	// Init is the code that nvmlInit returns.
	Init int
	// Codes are the codes that calls return, by exported name, whichever GPU is asked.
	Codes map[string]int
	// Hangs are the calls, by exported name, that do not return while they stand here.
	Hangs []string
	// Trace is a file to which the library appends a line for every call; empty for none.
	Trace string
	// GPUs in the order of their indices, at most 16.
	GPUs []GPU
}

// GPU is one device of a Script. A zero field means the library's default, which the package comment names.
type GPU struct {
	UUID, Name string
	// Levels is the history of the utilisation, in the order of time; SetLevel adds to it.
	Levels []Level
	// Bursts is work that only the ring remembers; Burst adds to it.
	Bursts []Burst
	// Rate is what GetUtilizationRates says instead of the level; nil for the level.
	Rate *uint
	// MemoryRate is the percent of time in which memory was read or written.
	MemoryRate uint
	// MemoryUsed and MemoryTotal are bytes.
	MemoryUsed, MemoryTotal uint64
	// PowerMilliwatts is the draw. SetPower changes it and carries the energy counter over.
	PowerMilliwatts uint
	// EnergyMillijoules is the energy counter at EnergyFrom; from there on it grows as PowerMilliwatts says.
	EnergyMillijoules uint64
	EnergyFrom        time.Time

	// Lost is the code that every call on this GPU returns, and Codes those of single calls by exported name.
	Lost  int
	Codes map[string]int
	// MIG is 1 where utilisation is not supported under MIG, 2 where it is answered nonetheless.
	MIG int

	// Slots and Period are the ring's length and the distance of its samples.
	Slots  int
	Period time.Duration
	// ExactSizes: the sizing call tells how many samples there are, not how many fit.
	ExactSizes bool
	// DryWhenIdle: samples of 0 never enter the ring.
	DryWhenIdle bool
	// RingSince: the ring holds nothing older. StampOffset is added to every stamp.
	RingSince   time.Time
	StampOffset time.Duration
	// ValueType is NVML's number of the type that sample values have; nil for unsigned int.
	ValueType *int
}

// Level is the utilisation from an instant on.
type Level struct {
	From    time.Time
	Percent uint
}

// Burst is a spell of work that is seen in the ring only.
type Burst struct {
	From, To time.Time
	Percent  uint
}

// NewScript makes a script for n GPUs that idle, and does not write it yet.
func NewScript(path string, n int) *Script {
	return &Script{Path: path, GPUs: make([]GPU, n)}
}

// Env is the variable that a process needs to follow this script.
func (s *Script) Env() string { return Variable + "=" + s.Path }

// SetLevel lets the utilisation be percent from an instant on, which must not be before that of the call before.
func (g *GPU) SetLevel(from time.Time, percent uint) {
	g.Levels = append(g.Levels, Level{from, percent})
	g.Levels = g.Levels[max(0, len(g.Levels)-maxSpans):]
}

// Burst plants work between two instants that GetUtilizationRates does not show.
func (g *GPU) Burst(from time.Time, lasts time.Duration, percent uint) {
	g.Bursts = append(g.Bursts, Burst{from, from.Add(lasts), percent})
	g.Bursts = g.Bursts[max(0, len(g.Bursts)-maxSpans):]
}

// SetPower lets the GPU draw that much from an instant on, and carries the energy counter over to it. The first call
// begins the counter, so it belongs before the first Write.
func (g *GPU) SetPower(from time.Time, milliwatts uint) {
	if !g.EnergyFrom.IsZero() {
		g.EnergyMillijoules += uint64(max(0, from.Sub(g.EnergyFrom).Milliseconds())) * uint64(g.PowerMilliwatts) / 1000
	}
	g.EnergyFrom, g.PowerMilliwatts = from, milliwatts
}

// Write replaces the control file as a whole: a reader sees the old one or the new one.
func (s *Script) Write() error {
	tmp, err := os.CreateTemp(filepath.Dir(s.Path), ".standin-*")
	if err != nil {
		return fmt.Errorf("write the stand-in's control file: %w", err)
	}
	_, err = tmp.Write(s.text())
	if closed := tmp.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(tmp.Name(), s.Path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
		return fmt.Errorf("write the stand-in's control file: %w", err)
	}
	return nil
}

func (s *Script) text() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# control file of the NVML stand-in\ngpus %d\n", len(s.GPUs))
	number(&b, "init", s.Init)
	codes(&b, "", s.Codes)
	for _, call := range s.Hangs {
		fmt.Fprintf(&b, "hang %s\n", call)
	}
	if s.Trace != "" {
		fmt.Fprintf(&b, "trace %s\n", s.Trace)
	}
	for i := range s.GPUs {
		s.GPUs[i].text(&b, fmt.Sprintf("gpu %d ", i))
	}
	return b.Bytes()
}

func (g *GPU) text(b *bytes.Buffer, prefix string) {
	for _, t := range []struct{ key, text string }{{"uuid", g.UUID}, {"name", g.Name}} {
		if t.text != "" {
			fmt.Fprintf(b, "%s%s %s\n", prefix, t.key, t.text)
		}
	}
	for _, l := range g.Levels {
		fmt.Fprintf(b, "%slevel %d %d\n", prefix, l.From.UnixMicro(), l.Percent)
	}
	for _, u := range g.Bursts {
		fmt.Fprintf(b, "%sburst %d %d %d\n", prefix, u.From.UnixMicro(), u.To.UnixMicro(), u.Percent)
	}
	if g.Rate != nil {
		fmt.Fprintf(b, "%srate %d\n", prefix, *g.Rate)
	}
	if g.ValueType != nil {
		fmt.Fprintf(b, "%svalue_type %d\n", prefix, *g.ValueType)
	}
	if !g.EnergyFrom.IsZero() {
		fmt.Fprintf(b, "%senergy %d %d\n", prefix, g.EnergyFrom.UnixMicro(), g.EnergyMillijoules)
	}
	if !g.RingSince.IsZero() {
		fmt.Fprintf(b, "%ssince_us %d\n", prefix, g.RingSince.UnixMicro())
	}
	number(b, prefix+"memory_rate", g.MemoryRate)
	number(b, prefix+"power_mw", g.PowerMilliwatts)
	number(b, prefix+"memory_used", g.MemoryUsed)
	number(b, prefix+"memory_total", g.MemoryTotal)
	number(b, prefix+"lost", g.Lost)
	number(b, prefix+"mig", g.MIG)
	number(b, prefix+"slots", g.Slots)
	number(b, prefix+"period_us", g.Period.Microseconds())
	number(b, prefix+"offset_us", g.StampOffset.Microseconds())
	flag(b, prefix+"exact", g.ExactSizes)
	flag(b, prefix+"dry", g.DryWhenIdle)
	codes(b, prefix, g.Codes)
}

func number[T int | int64 | uint | uint64](b *bytes.Buffer, key string, n T) {
	if n != 0 {
		fmt.Fprintf(b, "%s %d\n", key, n)
	}
}

func flag(b *bytes.Buffer, key string, on bool) {
	if on {
		fmt.Fprintf(b, "%s 1\n", key)
	}
}

func codes(b *bytes.Buffer, prefix string, of map[string]int) {
	for _, call := range slices.Sorted(maps.Keys(of)) {
		fmt.Fprintf(b, "%scode %s %d\n", prefix, call, of[call])
	}
}
