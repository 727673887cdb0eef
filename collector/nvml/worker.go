//go:build linux && cgo

package nvml

import (
	"slices"
	"strings"
	"time"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
	"go.uber.org/zap"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// freshFor: a poll that nobody has looked at yet serves a look that comes so soon after it. It is well below the period
// of the ring, and spares every second poll where looks come as often as the worker's own polls.
const freshFor = 50 * time.Millisecond

// worker makes every call of NVML, in its own goroutine. Its fields belong to that goroutine.
type worker struct {
	s      *Source
	lib    *library
	poller poller
	// polled is when the last poll began; reopenAt when NVML is to be initialised anew, zero for not at all.
	polled, reopenAt time.Time
	// backoff is the wait before the next new start after a loss.
	backoff time.Duration
	// worked: a GPU has told its utilisation since the watchdog started.
	worked bool
	// said is what was logged: the present state of the whole, and each call that was given up.
	said map[string]string
}

func newWorker(s *Source) *worker {
	w := &worker{s: s, lib: newLibrary(s.cfg.Library, s.enter, s.leave), said: map[string]string{}}
	w.poller = poller{w.lib, s.cfg.FiguresEvery, w.disabled}
	w.backoff = w.firstBackoff()
	return w
}

func (w *worker) firstBackoff() time.Duration { return w.s.cfg.RetryEvery / 8 }

// run polls on request and by itself until the source is closed.
func (w *worker) run() {
	defer close(w.s.finished)
	defer w.lib.close()
	w.reopenAt = time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-w.s.stop:
			return
		case <-w.s.wake:
		case <-timer.C:
		}
		w.step()
		timer.Reset(w.untilDue())
	}
}

// step does what is due, and serves who waits.
func (w *worker) step() {
	s := w.s
	s.mu.Lock()
	asked, untaken := s.asked, s.untaken
	s.asked = nil
	s.mu.Unlock()
	now := time.Now()
	since := now.Sub(w.polled)
	wanted := asked != nil && !(untaken && since < freshFor)
	switch {
	case !w.reopenAt.IsZero() && !now.Before(w.reopenAt):
		w.reopen()
	case w.lib.up && (wanted || since >= s.cfg.PollEvery):
		w.poll()
	}
	if asked != nil {
		close(asked)
	}
}

func (w *worker) untilDue() time.Duration {
	due := time.Now().Add(w.s.cfg.PollEvery)
	if w.lib.up {
		due = w.polled.Add(w.s.cfg.PollEvery)
	}
	if !w.reopenAt.IsZero() && w.reopenAt.Before(due) {
		due = w.reopenAt
	}
	return max(0, time.Until(due))
}

// reopen begins a new session, and polls.
func (w *worker) reopen() {
	w.lib.close()
	w.reopenAt = time.Time{}
	p := w.lib.open()
	var list []*device
	if p == nil {
		if list, p = inventory(w.lib, w.s.cfg.GPUs, w.s.devices); p != nil {
			w.lib.close()
		}
	}
	if p != nil {
		w.down(p)
		return
	}
	session := Session{Shown: w.lib.shown}
	if w.s.cfg.Driver {
		session.Driver, _ = w.lib.driver() // for people: without, it is empty
	}
	w.s.mu.Lock()
	w.s.session = session
	for _, d := range list {
		d.window.index, d.window.uuid, d.window.name = d.index, d.uuid, d.name
	}
	w.s.devices = list
	w.s.mu.Unlock()
	w.poll()
}

// down is NVML as a whole not answering: absent where it cannot, failed where it should.
func (w *worker) down(p *problem) {
	whole := standing{watchdog.SourceFailed, p.text}
	if w.worked {
		w.backOff()
	} else {
		w.reopenAt = time.Now().Add(w.s.cfg.RetryEvery)
		if absentAtInit(p.code) {
			whole.state = watchdog.SourceAbsent
		}
	}
	w.s.mu.Lock()
	for _, d := range w.s.devices {
		d.window.add(reading{standing: whole}, 0)
	}
	w.s.mu.Unlock()
	w.publish(whole)
}

// poll asks every device once.
func (w *worker) poll() {
	w.polled = time.Now()
	s := w.s
	var states [watchdog.SourceAbsent + 1]int
	for _, d := range s.devices {
		r := w.poller.poll(d)
		s.mu.Lock()
		d.window.add(r, time.Duration(d.ring.period)*time.Microsecond)
		s.mu.Unlock()
		states[r.state]++
	}
	w.worked = w.worked || states[watchdog.SourceOK] > 0
	whole := standing{state: watchdog.SourceOK}
	switch {
	case states[watchdog.SourceFailed] > 0:
		whole.state = watchdog.SourceFailed
		w.backOff()
	case states[watchdog.SourceOK] == 0:
		whole.state = watchdog.SourceAbsent
		if w.reopenAt.IsZero() {
			w.reopenAt = time.Now().Add(s.cfg.RetryEvery)
		}
	default:
		w.reopenAt, w.backoff = time.Time{}, w.firstBackoff()
	}
	whole.reason = w.reasons(whole.state)
	w.publish(whole)
}

// backOff plans a new session after a loss, unless one is planned.
func (w *worker) backOff() {
	if w.reopenAt.IsZero() {
		w.reopenAt = time.Now().Add(w.backoff)
		w.backoff = min(2*w.backoff, 2*w.s.cfg.RetryEvery)
	}
}

// reasons joins what the devices say: all of it, or where one has failed, what the failed ones say.
func (w *worker) reasons(state watchdog.SourceState) string {
	var texts []string
	for _, d := range w.s.devices {
		of := &d.window // its state and reason are written by this goroutine only
		if of.reason != "" && (state != watchdog.SourceFailed || of.state == state) && !slices.Contains(texts, of.reason) {
			texts = append(texts, of.reason)
		}
	}
	return strings.Join(texts, "; ")
}

func (w *worker) publish(whole standing) {
	w.s.mu.Lock()
	w.s.whole, w.s.untaken = whole, true
	w.s.mu.Unlock()
	w.tell(whole)
}

// tell logs each state of the whole once, until another takes its place.
func (w *worker) tell(whole standing) {
	const topic = "whole"
	now := whole.reason
	if whole.state == watchdog.SourceOK {
		now = "ok " + now
	}
	if before, known := w.said[topic]; known && before == now {
		return
	}
	w.said[topic] = now
	reason := zap.String("reason", whole.reason)
	switch whole.state {
	case watchdog.SourceOK:
		w.s.log.Info("gpus are watched", zap.String("gpus", listed(w.s.devices)), reason)
	case watchdog.SourceAbsent:
		w.s.log.Warn("gpu source absent", reason, zap.Float64("retry_seconds", w.s.cfg.RetryEvery.Seconds()))
	default:
		w.s.log.Error("gpu source failed", reason)
	}
}

// disabled logs once in the life of the process that a call does not work on a device.
func (w *worker) disabled(d *device, c call, code nvml.Return) {
	topic := d.uuid + " " + c.String()
	if _, known := w.said[topic]; known {
		return
	}
	w.said[topic] = ""
	w.s.log.Info("nvml call given up", zap.String("uuid", d.uuid), zap.Stringer("call", c), zap.Int("code", int(code)),
		zap.String("meaning", codeText(code)))
}
