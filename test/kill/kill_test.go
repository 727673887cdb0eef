package kill

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/test/program"
)

var (
	binary string
	kills  = flag.Int("kills", 16, "how often the watchdog is killed, over all pods")
)

func TestMain(m *testing.M) { os.Exit(program.Main(m, &binary)) }

const (
	// pods is how many are played side by side.
	pods = 8
	// saved is how old the clock on disk may be in quiet.
	saved = 2 * time.Second
	// writing is the time of one write, and of the scheduler's whims on a busy machine.
	writing = 200 * time.Millisecond
)

// TestKillsAtRandomInstants: whenever the watchdog is killed, its memory is whole, and the clock in it is never above the
// time for which the server was truly quiet under its eyes, and at most two seconds and a tick below.
func TestKillsAtRandomInstants(t *testing.T) {
	var all score
	t.Cleanup(func() { t.Log(&all) }) // after the pods, which are played side by side
	for i := range pods {
		t.Run(fmt.Sprintf("pod-%d", i), func(t *testing.T) {
			t.Parallel()
			p := newPod(t)
			for n := range (*kills + pods - 1 - i) / pods {
				if i%4 == 3 && n%2 == 1 {
					p.busyLife(&all)
				} else {
					p.quietLife(&all)
				}
			}
		})
	}
}

// fate waits for the moment of the kill: any, or with one in four two seconds after the first quiet window, when the clock
// is written again, or with another one in four the very middle of a write.
func (p *pod) fate() {
	within := func(from, to time.Duration) *time.Timer { return time.NewTimer(from + rand.N(to-from)) }
	any := within(0, saved+8*interval)
	switch rand.N(4) {
	case 0:
		any = within(saved+interval, saved+4*interval)
	case 1:
		look := time.NewTicker(50 * time.Microsecond)
		defer look.Stop()
		for !p.isWriting() {
			select {
			case <-any.C:
				return
			case <-look.C:
			}
		}
		return
	}
	<-any.C
}

// quietLife is one run of the watchdog beside a quiet server.
func (p *pod) quietLife(s *score) {
	t := p.t
	r := p.start()
	p.fate()
	r.Kill()
	killed := time.Now()

	s.half(p.halfWritten())
	was, now := p.clock, p.memory().State.Idle
	p.clock = now
	begun, started := first(r.Lines(), func(l program.Line) bool { return l.Msg() == "watchdog started" })
	looked, decided := first(r.Lines(), decision)
	if !started || !decided {
		if now != was {
			t.Errorf("killed before the first look, and yet the clock went from %s to %s", was, now)
		}
		s.add(0, 0, false)
		return
	}
	// Before the first look nothing can have been seen; after it everything was.
	quiet, seen := killed.Sub(begun.At()), killed.Sub(looked.At())
	if now-was > quiet {
		t.Errorf("the clock went from %s to %s in a life of %s", was, now, quiet)
	}
	if looked.Seconds("idle_seconds").Round(time.Millisecond) != was.Round(time.Millisecond) {
		t.Errorf("the clock stood at %s, and the next life began with %s", was, looked.Seconds("idle_seconds"))
	}
	lost := seen - (now - was)
	// A machine that is too busy to look in time makes windows unknown, which freeze the clock as they should.
	late := slices.ContainsFunc(r.Lines(), func(l program.Line) bool { return decision(l) && l.Text("reason") == "clock_step" })
	if lost > saved+interval+writing && !late {
		t.Errorf("the clock went from %s to %s, though %s of quiet were seen: %s are lost", was, now, seen, lost)
	}
	s.add(seen, lost, late)
}

// busyLife is one run beside a server that begins to work under its eyes: from then on the clock is 0, here and in the
// next life.
func (p *pod) busyLife(s *score) {
	t := p.t
	r := p.start()
	r.Await("a first decision", 10*time.Second, decision)
	p.server.work(true)
	busy := r.Await("work seen", 10*time.Second, func(l program.Line) bool { return decision(l) && l.Text("activity") == "busy" })
	timer := time.NewTimer(rand.N(3 * interval))
	<-timer.C
	r.Kill()
	killed := time.Now()
	now := p.memory().State.Idle
	if p.clock = now; now != 0 && killed.Sub(busy.At()) > writing {
		t.Errorf("killed %s after work was seen, and the clock says %s", killed.Sub(busy.At()), now)
	}
	p.server.work(false)
	s.busyOne(now == 0)

	// Whatever the file says, the next life knows by the counters that there was work.
	next := p.start()
	next.Await("a quiet window", 10*time.Second, func(l program.Line) bool { return decision(l) && l.Text("activity") == "quiet" })
	next.Kill()
	if opening := next.Find(decision)[0]; opening.Seconds("idle_seconds") != 0 {
		t.Errorf("work came, and the next life began with a clock of %s", opening.Seconds("idle_seconds"))
	}
	p.clock = p.memory().State.Idle
}

// score is what came of all lives.
type score struct {
	mu                  sync.Mutex
	kills, unseen, late int
	busy, zero, halves  int
	quiet, most, loss   time.Duration
}

func (s *score) add(seen, lost time.Duration, late bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kills++
	switch {
	case seen == 0:
		s.unseen++
	case late:
		s.late++
	default:
		s.quiet += seen
		s.loss += lost
		s.most = max(s.most, lost)
	}
}

func (s *score) busyOne(zero bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kills++
	s.busy++
	if zero {
		s.zero++
	}
}

// half counts the kills in the middle of a write.
func (s *score) half(left bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if left {
		s.halves++
	}
}

func (s *score) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	counted := max(1, s.kills-s.unseen-s.late-s.busy)
	return fmt.Sprintf("%d kills: the memory was whole after each. %d came before the first look, %d in the middle of a write, %d under work (%d of them found the clock at 0). "+
		"Of %.1f s of quiet that were seen the clock never had too much, and lost %.2f s a kill in the mean, %.3f s at most (allowed: %.1f s); %d lives had late looks and are not in these figures",
		s.kills, s.unseen, s.halves, s.busy, s.zero, s.quiet.Seconds(), s.loss.Seconds()/float64(counted), s.most.Seconds(), (saved + interval).Seconds(), s.late)
}
