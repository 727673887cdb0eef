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

// Flight is the rungs of one target. Each rung gets at most Each (> 0).
type Flight struct {
	Target Target
	Rungs  []Rung
	Each   time.Duration
}

// Ladder tries rungs in order until one says yes.
type Ladder struct {
	// OnAnswer, where set, is told every answer; set it before the first Stop.
	OnAnswer func(Target, Answer)

	steps []step
	log   *zap.Logger

	mu sync.Mutex
	// first is the rung that the next attempt begins with. A yes moves it on: whoever asks again is still alive, so
	// that yes was worth nothing, and another way may be worth more.
	first int
}

// step is one rung of one target.
type step struct {
	Rung
	target Target
	each   time.Duration
}

// NewLadder makes a ladder of the flights, one after the other. No rung gets more time than the context of Stop has left. A nil log
// drops the lines.
func NewLadder(log *zap.Logger, flights ...Flight) *Ladder {
	if log == nil {
		log = zap.NewNop()
	}
	l := &Ladder{log: log}
	for _, f := range flights {
		for _, r := range f.Rungs {
			l.steps = append(l.steps, step{r, f.Target, f.Each})
		}
	}
	return l
}

// Rungs names the rungs in their order.
func (l *Ladder) Rungs() []string {
	names := make([]string, len(l.steps))
	for i, s := range l.steps {
		names[i] = s.Name()
	}
	return names
}

// Stop makes one attempt and reports it: StopAccepted with the rung that said yes, or StopRefused, where Detail goes
// through every answer and RetryAfter is the longest wait that was asked for. One attempt runs at a time. When ctx ends,
// the rungs that are left are not tried.
func (l *Ladder) Stop(ctx context.Context) watchdog.StopReport {
	l.mu.Lock()
	defer l.mu.Unlock()

	report := watchdog.StopReport{Phase: watchdog.StopRefused}
	if len(l.steps) == 0 {
		report.Detail = "there is no way to stop this pod"
		return report
	}
	report.Target = l.steps[0].target.Kind
	var said []string
	for n := range l.steps {
		if err := context.Cause(ctx); err != nil {
			said = append(said, "given up: "+CleanDetail(err.Error()))
			break
		}
		at := (l.first + n) % len(l.steps)
		answer := l.ask(ctx, l.steps[at])
		if answer.Kind.Done() {
			l.first = (at + 1) % len(l.steps)
			report.Target = l.steps[at].target.Kind
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

func (l *Ladder) ask(ctx context.Context, s step) Answer {
	ctx, cancel := context.WithTimeout(ctx, s.each)
	defer cancel()
	answer := s.Stop(ctx)
	answer.Rung = s.Name()
	answer.RetryAfter = max(0, answer.RetryAfter)

	level := zapcore.WarnLevel
	if answer.Kind.Done() {
		level = zapcore.InfoLevel
	}
	l.log.Log(level, "stop attempt answer",
		zap.String("target", s.target.Kind),
		zap.String("rung", answer.Rung),
		zap.Stringer("result", answer.Kind),
		zap.Intp("status", known(answer.Status)),
		zap.String("detail", answer.Detail),
		zap.Float64p("retry_after_seconds", known(answer.RetryAfter.Seconds())),
	)
	if l.OnAnswer != nil {
		l.OnAnswer(s.target, answer)
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
