package stopper

import (
	"context"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Target is what is to be stopped.
type Target struct {
	// Kind names the provider ("runpod"), ID the pod there, Action what is done to it ("stop").
	Kind, ID, Action string
}

// Rung is one way to ask for the stop. Stop honours the deadline of its context and never panics on what it is told.
type Rung interface {
	Name() string
	Stop(ctx context.Context) Answer
}

// Ladder tries rungs in order until one says yes.
type Ladder struct {
	Target Target
	// OnAnswer, where set, is told every answer; set it before the first Stop.
	OnAnswer func(Answer)

	rungs   []Rung
	perRung time.Duration
	log     *zap.Logger

	mu sync.Mutex
	// first is the rung that the next attempt begins with. A yes moves it on: whoever asks again is still alive, so
	// that yes was worth nothing, and another way may be worth more.
	first int
}

// NewLadder makes a ladder. Each rung gets at most perRung (> 0), and no more than the context of Stop has left. A nil
// log drops the lines.
func NewLadder(target Target, rungs []Rung, perRung time.Duration, log *zap.Logger) *Ladder {
	if log == nil {
		log = zap.NewNop()
	}
	return &Ladder{Target: target, rungs: rungs, perRung: perRung, log: log}
}

// Rungs names the rungs in their order.
func (l *Ladder) Rungs() []string {
	names := make([]string, len(l.rungs))
	for i, r := range l.rungs {
		names[i] = r.Name()
	}
	return names
}

// Stop makes one attempt and reports it: StopAccepted with the rung that said yes, or StopRefused, where Detail goes
// through every answer and RetryAfter is the longest wait that was asked for. One attempt runs at a time. When ctx ends,
// the rungs that are left are not tried.
func (l *Ladder) Stop(ctx context.Context) watchdog.StopReport {
	l.mu.Lock()
	defer l.mu.Unlock()

	report := watchdog.StopReport{Phase: watchdog.StopRefused, Target: l.Target.Kind}
	if len(l.rungs) == 0 {
		report.Detail = "there is no way to stop this pod"
		return report
	}
	var said []string
	for n := range l.rungs {
		if err := context.Cause(ctx); err != nil {
			said = append(said, "given up: "+CleanDetail(err.Error()))
			break
		}
		at := (l.first + n) % len(l.rungs)
		answer := l.ask(ctx, l.rungs[at])
		if answer.Kind.Done() {
			l.first = (at + 1) % len(l.rungs)
			report.Phase, report.Rung, report.RetryAfter = watchdog.StopAccepted, answer.Rung, 0
			report.Detail = answer.String()
			return report
		}
		said = append(said, answer.String())
		report.RetryAfter = max(report.RetryAfter, answer.RetryAfter)
	}
	report.Detail = strings.Join(said, "; ")
	return report
}

func (l *Ladder) ask(ctx context.Context, r Rung) Answer {
	ctx, cancel := context.WithTimeout(ctx, l.perRung)
	defer cancel()
	answer := r.Stop(ctx)
	answer.Rung = r.Name()
	answer.RetryAfter = max(0, answer.RetryAfter)

	level := zapcore.WarnLevel
	if answer.Kind.Done() {
		level = zapcore.InfoLevel
	}
	l.log.Log(level, "stop attempt answer",
		zap.String("target", l.Target.Kind),
		zap.String("rung", answer.Rung),
		zap.Stringer("result", answer.Kind),
		zap.Intp("status", known(answer.Status)),
		zap.String("detail", answer.Detail),
		zap.Float64p("retry_after_seconds", known(answer.RetryAfter.Seconds())),
	)
	if l.OnAnswer != nil {
		l.OnAnswer(answer)
	}
	return answer
}

// known returns nil for 0, which these fields have where nothing was said; the log then shows null.
func known[T int | float64](v T) *T {
	if v == 0 {
		return nil
	}
	return &v
}
