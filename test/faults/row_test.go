package faults

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/test/program"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/runpod/runpodtest"
)

// row is one fault.
type row struct {
	group, name string
	// short rows are played in the default suite.
	short bool
	// play is what goes on in the pod, and fault what goes wrong with it. Early faults are there before the watchdog is; the
	// others come once it has seen the pod at work, or idle.
	play  play
	fault act
	early bool
	// env are settings over the usual ones, with and without the fault.
	env []string
	// alone: nothing is known of the CPU, which here is the whole machine's and never still.
	alone bool
	// says is what the log must say with the fault, and never without; unsaid the other way about.
	says, unsaid []said
	// with and without are how it comes out.
	with, without outcome
	// check looks at what the fault left behind; nil for nothing.
	check func(*pod)
	// most is how long an idle pod may go on at most; 0 for program.Soon.
	most time.Duration

	place int
}

// act is something that is done to a pod.
type act func(*pod)

// play is what goes on in a pod.
type play struct {
	name string
	// begin is done before the watchdog starts. Where rest is not nil the pod works from then on, until rest ends it.
	begin, rest act
	// first are the words of the decision that says that the watchdog knows the pod.
	first []string
}

// said is a line of the log: its constant message, and words that one of its fields has.
type said struct {
	msg   string
	words []string
}

func says(msg string, words ...string) said { return said{msg, words} }

// outcome is what becomes of a pod.
type outcome struct {
	// under is the state in which the pod is held while it works: activity and reason. Empty for plays without work.
	under string
	// Then one of: the reason of the stop that comes; the state in which it is held although it is idle, until the fault is
	// over; the exit code of the program.
	stop, kept string
	exit       int
}

func stopped(reason string) outcome { return outcome{stop: reason} }

func kept(state string) outcome { return outcome{kept: state} }

func exits(code int) outcome { return outcome{exit: code} }

// working is one that is held in this state while it works.
func (o outcome) working(state string) outcome { o.under = state; return o }

// id names a row among all.
func (r row) id() string { return r.group + "/" + r.name }

func (o outcome) String() string {
	var words []string
	if o.under != "" {
		words = append(words, o.under+",")
	}
	switch {
	case o.stop != "":
		words = append(words, "stop "+o.stop)
	case o.kept != "":
		words = append(words, "kept "+o.kept)
	case o.exit != 0:
		words = append(words, fmt.Sprintf("exit %d", o.exit))
	}
	return strings.Join(words, " ")
}

const (
	interval = 100 * time.Millisecond
	// limit is the idle limit: any quiet would soon lead to a stop.
	limit = time.Second
	// watched is how long no stop may come: the idle limit, the final look, and half as much again.
	watched = 3 * time.Second
)

func TestFaults(t *testing.T) {
	chosen := strings.FieldsFunc(*only, func(r rune) bool { return r == ',' })
	for i, r := range rows {
		r.place = i
		if len(chosen) > 0 && !slices.Contains(chosen, r.name) && !slices.Contains(chosen, r.id()) || len(chosen) == 0 && !*all && !r.short {
			continue
		}
		t.Run(r.id(), func(t *testing.T) {
			t.Parallel()
			sum := result{row: r}
			began := time.Now()
			t.Cleanup(func() {
				sum.took = time.Since(began)
				switch {
				case t.Failed():
					sum.word = "FAIL"
				case t.Skipped():
					sum.word = "SKIP"
				default:
					sum.word = "PASS"
				}
				results.add(sum)
			})
			r.playOnce(t, true, &sum)
			r.playOnce(t, false, &sum)
		})
	}
}

// TestRows holds the table to what it promises of itself.
func TestRows(t *testing.T) {
	names := map[string]bool{}
	short := 0
	for _, r := range rows {
		if names[r.id()] {
			t.Errorf("two rows are called %q", r.id())
		}
		names[r.id()] = true
		if r.short {
			short++
		}
		if r.with == r.without && len(r.says)+len(r.unsaid) == 0 && r.check == nil {
			t.Errorf("%s: with and without its fault it comes out the same, and the log says the same", r.name)
		}
		if len(r.says) == 0 && r.check == nil && len(r.unsaid) == 0 {
			t.Errorf("%s: the log says nothing of it", r.name)
		}
	}
	if len(rows) < 60 || short < len(rows)/2 {
		t.Errorf("%d rows, %d of them short", len(rows), short)
	}
}

func (r row) playOnce(t *testing.T, faulty bool, sum *result) {
	t.Helper()
	p := newPod(t, r)
	defer p.end()
	if !faulty {
		p.faulty = " (without the fault)"
	}
	want := r.without
	if faulty {
		want = r.with
	}
	r.play.begin(p)
	if faulty && r.early {
		r.fault(p)
	}
	p.start()
	if p.later != nil {
		p.later(p)
	}
	if faulty && r.early {
		p.hears(r.says)
	} else {
		p.Says("decision", r.play.first...)
		if faulty {
			r.fault(p)
			p.hears(r.says)
		}
	}
	if r.play.rest != nil {
		if want.under != "" {
			p.stays(want.under)
		}
		if p.wasStopped() {
			sum.stops++
			t.Errorf("%s: under work it was stopped: %s", p, p.calls())
		}
		r.play.rest(p)
	}
	idle := time.Now()
	switch {
	case want.stop != "":
		p.isStopped(want.stop, idle, sum)
	case want.kept != "":
		p.stays(want.kept)
		if p.wasStopped() {
			t.Errorf("%s: it was stopped: %s", p, p.calls())
		}
		if faulty && p.heal != nil {
			p.heal()
			p.isStopped("", time.Now(), sum)
		}
	case want.exit != 0:
		if code := p.Wait(program.Soon); code != want.exit {
			t.Errorf("%s: it ended with %d, not %d", p, code, want.exit)
		}
	}
	if faulty && r.check != nil {
		r.check(p)
	}
	unsaid := r.says
	if faulty {
		unsaid = r.unsaid
	} else {
		p.hears(r.unsaid)
	}
	for _, s := range unsaid {
		if found := p.Find(func(l program.Line) bool { return l.Msg() == s.msg && l.Holds(p.words(s)...) }); len(found) > 0 {
			t.Errorf("%s: it must not say %q: %v", p, s, found[0])
		}
	}
	p.sound()
}

// hears waits for all these lines.
func (p *pod) hears(all []said) {
	p.t.Helper()
	for _, s := range all {
		p.Await(fmt.Sprintf("%q", s), p.most(), func(l program.Line) bool { return l.Msg() == s.msg && l.Holds(p.words(s)...) })
	}
}

// most is how long something that must come may take.
func (p *pod) most() time.Duration { return max(p.row.most, program.Soon) }

// words are those of a line, with what only this pod knows in place of URL and DIR.
func (p *pod) words(s said) []string {
	out := slices.Clone(s.words)
	for i := range out {
		out[i] = strings.NewReplacer("$URL", p.servers[0].URL(), "$DIR", p.dir).Replace(out[i])
	}
	return out
}

// state is what the program says now: its activity, its leading reason and the others.
func (p *pod) state() (activity string, reasons []string) {
	p.t.Helper()
	if p.blind {
		lines := p.Find(func(l program.Line) bool { return l.Msg() == "decision" })
		if len(lines) == 0 {
			return "", nil
		}
		last := lines[len(lines)-1]
		return last.Text("activity"), []string{last.Text("reason")}
	}
	s := p.Status()
	for _, r := range s.Reasons {
		reasons = append(reasons, r.Code)
	}
	return s.Activity, reasons
}

// stays waits until the pod is held in this state, and then for as long as a stop would take if the pod were idle.
func (p *pod) stays(state string) {
	p.t.Helper()
	wanted, reason, _ := strings.Cut(state, " ")
	is := func() bool {
		activity, reasons := p.state()
		return activity == wanted && slices.Contains(reasons, reason)
	}
	p.until(program.Soon, "the state "+state, is)
	over := time.Now().Add(watched)
	p.until(2*watched, "time passes", func() bool { return p.wasStopped() || time.Now().After(over) })
	p.until(program.Soon, "still the state "+state, is)
}

// isStopped waits for the stop of a pod that is idle since then.
func (p *pod) isStopped(reason string, since time.Time, sum *result) {
	p.t.Helper()
	most := p.most()
	deadline := time.Now().Add(most)
	for p.provider.Stops() == 0 {
		if time.Now().After(deadline) {
			sum.forgot++
			p.t.Fatalf("%s: forgotten: within %s no stop came; RunPod was asked: %s", p, most, p.calls())
		}
		if !p.Lives() && p.provider.Stops() == 0 {
			sum.forgot++
			p.t.Fatalf("%s: forgotten: the program ended with %d before the stop", p, p.ExitCode())
		}
		p.breathe()
	}
	sum.slow = max(sum.slow, time.Since(since))
	if reason == "" || p.deaf {
		return
	}
	asked := p.Await("stop requested", program.Soon, func(l program.Line) bool { return l.Msg() == "stop requested" })
	if got := asked.Text("reason"); got != reason {
		p.t.Errorf("%s: it was stopped for %s, not for %s", p, got, reason)
	}
}

func isStop(c runpodtest.Call) bool { return c == runpodtest.V2Action || c == runpodtest.GraphQLStop }

// wasStopped says that a stop was asked for that should not have been.
func (p *pod) wasStopped() bool {
	return p.provider.Stops() > 0 || !p.refusals && p.stopCalls() > p.forgiven
}

// stopCalls counts the calls that ask for a stop.
func (p *pod) stopCalls() (n int) {
	for _, r := range p.provider.Requests() {
		if isStop(r.Call) {
			n++
		}
	}
	return n
}

func (p *pod) calls() string {
	var b strings.Builder
	for _, r := range p.provider.Requests() {
		if isStop(r.Call) {
			fmt.Fprintf(&b, "%s answered %d; ", r.Call, r.Status)
		}
	}
	return b.String()
}
