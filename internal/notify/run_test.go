package notify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/gpu-watchdog/gpu-watchdog/internal/secret"
)

// hook is a URL of the plain form, whose path must come out nowhere.
const hook = "https://alerts.example/PLANTED0123456789"

// wire stands in for the network within a bubble: it answers as script says, and notes what came when.
type wire struct {
	// script gives the status of the nth try (from 1), or an error. Where it is nil everything is accepted.
	script func(n int) (status int, after string, err error)
	// takes is how long an answer takes.
	takes time.Duration

	mu    sync.Mutex
	began time.Time
	tries []string // "12s stop_announced gap-1"
	ids   []string
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	body, _ := io.ReadAll(r.Body)
	var d document
	_ = json.Unmarshal(body, &d)
	w.mu.Lock()
	w.tries = append(w.tries, fmt.Sprintf("%s %s %s", time.Since(w.began).Round(100*time.Millisecond), d.Kind, d.Key))
	w.ids = append(w.ids, d.ID)
	n := len(w.tries)
	w.mu.Unlock()
	if w.takes > 0 {
		select {
		case <-time.After(w.takes):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	status, after := http.StatusOK, ""
	if w.script != nil {
		var err error
		if status, after, err = w.script(n); err != nil {
			return nil, err
		}
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Retry-After": {after}}, Body: io.NopCloser(strings.NewReader("said")), Request: r}, nil
}

// seen are the tries up to now, without their instants.
func (w *wire) seen() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]string, len(w.tries))
	for i, s := range w.tries {
		_, out[i], _ = strings.Cut(s, " ")
	}
	return out
}

// instants are those of the tries.
func (w *wire) instants() []time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]time.Duration, len(w.tries))
	for i, s := range w.tries {
		at, _, _ := strings.Cut(s, " ")
		out[i], _ = time.ParseDuration(at)
	}
	return out
}

// bubble is a notifier that runs within a synctest bubble.
type bubble struct {
	*Notifier
	wire *wire
	logs *observer.ObservedLogs
	// end ends Run's context and waits for it.
	end func()
}

// inBubble plays with a notifier whose network is w, and checks at the end that nothing showed the address.
func inBubble(t *testing.T, w *wire, play func(b bubble)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zapcore.DebugLevel)
		w.began = time.Now()
		n, err := New(Config{URL: secret.New(hook), Name: "pod-1", StartID: "s1", Transport: w, Log: zap.New(core)})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			n.Run(ctx)
		}()
		end := func() { cancel(); <-ended }
		play(bubble{Notifier: n, wire: w, logs: logs, end: end})
		end()
		for _, line := range logs.All() {
			if text := fmt.Sprint(line.Message, line.ContextMap()); strings.Contains(text, "PLANTED") {
				t.Errorf("the log shows the address: %s", text)
			}
		}
		if text := fmt.Sprint(n.Warnings(), n.String()); strings.Contains(text, "PLANTED") {
			t.Errorf("a warning shows the address: %s", text)
		}
	})
}

func checkCounts(t *testing.T, b bubble, want Counts) {
	t.Helper()
	if got := b.Counts(); got != want {
		t.Errorf("counts %+v, want %+v", got, want)
	}
}

func checkSeen(t *testing.T, b bubble, want ...string) {
	t.Helper()
	if diff := cmp.Diff(strings.Join(want, "\n"), strings.Join(b.wire.seen(), "\n")); diff != "" {
		t.Errorf("sent: %s", diff)
	}
}

func TestOncePerKindAndKey(t *testing.T) {
	inBubble(t, &wire{}, func(b bubble) {
		for range 3 {
			b.Notify(Message{Kind: Alarm, Key: "a"})
			b.Notify(Message{Kind: Alarm, Key: "b"})
			b.Notify(Message{Kind: AlarmOver, Key: "a"})
			time.Sleep(time.Minute)
		}
		checkSeen(t, b, "alarm a", "alarm b", "alarm_over a")
		checkCounts(t, b, Counts{Sent: 3})
		if n := b.logs.FilterMessage("notification sent").Len(); n != 3 {
			t.Errorf("%d lines about three messages", n)
		}
	})
}

// Pauses double from a second to a minute, each with up to a quarter more; the tries share an id; after ten minutes it is over,
// and the same may be told again.
func TestRetries(t *testing.T) {
	w := &wire{script: func(int) (int, string, error) { return 0, "", errors.New("no route to host") }}
	inBubble(t, w, func(b bubble) {
		b.Notify(Message{Kind: Alarm, Key: "a", Text: "x"})
		synctest.Wait()
		if got := b.Warnings(); len(got) != 1 || !strings.Contains(got[0], "alerts.example") || !strings.Contains(got[0], "no route to host") {
			t.Errorf("after the first try it warns %q", got)
		}
		checkCounts(t, b, Counts{Waiting: 1})
		time.Sleep(11 * time.Minute)
		at := w.instants()
		for i := 1; i < len(at); i++ {
			pause, least := at[i]-at[i-1], min(time.Second<<(i-1), time.Minute)
			if pause < least-200*time.Millisecond || pause > least*5/4+200*time.Millisecond {
				t.Errorf("pause %d: %s, want %s and at most a quarter more", i, pause, least)
			}
		}
		if last := at[len(at)-1]; last > maxAge || last < maxAge-90*time.Second {
			t.Errorf("the last try was after %s", last)
		}
		if ids := slices.Compact(slices.Clone(w.ids)); len(ids) != 1 || ids[0] == "" {
			t.Errorf("ids %q", ids)
		}
		checkCounts(t, b, Counts{Failed: 1})
		failed := b.logs.FilterMessage("notification failed").All()
		if len(failed) != 1 || failed[0].ContextMap()["tries"] != int64(len(at)) || failed[0].ContextMap()["detail"] != "no route to host; it is too old by its next turn" {
			t.Errorf("logged %v", failed)
		}

		w.script = nil
		b.Notify(Message{Kind: Alarm, Key: "a", Text: "x"})
		time.Sleep(time.Second)
		checkCounts(t, b, Counts{Sent: 1, Failed: 1})
		if got := b.Warnings(); got != nil {
			t.Errorf("delivered, and still it warns %q", got)
		}
	})
}

// What a host refuses is not tried again; what it cannot do now is.
func TestStatuses(t *testing.T) {
	for status, again := range map[int]bool{
		200: false, 202: false, 204: false, 301: false, 302: false, 307: false, 400: false, 401: false, 403: false, 404: false, 410: false, 413: false,
		408: true, 425: true, 429: true, 500: true, 502: true, 503: true, 504: true,
	} {
		w := &wire{script: func(n int) (int, string, error) {
			if n > 1 {
				return 200, "", nil
			}
			return status, "", nil
		}}
		inBubble(t, w, func(b bubble) {
			b.Notify(Message{Kind: Alarm, Key: "a"})
			time.Sleep(time.Minute)
			want := Counts{Sent: 1}
			if status >= 300 && !again {
				want = Counts{Failed: 1}
			}
			checkCounts(t, b, want)
			if tries := len(w.instants()); (tries == 2) != again {
				t.Errorf("%d: %d tries", status, tries)
			}
		})
	}
}

// A host that asks to wait is left alone for that long, by the letters behind as well.
func TestRetryAfter(t *testing.T) {
	w := &wire{script: func(n int) (int, string, error) {
		if n == 1 {
			return 429, "90", nil
		}
		return 200, "", nil
	}}
	inBubble(t, w, func(b bubble) {
		b.Notify(Message{Kind: Alarm, Key: "a"})
		synctest.Wait()
		b.Notify(Message{Kind: Alarm, Key: "b"})
		time.Sleep(89 * time.Second)
		checkSeen(t, b, "alarm a")
		time.Sleep(2 * time.Second)
		checkSeen(t, b, "alarm a", "alarm a", "alarm b")
	})
}

// It is not tried at all after a wait that would make it too old; what comes later still keeps the host's wait.
func TestRetryAfterTooLong(t *testing.T) {
	w := &wire{script: func(n int) (int, string, error) {
		if n == 1 {
			return 503, "86400", nil // bounded to ten minutes
		}
		return 200, "", nil
	}}
	w.takes = time.Second
	inBubble(t, w, func(b bubble) {
		b.Notify(Message{Kind: Alarm, Key: "a"})
		time.Sleep(5 * time.Minute)
		checkCounts(t, b, Counts{Failed: 1})
		b.Notify(Message{Kind: Alarm, Key: "b"})
		time.Sleep(4 * time.Minute)
		checkSeen(t, b, "alarm a")
		time.Sleep(2 * time.Minute)
		checkSeen(t, b, "alarm a", "alarm b")
	})
}

// An announcement is not delivered after the instant that it announces.
func TestAnnouncementPasses(t *testing.T) {
	w := &wire{script: func(n int) (int, string, error) {
		if n < 8 {
			return 500, "", nil
		}
		return 200, "", nil
	}}
	inBubble(t, w, func(b bubble) {
		b.Notify(Message{Kind: StopAnnounced, Key: "gap-1", StopAt: time.Now().Add(20 * time.Second)})
		b.Notify(Message{Kind: StopRequested, Key: "gap-1"})
		time.Sleep(10 * time.Minute)
		checkCounts(t, b, Counts{Sent: 1, Failed: 1})
		for i, s := range w.seen() {
			if at := w.instants()[i]; strings.HasPrefix(s, "stop_announced") && at > 20*time.Second {
				t.Errorf("announced after %s", at)
			}
		}
	})
}

// One that nobody can have read is dropped without a word; of one that was tried people are told, in order.
func TestTakeBack(t *testing.T) {
	for _, c := range []struct {
		name   string
		script func(n int) (int, string, error)
		// after is how long after the announcement it is taken back.
		after time.Duration
		// told is when people are told.
		told  time.Duration
		want  []string
		count Counts
	}{
		{"delivered", nil, time.Minute, time.Minute, []string{"stop_announced gap-1", "stop_taken_back gap-1"}, Counts{Sent: 2}},
		{"on its way", nil, time.Second, 2 * time.Second, []string{"stop_announced gap-1", "stop_taken_back gap-1"}, Counts{Sent: 2}},
		{"between two tries", func(n int) (int, string, error) { return map[bool]int{true: 500, false: 200}[n == 1], "", nil }, 2500 * time.Millisecond, 2500 * time.Millisecond, []string{"stop_announced gap-1", "stop_taken_back gap-1"}, Counts{Sent: 1, TakenBack: 1}},
		{"on its way and refused", func(n int) (int, string, error) { return map[bool]int{true: 500, false: 200}[n == 1], "", nil }, time.Second, 2 * time.Second, []string{"stop_announced gap-1", "stop_taken_back gap-1"}, Counts{Sent: 1, TakenBack: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, &wire{script: c.script, takes: 2 * time.Second}, func(b bubble) {
				b.TakeBack("gap-1", "there was none", nil)
				b.Notify(Message{Kind: StopAnnounced, Key: "gap-1"})
				time.Sleep(c.after)
				b.TakeBack("gap-1", "work came", nil)
				b.TakeBack("gap-1", "work came", nil)
				b.TakeBack("gap-2", "another", nil)
				time.Sleep(time.Minute)
				b.TakeBack("gap-1", "work came", nil)
				time.Sleep(time.Minute)
				checkSeen(t, b, c.want...)
				if at := b.wire.instants(); at[len(at)-1] != c.told {
					t.Errorf("told after %s, want %s", at[len(at)-1], c.told)
				}
				checkCounts(t, b, c.count)
			})
		})
	}
}

func TestTakeBackWhatWaits(t *testing.T) {
	inBubble(t, &wire{takes: 5 * time.Second}, func(b bubble) {
		b.Notify(Message{Kind: Alarm, Key: "first"})
		synctest.Wait()
		b.Notify(Message{Kind: StopAnnounced, Key: "gap-1"})
		b.TakeBack("gap-1", "work came", nil)
		time.Sleep(time.Minute)
		checkSeen(t, b, "alarm first")
		checkCounts(t, b, Counts{Sent: 1, TakenBack: 1})
		// The same may be announced again.
		b.Notify(Message{Kind: StopAnnounced, Key: "gap-1"})
		time.Sleep(time.Minute)
		checkSeen(t, b, "alarm first", "stop_announced gap-1")
	})
}

// It waits for its turn only, after the host asked not to be called: nobody has heard of it.
func TestTakeBackBeforeItsTurn(t *testing.T) {
	w := &wire{script: func(n int) (int, string, error) { return map[bool]int{true: 404, false: 200}[n == 1], "60", nil }}
	inBubble(t, w, func(b bubble) {
		b.Notify(Message{Kind: Alarm, Key: "first"})
		synctest.Wait()
		b.Notify(Message{Kind: StopAnnounced, Key: "gap-1"})
		time.Sleep(time.Second)
		b.TakeBack("gap-1", "work came", nil)
		time.Sleep(5 * time.Minute)
		checkSeen(t, b, "alarm first")
		checkCounts(t, b, Counts{Failed: 1, TakenBack: 1})
	})
}

// Who notifies never waits; of too many the oldest are lost, counted and said, and may be told again.
func TestTooMany(t *testing.T) {
	inBubble(t, &wire{takes: 9 * time.Second}, func(b bubble) {
		b.Notify(Message{Kind: Alarm, Key: "first"})
		synctest.Wait() // it is on its way
		begun := time.Now()
		const more = maxWaiting + 10
		for i := range more {
			b.Notify(Message{Kind: Alarm, Key: fmt.Sprint(i)})
		}
		if took := time.Since(begun); took != 0 {
			t.Errorf("it took %s", took)
		}
		checkCounts(t, b, Counts{Dropped: 10, Waiting: 1 + maxWaiting})
		dropped := b.logs.FilterMessage("notification dropped").All()
		if len(dropped) != 10 || dropped[0].ContextMap()["key"] != "0" || dropped[9].ContextMap()["key"] != "9" {
			t.Errorf("logged %v", dropped)
		}
		time.Sleep(10 * time.Second)
		b.Notify(Message{Kind: Alarm, Key: "3"})
		time.Sleep(20 * time.Minute)
		seen := b.wire.seen()
		if len(seen) != 1+maxWaiting+1 || seen[len(seen)-1] != "alarm 3" {
			t.Errorf("%d were sent, the last %s", len(seen), seen[len(seen)-1])
		}
	})
}

// What is remembered is bounded too.
func TestMemoryIsBounded(t *testing.T) {
	inBubble(t, &wire{}, func(b bubble) {
		for i := range 3 * maxKnown {
			b.Notify(Message{Kind: Alarm, Key: fmt.Sprint(i)})
			synctest.Wait()
		}
		if n := len(b.queue.known); n != maxKnown {
			t.Errorf("%d subjects are remembered", n)
		}
		checkCounts(t, b, Counts{Sent: 3 * maxKnown})
	})
}

// At the end what waits is tried once more, within the grace.
func TestEnd(t *testing.T) {
	t.Run("delivers", func(t *testing.T) {
		inBubble(t, &wire{takes: time.Second}, func(b bubble) {
			b.Notify(Message{Kind: Alarm, Key: "a"})
			b.Notify(Message{Kind: StopRequested, Key: "b"})
			synctest.Wait()
			b.end()
			checkSeen(t, b, "alarm a", "stop_requested b")
			checkCounts(t, b, Counts{Sent: 2})
		})
	})
	t.Run("no host", func(t *testing.T) {
		inBubble(t, &wire{script: func(int) (int, string, error) { return 0, "", errors.New("no route to host") }}, func(b bubble) {
			b.Notify(Message{Kind: Alarm, Key: "a"})
			time.Sleep(100 * time.Millisecond)
			b.Notify(Message{Kind: Alarm, Key: "b"})
			begun := time.Now()
			b.end()
			if took := time.Since(begun); took != 0 {
				t.Errorf("it took %s", took)
			}
			checkSeen(t, b, "alarm a", "alarm a", "alarm b")
			checkCounts(t, b, Counts{Failed: 2})
		})
	})
	t.Run("a host that hangs", func(t *testing.T) {
		inBubble(t, &wire{takes: time.Hour}, func(b bubble) {
			b.Notify(Message{Kind: Alarm, Key: "a"})
			b.Notify(Message{Kind: Alarm, Key: "b"})
			synctest.Wait()
			begun := time.Now()
			b.end()
			if took := time.Since(begun); took != Grace {
				t.Errorf("it took %s, want %s", took, Grace)
			}
			checkSeen(t, b, "alarm a")
			checkCounts(t, b, Counts{Failed: 1, Dropped: 1})
		})
	})
	t.Run("a host that asked to wait", func(t *testing.T) {
		inBubble(t, &wire{script: func(int) (int, string, error) { return 429, "60", nil }}, func(b bubble) {
			b.Notify(Message{Kind: Alarm, Key: "a"})
			synctest.Wait()
			begun := time.Now()
			b.end()
			if took := time.Since(begun); took != 0 {
				t.Errorf("it took %s", took)
			}
			checkSeen(t, b, "alarm a")
			checkCounts(t, b, Counts{Failed: 1})
		})
	})
	t.Run("after it", func(t *testing.T) {
		inBubble(t, &wire{}, func(b bubble) {
			b.end()
			b.Notify(Message{Kind: Alarm, Key: "a"})
			checkCounts(t, b, Counts{Dropped: 1})
		})
	})
}

// Without a place to send to, nothing happens.
func TestNobody(t *testing.T) {
	var n *Notifier
	n.Notify(Message{Kind: Alarm, Key: "a"})
	n.TakeBack("a", "x", nil)
	if n.Warnings() != nil || n.Counts() != (Counts{}) || n.String() != "nobody" || n.Reach(t.Context()) != nil {
		t.Error("nobody has something to say")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	n.Run(ctx)
}
