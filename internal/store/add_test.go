package store

import (
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/ingest"
	"github.com/gpu-watchdog/gpu-watchdog/test/eventually"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

func TestRowsAreOnDiskWhenAddReturns(t *testing.T) {
	for name, remote := range map[string]bool{"local disk": false, "network volume": true} {
		t.Run(name, func(t *testing.T) {
			c := inFolder(t)
			c.remote = remote
			s := begin(t, c)
			add(t, s, span(1), span(2))
			if n := ask[int](t, c.Path, "SELECT count(*) FROM requests"); n != 2 {
				t.Errorf("another process sees %d rows, not 2", n)
			}
			got := s.Stats()
			if got.Rows != 2 || got.Queued != 0 || got.InMemory != 0 || got.Degraded || s.Warning() != "" {
				t.Errorf("stats %+v, warning %q", got, s.Warning())
			}
		})
	}
}

func TestRowKeepsWhatIsKnownAndNothingElse(t *testing.T) {
	c := inFolder(t)
	s := begin(t, c)
	add(t, s, span(1), ingest.Request{Source: ingest.FromSpan, Key: "k", ID: "cmpl-2-0", FinishedAt: noon, Aborted: true,
		Total: watchdog.Known(math.Inf(1)), TTFT: watchdog.Known(math.NaN()), OutputTokens: watchdog.Known(int64(0))})
	const columns = `source || ' ' || request_id || ' ' || finished_at || ' ' || queue_s || ' ' || prefill_s || ' ' || decode_s || ' ' || total_s ||
  ' ' || ttft_s || ' ' || tpot_s || ' ' || prompt_tokens || ' ' || output_tokens || ' ' || aborted`
	if got, want := ask[string](t, c.Path, "SELECT "+columns+" FROM requests WHERE id = 1"), "span cmpl-1-0 1773144000001000 0.01 0.15 0.9 1.1 0.2 0.1 7 10 0"; got != want {
		t.Errorf("row %q, want %q", got, want)
	}
	if got := ask[string](t, c.Path, `SELECT coalesce(queue_s, 'null') || coalesce(total_s, 'null') || coalesce(ttft_s, 'null') || coalesce(prompt_tokens, 'null') ||
  output_tokens || aborted FROM requests WHERE id = 2`); got != "nullnullnullnull01" {
		t.Errorf("the row of an aborted request reads %q: what is unknown or no number is NULL, what is 0 stays 0", got)
	}
}

func TestEachRowOnceHoweverOftenItComes(t *testing.T) {
	c := inFolder(t)
	s := begin(t, c)
	posted := span(1)
	posted.Source, posted.Key = ingest.FromPost, "job-1"
	later := posted
	later.FinishedAt = noon.Add(time.Hour) // posted again without a time of its own
	twin := span(2)
	twin.Key = "the second span of cmpl-2-0"
	other := posted
	other.Source = ingest.FromSpan // a span whose key reads like the id of a posted row
	add(t, s, span(1), span(1), posted, span(2), twin)
	add(t, s, later, span(1), span(2), other)
	add(t, s, posted, twin)
	end(t, s)
	s = begin(t, c)
	add(t, s, span(1), posted, later, other)
	if n := ask[int](t, c.Path, "SELECT count(*) FROM requests"); n != 5 {
		t.Errorf("%d rows, want 5: a posted row, its namesake among spans, a span, and two spans under one id", n)
	}
	if got := s.Stats(); got.Rows != 0 || got.Duplicates != 4 {
		t.Errorf("stats %+v, want 4 duplicates", got)
	}
}

func TestBatchesThatWaitTogetherShareACommit(t *testing.T) {
	c := inFolder(t)
	c.pace.stalled = time.Hour
	s, entered, gate := gated(t, c)
	var adding sync.WaitGroup
	errs := make(chan error, 50)
	adding.Go(func() { errs <- s.Add(t.Context(), ingest.Batch{Requests: spans(0, 1)}) })
	<-entered
	for n := 1; n < 50; n++ {
		adding.Go(func() { errs <- s.Add(t.Context(), ingest.Batch{Requests: spans(n, n+1)}) })
	}
	eventually.Holds(t, "49 rows in the queue", func() bool { return s.Stats().Queued == 49 })
	close(gate)
	adding.Wait()
	for range 50 {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	if got := s.Stats(); got.Rows != 50 || got.Commits != 3 {
		t.Errorf("%d rows in %d commits, want 50 in 3", got.Rows, got.Commits)
	}
}

func TestFullQueueSendsBatchesBack(t *testing.T) {
	c := inFolder(t)
	c.Limits.QueueRows = 10
	c.pace.stalled = time.Hour
	s, entered, gate := gated(t, c)
	results := make(chan error, 2)
	go func() { results <- s.Add(t.Context(), ingest.Batch{Requests: spans(0, 1)}) }()
	<-entered
	go func() { results <- s.Add(t.Context(), ingest.Batch{Requests: spans(100, 120)}) }() // larger than the queue, and let into the empty one
	eventually.Holds(t, "a full queue", func() bool { return s.Stats().Queued == 20 })
	if err := s.Add(t.Context(), ingest.Batch{Requests: spans(200, 201)}); !errors.Is(err, ErrBusy) {
		t.Errorf("a batch beyond the bound got %v, want ErrBusy", err)
	}
	close(gate)
	for range 2 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if got := s.Stats(); got.Rows != 21 || got.Refused != 1 || got.Dropped != 0 {
		t.Errorf("stats %+v, want 21 rows, 1 refused, none dropped", got)
	}
}

func TestRowThatNoDiskWouldTakeFailsItsBatchAlone(t *testing.T) {
	c := inFolder(t)
	s := begin(t, c)
	bad := ingest.Batch{Requests: spans(0, 3), Phases: []ingest.Phase{{Name: "Load weights", TraceID: "t", Began: noon, Seconds: math.NaN()}}}
	err := s.Add(t.Context(), bad)
	if err == nil || errors.Is(err, ErrBusy) || errors.Is(err, ErrNoDisk) || !strings.Contains(err.Error(), "Load weights") {
		t.Errorf("got %v, want an error that names the row and does not ask to send it again", err)
	}
	add(t, s, span(9))
	if n := ask[int](t, c.Path, "SELECT count(*) FROM requests"); n != 1 || s.Warning() != "" {
		t.Errorf("%d rows, warning %q: the batch must fail whole, and alone", n, s.Warning())
	}
}

func TestPhasesOfAStartAreKeptOnce(t *testing.T) {
	c := inFolder(t)
	s := begin(t, c)
	phase := ingest.Phase{Key: "t/2", ParentKey: "t/1", Name: "Load weights", Process: "worker", Began: noon, Seconds: 12.5, TraceID: "t", ParentName: "Load model"}
	for range 2 {
		if err := s.Add(t.Context(), ingest.Batch{Phases: []ingest.Phase{phase, {Key: "t/0", Name: "Overall Loading", TraceID: "t", Began: noon, Seconds: 27}}}); err != nil {
			t.Fatal(err)
		}
	}
	const phases = "SELECT group_concat(concat_ws(' ', key, parent_key, name, process, parent, seconds), '; ' ORDER BY key) FROM phases"
	if got := ask[string](t, c.Path, phases); got != "t/0  Overall Loading   27.0; t/2 t/1 Load weights worker Load model 12.5" {
		t.Errorf("phases: %s", got)
	}
}

func TestClosedStoreTakesNothing(t *testing.T) {
	s := begin(t, inFolder(t))
	end(t, s)
	end(t, s)
	if err := s.Add(t.Context(), ingest.Batch{Requests: spans(0, 1)}); !errors.Is(err, ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
	s.Record(nil)
}
