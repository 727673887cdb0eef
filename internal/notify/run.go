package notify

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/post"
)

const (
	// maxAge is how long after Notify a message is still worth sending.
	maxAge = 10 * time.Minute
	// firstPause is that after the first try that failed; it doubles up to mostPause.
	firstPause = time.Second
	mostPause  = time.Minute
	// Grace is how long Run goes on after the end of its context, for what still waits.
	Grace = 3 * time.Second
)

// Run sends messages, one at a time, until ctx ends. What waits then is tried once more within Grace; the rest is dropped, and
// said to be. Run it once.
func (n *Notifier) Run(ctx context.Context) {
	if n == nil {
		<-ctx.Done()
		return
	}
	// hard outlives ctx by Grace.
	hard, end := context.WithCancel(context.WithoutCancel(ctx))
	var grace sync.WaitGroup
	defer grace.Wait()
	defer end()
	grace.Go(func() {
		select {
		case <-ctx.Done():
		case <-hard.Done():
			return
		}
		timer := time.NewTimer(Grace)
		defer timer.Stop()
		select {
		case <-timer.C:
			end()
		case <-hard.Done():
		}
	})

	var turn time.Time // the host asked not to be called before
	for hard.Err() == nil {
		if l := n.queue.take(); l != nil {
			turn = n.deliver(ctx, hard, l, turn)
			continue
		}
		if ctx.Err() != nil {
			break
		}
		select {
		case <-ctx.Done():
		case <-n.queue.wake:
		}
	}
	for _, l := range n.queue.close() {
		n.dropped(l, errEnd)
	}
}

// deliver tries the current letter until it is delivered, refused, no longer true or too old; once ctx has ended, once more. It
// tries nothing before turn, and returns the turn of the next letter.
func (n *Notifier) deliver(ctx, hard context.Context, l *letter, turn time.Time) time.Time {
	delivered := false
	defer func() { n.queue.end(delivered) }()
	next, pause, why := turn, firstPause, ""
	for {
		if err := l.wait(ctx, next, turn); err != nil {
			n.unsent(l, err, why)
			return turn
		}
		if !n.queue.begin() {
			n.takenBack(l)
			return turn
		}
		last := ctx.Err() != nil
		body, err := n.form.body(l, n.name, n.startID, time.Now())
		if err != nil {
			n.failed(l, err.Error())
			return turn
		}
		answer, err := n.client.Send(hard, body)
		if asked := answer.Wait(time.Now()); asked > 0 {
			turn = time.Now().Add(asked)
		}
		again := true
		switch {
		case err != nil:
			why = err.Error()
		case answer.OK():
			delivered = true
			n.sent(l)
			return turn
		default:
			why, again = n.refusal(answer), mayPass(answer.Status)
		}
		n.pending(l, why)
		if !again || last || hard.Err() != nil {
			n.failed(l, why)
			return turn
		}
		// Pods that see the same at the same time do not call again at the same time.
		next = time.Now().Add(pause + rand.N(pause/4))
		if turn.After(next) {
			next = turn
		}
		pause = min(2*pause, mostPause)
	}
}

// unsent says what became of a letter that is given up.
func (n *Notifier) unsent(l *letter, err error, why string) {
	if l.tries == 0 {
		n.dropped(l, err)
		return
	}
	n.failed(l, why+"; "+err.Error())
}

// refusal is what an answer that is no success says.
func (n *Notifier) refusal(a post.Answer) string {
	return "HTTP " + strconv.Itoa(a.Status) + ": " + n.client.Explain(a)
}

// mayPass says that the same message may be accepted later.
func mayPass(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return status >= 500
}

// wait waits for next, the earliest instant of the letter's next try; when ctx ends it waits no longer, unless the host has asked
// not to be called before turn. The error says that there shall be no other try.
func (l *letter) wait(ctx context.Context, next, turn time.Time) error {
	pause := max(0, time.Until(next))
	if err := l.over(pause); err != nil || pause == 0 {
		return err
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.withdrawn:
		return nil // begin sees to it
	case <-ctx.Done():
		if time.Until(turn) > 0 {
			return errEnd
		}
	}
	return l.over(0)
}

// over says why the letter will not be worth sending in a while.
func (l *letter) over(in time.Duration) error {
	at := time.Now().Add(in)
	switch {
	case at.Sub(l.taken) > maxAge:
		return errTooOld
	case l.Kind == StopAnnounced && !l.StopAt.IsZero() && at.After(l.StopAt):
		return errPast
	}
	return nil
}
