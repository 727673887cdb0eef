package watchdog

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"
	"time"
)

// bits turns fuzzed bytes into choices; past their end every choice is 0.
type bits struct{ left []byte }

func (b *bits) byte() byte {
	if len(b.left) == 0 {
		return 0
	}
	v := b.left[0]
	b.left = b.left[1:]
	return v
}

func (b *bits) flag() bool { return b.byte()&1 == 1 }

func (b *bits) below(n int) int { return int(b.byte()) % n }

// span is a duration between minus a minute and some days, mostly short.
func (b *bits) span() time.Duration {
	units := []time.Duration{0, time.Nanosecond, time.Millisecond, time.Second, time.Minute, time.Hour, -time.Second, -time.Minute}
	return time.Duration(b.byte()) * units[b.below(len(units))]
}

// age is a span that is not negative.
func (b *bits) age() time.Duration { return max(0, b.span()) }

func (b *bits) value() Maybe[float64] {
	values := []float64{0, 0.4, 1, 3, 6, 50, 95, 100, 1e9, 1e300}
	return Maybe[float64]{Value: values[b.below(len(values))], Known: b.byte()%8 > 0}
}

func (b *bits) server(n int) Server {
	s := fixtureServer(n)
	s.Outcome, s.Health = Outcome(b.below(5)), Health(b.below(3))
	if b.flag() {
		return s
	}
	s.EngineSeries, s.HTTPSeries, s.HTTPRequests, s.Load = b.flag(), b.flag(), b.value(), b.value()
	s.StartedAt = float64(b.below(3))
	s.Engines = nil
	for id := range b.below(3) {
		e := Engine{ID: string(rune('0' + id + b.below(2))), Running: b.value(), Waiting: b.value(), KVUsage: b.value(), Awake: Maybe[bool]{Value: b.flag(), Known: b.flag()}}
		for c := range e.Counters {
			e.Counters[c] = b.value()
		}
		s.Engines = append(s.Engines, e)
	}
	return s
}

func (b *bits) snapshot(tick uint64) Snapshot {
	s := Snapshot{Tick: tick, At: fixtureEpoch.Add(b.span()), Elapsed: fixtureInterval, StartID: fixtureStart, Quote: fixtureQuote()}
	shape := b.byte()
	if shape&1 > 0 {
		s.Elapsed, s.WallStep = b.span(), b.span()
	}
	if shape&2 > 0 {
		s.Final, s.Stop = b.flag(), StopReport{Phase: StopPhase(b.below(7)), Target: "runpod", RetryAfter: b.age()}
	}
	if shape&4 > 0 {
		s.Quote.BreakEven, s.Quote.NoSaving, s.Quote.PriceUSDPerHour, s.Pod.Locked = b.age(), b.flag(), b.value(), Known(b.flag())
		if b.below(8) == 0 {
			s.StartID = ""
		}
	}
	for n := range b.below(3) {
		s.Servers = append(s.Servers, b.server(n))
	}
	s.GPU.State = SourceState(b.below(4))
	for n := range b.below(3) {
		d := fixtureDevice(n)
		if b.flag() {
			d.State, d.Gap, d.Rate, d.MemoryRate, d.PowerWatts = SourceState(b.below(4)), b.flag(), b.value(), b.value(), b.value()
			d.Samples = d.Samples[:b.below(4)]
			for i := range d.Samples {
				d.Samples[i] = b.byte() % 101
			}
		}
		s.GPU.Devices = append(s.GPU.Devices, d)
	}
	s.Sockets.State = SourceState(b.below(4))
	for range b.below(4) {
		s.Sockets.Connections = append(s.Sockets.Connections, Connection{
			Cookie: uint64(b.below(4)), Port: uint16(7999 + b.below(4)), Peer: "p", Received: uint64(b.byte()), Sent: uint64(b.byte()),
			SinceReceived: b.age(), SinceSent: b.age(), HalfClosed: b.flag(),
		})
	}
	s.Host = Host{State: SourceState(b.below(4)), CPUCores: b.value()}
	if s.Sockets.State == SourceOK && shape&8 > 0 {
		s.Sockets.Listening = []uint16{uint16(7999 + b.below(2))}
		s.Host.OwnCores, s.Host.ReceivedBytesPerSecond, s.Rows, s.RowPrompt, s.RowOutput = b.value(), b.value(), uint64(b.below(3)), b.value(), b.value()
	}
	return s
}

// FuzzDecide plays looks of any kind, and holds each decision to what must be true of all of them.
func FuzzDecide(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte("\x00\x00\x00\x01\x03\x01\x01\x01\x01\x01\x00\x00\x02\x01"))
	f.Add(slices.Repeat([]byte{0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 1, 0, 1, 0}, 40))
	f.Add(slices.Repeat([]byte{7, 2, 2, 1, 4, 3, 6, 0, 1, 0, 3, 2, 9, 12, 1}, 30))
	f.Fuzz(func(t *testing.T, data []byte) {
		b := &bits{data}
		r := fixtureRules()
		shape := b.byte()
		r.GPUMode, r.GPUPercent = ThresholdMode(shape%3), 20
		r.Armed, r.Unarmed = shape&4 == 0, "nothing can stop this pod"
		if shape&8 > 0 {
			r.MinRuntime, r.WarnBefore = 30*time.Second, 0
		}
		besideVLLM(r, shape>>4)
		var state State
		for tick := uint64(1); len(b.left) > 0 && tick < 200; tick++ {
			s := b.snapshot(tick)
			next, d := r.Decide(state, s)
			if wrong := implausible(r, state, next, s, d); wrong != "" {
				t.Fatalf("tick %d: %s\n%s", tick, wrong, describeDecision(d))
			}
			state = next
			if b.below(16) == 1 {
				resumed := Resume(throughJSON(t, state), s.StartID)
				if s.StartID != "" && !sameClock(t, state, resumed) {
					t.Fatalf("tick %d: the stored state came back as another one\n%+v\n%+v", tick, state, resumed)
				}
				state = resumed
			}
		}
	})
}

// besideVLLM turns on the rules for work that is not vLLM's, and for monitors.
func besideVLLM(r *Rules, which byte) {
	if which&1 > 0 {
		r.CPUBusy = 0.5
	}
	if which&2 > 0 {
		r.Ports = []uint16{7999, 8000}
	}
	if which&4 > 0 {
		r.ProbeMaxTokens = 16
	}
}

// implausible says what is wrong with a decision; empty where nothing is.
func implausible(r *Rules, p, n State, s Snapshot, d Decision) string {
	elapsed := max(0, s.Elapsed)
	if !p.Based {
		elapsed = 0
	}
	credited := map[Activity]time.Duration{Quiet: p.Idle + elapsed, Unknown: p.Idle, Broken: p.Idle}[d.Activity]
	stops := d.Verdict == Stop
	switch {
	case d.Idle != credited:
		return "the clock stands at another time than the sum of quiet windows, " + credited.String()
	case d.Idle < 0, d.UnknownFor < 0, n.BrokenFor < 0, n.ReadyFor < 0, n.WarnedFor < 0, n.Attempt.For < 0, n.Attempt.RetryIn < 0:
		return "a duration is negative"
	case d.Act && !stops:
		return "it acts without a stop"
	case stops && d.Activity != Quiet && d.Activity != Broken:
		return "it stops a pod that is neither quiet nor broken"
	case stops && d.Activity == Quiet && (d.Idle < n.Threshold || n.Threshold < 3*r.CheckInterval):
		return "it stops a pod that is not quiet for T"
	case stops && d.Activity == Broken && n.BrokenFor < r.brokenLimit(d.Reason()):
		return "it stops a pod before what is broken has stood still for its limit"
	case stops && (s.StartID == "" || !r.Armed || s.Pod.Locked.Or(false) || n.ReadyFor < r.MinRuntime):
		return "it stops a pod that must not be stopped"
	case stops && d.Activity == Quiet && s.Quote.NoSaving:
		return "it stops an idle pod, and a stopped hour is not cheaper"
	case stops && d.Activity == Quiet && n.QuietRun < 2:
		return "it stops after less than two quiet windows"
	case stops && d.Activity == Quiet && n.WarnedFor < r.lead(n.Threshold):
		return "it stops before the warning has stood for its time"
	case d.Verdict != Hold && d.Activity != Quiet && d.Activity != Broken:
		return "it announces a stop in a window that is neither quiet nor broken"
	case d.StopAt.Known && d.StopAt.Value.Before(d.At), d.Until.Known && d.Until.Value.Before(d.At):
		return "an instant to come is past"
	case len(d.Reasons) == 0:
		return "no reason"
	case d.Activity == Unknown && d.TokensDelta.Or(0) > 0 && r.ProbeMaxTokens == 0:
		return "tokens moved, and yet it is not known whether anything works"
	}
	for _, because := range d.Reasons {
		if !knownReason(because.Code) {
			return "the reason " + string(because.Code) + " is not in the closed set"
		}
		if because.Detail == "" || because.Since.IsZero() {
			return "the reason " + string(because.Code) + " has no detail or no beginning"
		}
	}
	for _, word := range []string{d.Evidence.VLLM, d.Evidence.GPU, d.Evidence.Sockets, d.Evidence.Host} {
		if !slices.Contains([]string{"ok", "absent", "failed", "dropped"}, word) {
			return "the evidence says " + word
		}
	}
	return ""
}

func knownReason(code Reason) bool {
	for _, m := range ReasonMeaning {
		if m.Code == code {
			return true
		}
	}
	return false
}

// sameClock: all that the idle clock goes by is as it was stored.
func sameClock(t *testing.T, a, b State) bool {
	t.Helper()
	kept := func(s State) string {
		s.Attempt = Attempt{} // an attempt is taken up in a way of its own
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	return !b.Based && a.Idle == b.Idle && a.Threshold == b.Threshold && a.ReadyFor == b.ReadyFor && kept(a) == kept(b)
}

func throughJSON(t *testing.T, state State) State {
	t.Helper()
	text, err := json.Marshal(state)
	if err != nil {
		t.Fatalf("store the state: %v", err)
	}
	var stored State
	if err := json.Unmarshal(text, &stored); err != nil {
		t.Fatalf("read the stored state: %v", err)
	}
	return stored
}

// Decide is pure: the same arguments give the same results, and neither the state nor the snapshot nor anything that
// they point to is changed, not even behind the end of a slice.
func TestDecideIsPure(t *testing.T) {
	for seed := range byte(200) {
		b := &bits{stirred(seed)}
		r := fixtureRules()
		besideVLLM(r, seed)
		var state State
		for tick := uint64(1); len(b.left) > 0; tick++ {
			s := b.snapshot(tick)
			kept, keptSnapshot := state, s
			stateCopy, snapshotCopy := deepCopy(state), deepCopy(s)
			one, first := r.Decide(state, s)
			if !reflect.DeepEqual(kept, stateCopy) || !reflect.DeepEqual(keptSnapshot, snapshotCopy) {
				t.Fatalf("seed %d, tick %d: an argument was changed", seed, tick)
			}
			two, second := r.Decide(stateCopy, snapshotCopy)
			other := b.snapshot(tick)
			r.Decide(stateCopy, other) // would write over what the one before it appended in place
			if !reflect.DeepEqual(one, two) || !reflect.DeepEqual(first, second) {
				t.Fatalf("seed %d, tick %d: the same arguments gave other results", seed, tick)
			}
			state = two
		}
	}
}

// stirred are some bytes, different for each seed.
func stirred(seed byte) []byte {
	out, x := make([]byte, 1500), uint32(seed)*2654435761+12345
	for i := range out {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		out[i] = byte(x >> 24)
	}
	return out
}

// deepCopy copies a value with everything that it points to. The slices of the copy have room behind their end, as the
// original may have, so that an append in place shows.
func deepCopy[T any](v T) T {
	return deepValue(reflect.ValueOf(v)).Interface().(T)
}

func deepValue(v reflect.Value) reflect.Value {
	out := reflect.New(v.Type()).Elem()
	out.Set(v)
	switch v.Kind() {
	case reflect.Slice:
		if v.IsNil() {
			break
		}
		out = reflect.MakeSlice(v.Type(), v.Len(), v.Len()+4)
		for i := range v.Len() {
			out.Index(i).Set(deepValue(v.Index(i)))
		}
	case reflect.Array:
		for i := range v.Len() {
			out.Index(i).Set(deepValue(v.Index(i)))
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			break
		}
		for i := range v.NumField() {
			out.Field(i).Set(deepValue(v.Field(i)))
		}
	}
	return out
}
