package vllm

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gpu-watchdog/gpu-watchdog/internal/exposition"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

const (
	// maxEngines bounds the engines of one page; vLLM's data parallelism stays far below.
	maxEngines = 256
	// maxEngineID bounds the label engine, a small number in every version.
	maxEngineID = 64
	// maxPIDSeries bounds the series that differ in the label pid only.
	maxPIDSeries = 4096
)

// zeroEngine is the engine of series that name none: before 0.8.3, and in the V0 engine, there is no such label.
var zeroEngine = []byte("0")

// sum adds series of one family. A value that cannot be (NaN, infinite, negative) makes the whole sum unknown, because
// a sum without it would be too small, and too small looks idle.
type sum struct {
	value     float64
	seen, bad bool
}

func (s *sum) add(v float64) {
	s.seen = true
	s.value += v
	if !possible(s.value) || !possible(v) {
		s.bad = true
	}
}

func (s *sum) known() watchdog.Maybe[float64] {
	if !s.seen || s.bad {
		return watchdog.Maybe[float64]{}
	}
	return watchdog.Known(s.value)
}

func possible(v float64) bool { return v >= 0 && !math.IsInf(v, 1) }

// gauge is a sum over models. Series that differ in pid only are one gauge, said by several API server processes: their
// maximum counts.
type gauge struct {
	sum
	byPID map[string]float64
}

// engine is one engine's part of a page while it is being read.
type engine struct {
	id               string
	counters         [numCounterFamilies]sum
	running, waiting gauge
	kv, kvOld        maximum
	firstTokenSum    sum
	awake, asleep    bool
	sleepBad         bool
	labelled         bool // its series bear the label engine
}

// maximum is the highest of several shares, each 0 to 1.
type maximum struct {
	value     float64
	seen, bad bool
}

func (m *maximum) add(v float64) {
	m.seen = true
	m.value = max(m.value, v)
	if !possible(v) || v > 1 {
		m.bad = true
	}
}

func (m *maximum) known() watchdog.Maybe[float64] {
	if !m.seen || m.bad {
		return watchdog.Maybe[float64]{}
	}
	return watchdog.Known(m.value)
}

// tally collects the samples of one page.
type tally struct {
	engines      []engine
	pidSeries    int
	http         sum
	httpDeclared bool
	httpCount    sum
	processStart float64
	oldest       float64
	cacheConfig  bool
	foreign      bool
	scratch      []byte
}

// add takes one sample. It errs where a page names more engines than can be.
func (t *tally) add(f family, s *exposition.Sample) error {
	v := s.Value
	switch f {
	case foreign:
		return nil
	case cacheConfig:
		t.cacheConfig = true
		return nil
	case processStart:
		if possible(v) {
			t.processStart = max(t.processStart, v)
		}
		return nil
	case created:
		if possible(v) && v > 0 && (t.oldest == 0 || v < t.oldest) {
			t.oldest = v
		}
		return nil
	case httpRequests:
		t.addHTTP(s)
		return nil
	case httpDuration:
		t.httpCount.add(v)
		return nil
	}
	e, err := t.engine(s)
	if err != nil {
		return err
	}
	switch f {
	case running:
		return t.addGauge(&e.running, s)
	case waiting:
		return t.addGauge(&e.waiting, s)
	case kvUsage:
		e.kv.add(v)
	case kvUsageOld:
		e.kvOld.add(v)
	case firstTokenSum:
		e.firstTokenSum.add(v)
	case sleepState:
		e.addSleep(s)
	default:
		e.counters[f].add(v)
	}
	return nil
}

// engine finds or makes the engine that a series belongs to.
func (t *tally) engine(s *exposition.Sample) (*engine, error) {
	id := s.Get("engine")
	labelled := len(id) > 0
	if !labelled {
		id = zeroEngine
	}
	for i := range t.engines {
		if t.engines[i].id == string(id) {
			t.engines[i].labelled = t.engines[i].labelled || labelled
			return &t.engines[i], nil
		}
	}
	if len(id) > maxEngineID {
		return nil, fmt.Errorf("a label engine has %d bytes, more than %d", len(id), maxEngineID)
	}
	if len(t.engines) == maxEngines {
		return nil, fmt.Errorf("the page names more than %d engines", maxEngines)
	}
	t.engines = append(t.engines, engine{id: string(id), labelled: labelled})
	return &t.engines[len(t.engines)-1], nil
}

func (t *tally) addGauge(g *gauge, s *exposition.Sample) error {
	v := s.Value
	if len(s.Get("pid")) == 0 {
		g.add(v)
		return nil
	}
	if !possible(v) {
		g.seen, g.bad = true, true
		return nil
	}
	t.scratch = s.IdentityBut("pid", t.scratch[:0])
	before, again := g.byPID[string(t.scratch)]
	if again {
		if v > before {
			g.byPID[string(t.scratch)] = v
			g.add(v - before)
		}
		return nil
	}
	if t.pidSeries++; t.pidSeries > maxPIDSeries {
		return fmt.Errorf("the page has more than %d gauges with a label pid", maxPIDSeries)
	}
	if g.byPID == nil {
		g.byPID = map[string]float64{}
	}
	g.byPID[string(t.scratch)] = v
	g.add(v)
	return nil
}

// addSleep reads the three 0/1 series of vllm:engine_sleep_state. Awake 0 means asleep, whatever the other two say: at
// sleep level 0 all three are 0.
func (e *engine) addSleep(s *exposition.Sample) {
	if string(s.Get("sleep_state")) != "awake" {
		return
	}
	switch s.Value {
	case 1:
		e.awake = true
	case 0:
		e.asleep = true
	default:
		e.sleepBad = true
	}
}

// addHTTP counts requests that can be work: POST on a handler of the server, refused ones (4xx) excepted. GET never
// counts, or a monitor's look at /v1/models would keep a pod awake. Status is "2xx" in vLLM's own grouping, "200" where
// that was changed. A sample that does not say its method or status cannot be judged and makes the sum unknown.
func (t *tally) addHTTP(s *exposition.Sample) {
	t.httpDeclared = true
	method, status := s.Get("method"), s.Get("status")
	if len(method) == 0 || len(status) == 0 {
		t.http.seen, t.http.bad = true, true
		return
	}
	if string(method) != "POST" || string(s.Get("handler")) == "none" || len(status) == 3 && status[0] == '4' {
		return
	}
	t.http.add(s.Value)
}

// page closes the books.
func (t *tally) page() (Page, error) {
	if len(t.engines) == 0 && t.cacheConfig && t.foreign {
		return Page{}, fmt.Errorf("has vllm: series, but none of the counters and gauges that this version of gpu-watchdog knows")
	}
	p := Page{
		EngineSeries: len(t.engines) > 0 || t.cacheConfig,
		HTTPSeries:   t.httpDeclared,
		StartedAt:    t.processStart,
	}
	if p.StartedAt == 0 {
		p.StartedAt = t.oldest
	}
	p.HTTPRequests = t.httpTotal(&p.HTTPSeries)
	if len(t.engines) > 0 {
		p.Engines = make([]watchdog.Engine, len(t.engines))
	}
	for i := range t.engines {
		p.Engines[i] = t.engines[i].reading()
	}
	slices.SortFunc(p.Engines, func(a, b watchdog.Engine) int { return strings.Compare(a.ID, b.ID) })
	return p, nil
}

// httpTotal is the sum of addHTTP. A labelled family has no sample before its first request, and with several API servers
// not even a declaration; there http_request_duration_highr_seconds_count, which counts every request and has no label,
// stands at 0 from the start and proves that there was none. That is a known 0, so that the first request is seen as one.
func (t *tally) httpTotal(series *bool) watchdog.Maybe[float64] {
	if t.httpDeclared {
		if t.http.bad {
			return watchdog.Maybe[float64]{}
		}
		return watchdog.Known(t.http.value)
	}
	if all := t.httpCount.known(); all.Known && all.Value == 0 {
		*series = true
		return all
	}
	return watchdog.Maybe[float64]{}
}

func (e *engine) reading() watchdog.Engine {
	r := watchdog.Engine{
		ID:                   e.id,
		Running:              e.running.known(),
		Waiting:              e.waiting.known(),
		KVUsage:              e.kv.known(),
		FirstTokenSecondsSum: e.firstTokenSum.known(),
	}
	for c := range watchdog.NumCounters {
		s := &e.counters[c]
		if old, ok := olderNames[c]; ok && !s.seen {
			s = &e.counters[old]
		}
		r.Counters[c] = s.known()
	}
	if !e.labelled {
		// The V0 engine, which has no label engine, counts a step of no tokens every 10 s while it idles (0.8.5).
		r.Counters[watchdog.EngineSteps] = watchdog.Maybe[float64]{}
	}
	if !e.kv.seen {
		r.KVUsage = e.kvOld.known()
	}
	if !e.sleepBad && (e.awake || e.asleep) {
		// Several models of one engine: one that is awake can work.
		r.Awake = watchdog.Known(e.awake)
	}
	return r
}
