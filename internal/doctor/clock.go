package doctor

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

const (
	// stepFrom is how far the wall clock may move against the monotonic one within a second or so: more is a step.
	stepFrom = 200 * time.Millisecond
	// skewFrom is how far our clock may be from the provider's before somebody should know: hours to keep and days to pay for are
	// counted by it.
	skewFrom = 30 * time.Second
)

// clock compares the wall clock with the monotonic one, and with the provider's.
func (e *examination) clock(ctx context.Context) []Finding {
	wait(ctx, time.Second-time.Since(e.began))
	// Round(0) takes the monotonic reading away, so the first difference is the wall clock's.
	now := time.Now()
	step := now.Round(0).Sub(e.began.Round(0)) - now.Sub(e.began)
	for i := range e.Targets {
		e.told(ctx, i)
	}
	return []Finding{judgeClock(now, step, e.Skew())}
}

func judgeClock(now time.Time, step time.Duration, skew watchdog.Maybe[time.Duration]) Finding {
	const remedy = "let the machine keep its time (NTP); in a container that is the host's business: rent another where it is not kept"
	zone := now.UTC().Format("2006-01-02 15:04 UTC")
	switch {
	case now.Year() < 2024:
		return Finding{Verdict: Failed, Detail: "it says " + zone + ", which is long over: certificates will not hold, and no provider can be asked", Remedy: remedy}
	case step.Abs() >= stepFrom:
		return Finding{Verdict: Warning, Detail: fmt.Sprintf("it was set by %s while this looked (%s)", span(step.Abs()), zone), Remedy: remedy}
	case !skew.Known:
		return Finding{Verdict: OK, Detail: "it runs evenly (" + zone + "); no provider was there to compare it with"}
	case skew.Value.Abs() > skewFrom:
		side := "ahead of"
		if skew.Value < 0 {
			side = "behind"
		}
		return Finding{Verdict: Warning, Detail: fmt.Sprintf("it is %s %s the provider's: WATCHDOG_KEEP_HOURS and the costs of a day are off by as much", span(skew.Value.Abs()), side), Remedy: remedy}
	}
	return Finding{Verdict: OK, Detail: "it runs evenly, and agrees with the provider's (" + zone + ")"}
}

// DateReader is a transport that remembers by how much our clock is ahead of the servers', as the header Date of their answers tells it.
type DateReader struct {
	Base http.RoundTripper

	mu   sync.Mutex
	skew watchdog.Maybe[time.Duration]
}

// RoundTrip is that of Base.
func (d *DateReader) RoundTrip(r *http.Request) (*http.Response, error) {
	asked := time.Now()
	res, err := d.Base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if theirs, bad := http.ParseTime(res.Header.Get("Date")); bad == nil {
		d.mu.Lock()
		d.skew = watchdog.Known(skewOf(asked, time.Now(), theirs))
		d.mu.Unlock()
	}
	return res, nil
}

// skewOf is how far our clock is ahead, at least: the server wrote its date at any moment between question and answer, and cut it to
// the second.
func skewOf(asked, answered, theirs time.Time) time.Duration {
	if ahead := asked.Sub(theirs.Add(time.Second)); ahead > 0 {
		return ahead
	}
	return min(0, answered.Sub(theirs))
}

// Skew is how far our clock is ahead of the servers'; unknown before an answer with a date.
func (d *DateReader) Skew() watchdog.Maybe[time.Duration] {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.skew
}
