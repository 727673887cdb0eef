package stopper_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
)

// rung gives its answers in turn, the last one for ever, and counts how often it was asked.
type rung struct {
	name    string
	answers []stopper.Answer
	asked   int
	// during, where set, runs while the rung is asked.
	during func(ctx context.Context)
}

func (r *rung) Name() string { return r.name }

func (r *rung) Stop(ctx context.Context) stopper.Answer {
	if r.during != nil {
		r.during(ctx)
	}
	answer := r.answers[min(r.asked, len(r.answers)-1)]
	r.asked++
	return answer
}

func says(name string, kinds ...stopper.Kind) *rung {
	r := &rung{name: name}
	for _, k := range kinds {
		r.answers = append(r.answers, stopper.Answer{Kind: k})
	}
	return r
}

var target = stopper.Target{Kind: "cloud", ID: "pod-1", Action: "stop"}

func ladder(log *zap.Logger, rungs ...*rung) *stopper.Ladder {
	all := make([]stopper.Rung, len(rungs))
	for i, r := range rungs {
		all[i] = r
	}
	return stopper.NewLadder(log, stopper.Flight{Target: target, Rungs: all, Each: time.Second})
}

func TestLadderGoesOnUntilAYes(t *testing.T) {
	for _, first := range stopper.Kinds() {
		t.Run(first.String(), func(t *testing.T) {
			a, b, c := says("a", first), says("b", stopper.Accepted), says("c", stopper.Accepted)
			report := ladder(nil, a, b, c).Stop(t.Context())

			want := "b"
			if first == stopper.Accepted || first == stopper.AlreadyStopped {
				want = "a"
			}
			if report.Phase != watchdog.StopAccepted || report.Rung != want || report.Target != "cloud" {
				t.Errorf("report %+v, want accepted by %s", report, want)
			}
			if asked := fmt.Sprint(a.asked, b.asked, c.asked); asked != map[string]string{"a": "1 0 0", "b": "1 1 0"}[want] {
				t.Errorf("asked a b c: %s", asked)
			}
		})
	}
}

func TestAllRefuse(t *testing.T) {
	a := &rung{name: "a", answers: []stopper.Answer{{Kind: stopper.RetryAfter, Status: 429, Detail: "slow down", RetryAfter: 40 * time.Second}}}
	b := &rung{name: "b", answers: []stopper.Answer{{Kind: stopper.Failed, Status: 503, RetryAfter: 90 * time.Second}}}
	c := &rung{name: "c", answers: []stopper.Answer{{Kind: stopper.Gone, Status: 410, Detail: "retired", RetryAfter: -5}}}
	want := watchdog.StopReport{
		Phase: watchdog.StopRefused, Target: "cloud", RetryAfter: 90 * time.Second,
		Detail: "a: retry_after (HTTP 429): slow down; b: failed (HTTP 503); c: gone (HTTP 410): retired",
	}
	if diff := cmp.Diff(want, ladder(nil, a, b, c).Stop(t.Context())); diff != "" {
		t.Error(diff)
	}
}

func TestAWaitIsForgottenOnAYes(t *testing.T) {
	a := &rung{name: "a", answers: []stopper.Answer{{Kind: stopper.RetryAfter, RetryAfter: time.Minute}}}
	if report := ladder(nil, a, says("b", stopper.Accepted)).Stop(t.Context()); report.RetryAfter != 0 {
		t.Errorf("accepted, and yet asked to wait %s", report.RetryAfter)
	}
}

func TestNoRungIsARefusal(t *testing.T) {
	report := stopper.NewLadder(nil).Stop(t.Context())
	if report.Phase != watchdog.StopRefused || report.Detail == "" {
		t.Errorf("report %+v, want a refusal that says why", report)
	}
}

// TestAYesThatCameToNothing: whoever asks again is alive, so the rung that said yes comes last.
func TestAYesThatCameToNothing(t *testing.T) {
	a, b, c := says("a", stopper.Denied), says("b", stopper.Accepted), says("c", stopper.AlreadyStopped, stopper.Failed)
	l := ladder(nil, a, b, c)
	var got []string
	for range 4 {
		got = append(got, l.Stop(t.Context()).Rung)
	}
	if diff := cmp.Diff([]string{"b", "c", "b", "b"}, got); diff != "" {
		t.Error(diff)
	}
	if a.asked != 3 || c.asked != 2 {
		t.Errorf("a was asked %d times, c %d times, want 3 and 2", a.asked, c.asked)
	}
}

func TestEachRungHasItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := says("slow", stopper.Failed)
		slow.during = func(ctx context.Context) { <-ctx.Done() }
		start := time.Now()
		report := ladder(nil, slow, says("b", stopper.Accepted)).Stop(t.Context())
		if took := time.Since(start); took != time.Second || report.Rung != "b" {
			t.Errorf("took %s and came to %q, want 1s and b", took, report.Rung)
		}
	})
}

// TestGivenUp: when work arrives in the middle of an attempt, no further rung is asked.
func TestGivenUp(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	a, b := says("a", stopper.Denied), says("b", stopper.Accepted)
	a.during = func(context.Context) { cancel(errors.New("work arrived")) }
	report := ladder(nil, a, b).Stop(ctx)
	if b.asked != 0 || report.Phase != watchdog.StopRefused || !strings.HasSuffix(report.Detail, "given up: work arrived") {
		t.Errorf("b was asked %d times; report %+v", b.asked, report)
	}
}

func TestEveryAnswerIsLoggedAndTold(t *testing.T) {
	core, logs := observer.New(zapcore.DebugLevel)
	a := &rung{name: "a", answers: []stopper.Answer{{Kind: stopper.RetryAfter, Rung: "another", Status: 429, Detail: "slow down", RetryAfter: 1500 * time.Millisecond}}}
	l := ladder(zap.New(core), a, says("b", stopper.Accepted))
	var told []string
	l.OnAnswer = func(_ stopper.Target, a stopper.Answer) { told = append(told, a.Rung+" "+a.Kind.String()) }
	l.Stop(t.Context())

	if diff := cmp.Diff([]string{"a retry_after", "b accepted"}, told); diff != "" {
		t.Errorf("told: %s", diff)
	}
	var lines []string
	for _, e := range logs.All() {
		line, err := zapcore.NewJSONEncoder(zapcore.EncoderConfig{MessageKey: "msg", LevelKey: "level", EncodeLevel: zapcore.LowercaseLevelEncoder, EncodeDuration: zapcore.SecondsDurationEncoder}).EncodeEntry(e.Entry, e.Context)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, strings.TrimSpace(line.String()))
	}
	if diff := cmp.Diff([]string{
		`{"level":"warn","msg":"stop attempt answer","target":"cloud","rung":"a","result":"retry_after","status":429,"detail":"slow down","retry_after_seconds":1.5}`,
		`{"level":"info","msg":"stop attempt answer","target":"cloud","rung":"b","result":"accepted","status":null,"detail":"","retry_after_seconds":null}`,
	}, lines); diff != "" {
		t.Errorf("logged: %s", diff)
	}
}

func TestTheZeroAnswerIsNoYes(t *testing.T) {
	var a stopper.Answer
	if a.Kind.Done() || a.Kind.String() != "failed" {
		t.Errorf("the zero answer is %s", a.Kind)
	}
	if beyond := stopper.Kind(200); beyond.Done() || beyond.String() != "failed" {
		t.Errorf("a kind outside of the set is %s", beyond)
	}
}

func TestDry(t *testing.T) {
	report := stopper.Dry{Target: target}.Stop(t.Context())
	want := watchdog.StopReport{Phase: watchdog.StopWouldHave, Target: "cloud", Detail: "dry run: nothing was asked; would stop cloud pod-1"}
	if diff := cmp.Diff(want, report); diff != "" {
		t.Error(diff)
	}
}
