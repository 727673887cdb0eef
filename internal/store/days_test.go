package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/ingest"
	"github.com/gpu-watchdog/gpu-watchdog/test/eventually"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// naive works the figures of days out of all rows at once, in memory.
func naive(rows []ingest.Request, q Query, now time.Time) Days {
	seen := map[string]bool{}
	byDay := map[int64][]ingest.Request{}
	var all []ingest.Request
	for _, r := range rows {
		key := string(r.Source) + " " + r.Key
		day := dayOf(r.FinishedAt.UnixMicro())
		if seen[key] || day < dayOf(q.From.UnixMicro()) || day > dayOf(q.To.UnixMicro()-1) {
			seen[key] = true
			continue
		}
		seen[key] = true
		byDay[day] = append(byDay[day], r)
		all = append(all, r)
	}
	out := Days{Total: naiveDay(all, dayOf(q.From.UnixMicro()), q)}
	for _, day := range slices.Sorted(maps.Keys(byDay)) {
		d := naiveDay(byDay[day], day, q)
		d.Open = day >= dayOf(now.UnixMicro())
		out.Total.Open = out.Total.Open || d.Open
		out.Each = append(out.Each, d)
	}
	return out
}

func naiveDay(rows []ingest.Request, day int64, q Query) Day {
	d := Day{Date: time.Unix(day*86400, 0).UTC(), Requests: int64(len(rows))}
	values := map[string][]float64{}
	known := func(name string, m watchdog.Maybe[float64]) {
		if m.Known {
			values[name] = append(values[name], m.Value)
		}
	}
	for _, r := range rows {
		if r.Source == ingest.FromSpan {
			d.Spans++
		}
		if r.Aborted {
			d.Aborted++
		}
		d.PromptTokens += r.PromptTokens.Value
		d.OutputTokens += r.OutputTokens.Value
		known("ttft", r.TTFT)
		known("tpot", r.TPOT)
		known("queue", r.Queue)
		known("prefill", r.Prefill)
		known("decode", r.Decode)
		known("total", r.Total)
		known("tps", r.TPS)
		switch {
		case !r.TTFT.Known:
			d.Undecided++
		case r.TTFT.Value < q.SLATTFT.Seconds():
			d.Met++
			d.MetTokens += r.OutputTokens.Value
		default:
			d.Missed++
		}
	}
	mean := func(name string) watchdog.Maybe[float64] {
		v := values[name]
		if len(v) == 0 {
			return watchdog.Maybe[float64]{}
		}
		total := 0.0
		for _, x := range v {
			total += x
		}
		return watchdog.Known(total / float64(len(v)))
	}
	spread := func(name string) Spread {
		v := values[name]
		if len(v) == 0 {
			return Spread{}
		}
		slices.Sort(v)
		at := func(p float64) watchdog.Maybe[float64] {
			h := p * float64(len(v)-1)
			i := int(math.Floor(h))
			return watchdog.Known(v[i] + (v[min(i+1, len(v)-1)]-v[i])*(h-math.Floor(h)))
		}
		return Spread{N: int64(len(v)), Mean: mean(name), P50: at(0.5), P95: at(0.95), P99: at(0.99)}
	}
	d.TTFT, d.TPOT = spread("ttft"), spread("tpot")
	d.Queue, d.Prefill, d.Decode, d.TPS = mean("queue"), mean("prefill"), mean("decode"), mean("tps")
	for _, x := range values["total"] {
		d.RequestSeconds += x
	}
	return d
}

// alike compares two days; sums of floats may differ by their order.
func alike(got, want Day) error {
	near := func(a, b watchdog.Maybe[float64]) bool {
		return a.Known == b.Known && math.Abs(a.Value-b.Value) <= 1e-9*max(1, math.Abs(b.Value))
	}
	spreads := func(a, b Spread) bool {
		return a.N == b.N && near(a.Mean, b.Mean) && near(a.P50, b.P50) && near(a.P95, b.P95) && near(a.P99, b.P99)
	}
	switch {
	case got.Date != want.Date || got.Open != want.Open:
		return fmt.Errorf("date %s open %v, want %s %v", got.Date, got.Open, want.Date, want.Open)
	case got.Requests != want.Requests || got.Spans != want.Spans || got.Aborted != want.Aborted:
		return fmt.Errorf("%d requests, %d spans, %d aborted, want %d, %d, %d", got.Requests, got.Spans, got.Aborted, want.Requests, want.Spans, want.Aborted)
	case got.Met != want.Met || got.Missed != want.Missed || got.Undecided != want.Undecided || got.MetTokens != want.MetTokens:
		return fmt.Errorf("SLA %d %d %d %d, want %d %d %d %d", got.Met, got.Missed, got.Undecided, got.MetTokens, want.Met, want.Missed, want.Undecided, want.MetTokens)
	case got.PromptTokens != want.PromptTokens || got.OutputTokens != want.OutputTokens:
		return fmt.Errorf("tokens %d %d, want %d %d", got.PromptTokens, got.OutputTokens, want.PromptTokens, want.OutputTokens)
	case !spreads(got.TTFT, want.TTFT) || !spreads(got.TPOT, want.TPOT):
		return fmt.Errorf("spreads %+v %+v, want %+v %+v", got.TTFT, got.TPOT, want.TTFT, want.TPOT)
	case !near(got.Queue, want.Queue) || !near(got.Prefill, want.Prefill) || !near(got.Decode, want.Decode) || !near(got.TPS, want.TPS):
		return fmt.Errorf("means %v %v %v %v, want %v %v %v %v", got.Queue, got.Prefill, got.Decode, got.TPS, want.Queue, want.Prefill, want.Decode, want.TPS)
	case !near(watchdog.Known(got.RequestSeconds), watchdog.Known(want.RequestSeconds)):
		return fmt.Errorf("request seconds %v, want %v", got.RequestSeconds, want.RequestSeconds)
	}
	return nil
}

func compareDays(t *testing.T, got, want Days) {
	t.Helper()
	if len(got.Each) != len(want.Each) {
		t.Fatalf("%d days, want %d", len(got.Each), len(want.Each))
	}
	for i, day := range got.Each {
		if err := alike(day, want.Each[i]); err != nil {
			t.Errorf("%s: %v", want.Each[i].Date.Format(time.DateOnly), err)
		}
	}
	if err := alike(got.Total, want.Total); err != nil {
		t.Errorf("total: %v", err)
	}
}

// randomly is the value, or now and then unknown.
func randomly[T any](r *rand.Rand, v T) watchdog.Maybe[T] {
	if r.IntN(20) == 0 {
		return watchdog.Maybe[T]{}
	}
	return watchdog.Known(v)
}

// randomRequest is row n, of one of ten days, most of them of the last; some lack this or that.
func randomRequest(r *rand.Rand, n int) ingest.Request {
	some := func(v float64) watchdog.Maybe[float64] { return randomly(r, v) }
	whole := func(n int64) watchdog.Maybe[int64] { return randomly(r, n) }
	source := ingest.FromSpan
	if r.IntN(5) == 0 {
		source = ingest.FromPost
	}
	day := -int(math.Abs(r.NormFloat64()) * 3)
	ttft := math.Round(math.Exp(r.NormFloat64())*1000) / 1000 // many alike, and some of exactly 2 s
	out := ingest.Request{
		Source: source, Key: fmt.Sprint(n), ID: fmt.Sprint("id-", n), FinishedAt: noon.AddDate(0, 0, day).Add(-time.Duration(r.IntN(86400)) * time.Second),
		Queue: some(r.Float64()), Prefill: some(r.Float64()), Decode: some(10 * r.Float64()), Total: some(12 * r.Float64()), TTFT: some(ttft),
		TPOT: some(r.ExpFloat64() / 50), TPS: some(100 * r.Float64()), PromptTokens: whole(r.Int64N(4000)), OutputTokens: whole(r.Int64N(500)),
	}
	if r.IntN(50) == 0 {
		out.Aborted, out.TTFT, out.TPOT = true, watchdog.Maybe[float64]{}, watchdog.Maybe[float64]{}
	}
	return out
}

// checkDays sends n random rows, some of them twice or as late as days, and holds the figures against those of all rows at
// once, under several SLAs, before and after the store was opened anew.
func checkDays(t *testing.T, seed uint64, n int) {
	r := rand.New(rand.NewPCG(seed, 1))
	c := inFolder(t)
	c.pace.tidy = time.Millisecond
	c.Limits.strip = 1 << (3 + r.IntN(5))
	s := begin(t, c)
	var sent []ingest.Request
	for len(sent) < n {
		var b ingest.Batch
		for range 1 + r.IntN(200) {
			request := randomRequest(r, len(sent))
			if len(sent) > 0 && r.IntN(10) == 0 {
				request = sent[r.IntN(len(sent))]
				if request.Source == ingest.FromPost {
					request.FinishedAt = request.FinishedAt.AddDate(0, 0, r.IntN(3)) // the first one counts
				}
			}
			b.Requests = append(b.Requests, request)
			sent = append(sent, request)
		}
		if err := s.Add(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		if r.IntN(12) == 0 {
			q := Query{From: noon.AddDate(0, 0, -r.IntN(12)), To: noon.Add(time.Hour), SLATTFT: time.Duration(1+r.IntN(4000)) * time.Millisecond}
			got, err := s.Days(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			compareDays(t, got, naive(sent, q, noon))
		}
	}
	end(t, s)
	c.pace.tidy = time.Hour
	s = begin(t, c)
	for _, sla := range []time.Duration{2 * time.Second, 0, 500 * time.Millisecond, time.Hour} {
		q := Query{From: noon.AddDate(0, 0, -30), To: noon.Add(12 * time.Hour), SLATTFT: sla}
		got, err := s.Days(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		compareDays(t, got, naive(sent, q, noon))
	}
	if got := ask[string](t, c.Path, "PRAGMA integrity_check"); got != "ok" {
		t.Errorf("integrity: %s", got)
	}
}

func TestDaysAreThoseOfAllRowsAtOnce(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { checkDays(t, seed, []int{1, 50, 500, 2000, 4000, 6000}[seed]) })
	}
}

func FuzzDays(f *testing.F) {
	f.Add(uint64(1), uint16(300))
	f.Add(uint64(2), uint16(1500))
	f.Fuzz(func(t *testing.T, seed uint64, n uint16) { checkDays(t, seed, int(n%5000)) })
}

func TestClosedDaysAreKeptAndReadInStrips(t *testing.T) {
	c := inFolder(t)
	c.pace.tidy = time.Millisecond
	c.Limits.strip = 256
	s := begin(t, c)
	const rows = 20 * 256
	var sent []ingest.Request
	for n := 0; n < rows; n += 400 {
		batch := spans(n, min(n+400, rows))
		for i := range batch {
			batch[i].TTFT = watchdog.Known(float64((n+i)*7919%rows) / 1000)
		}
		sent = append(sent, batch...)
		add(t, s, batch...)
	}
	eventually.Holds(t, "sealed and merged strips", func() bool {
		return ask[int](t, c.Path, "SELECT through FROM sealed") == rows && ask[int](t, c.Path, "SELECT count(*) FROM strips WHERE level = 1") == 2*mergeAt
	})
	if got := ask[int](t, c.Path, "SELECT count(*) FROM strips WHERE level = 0"); got != 2*4 {
		t.Errorf("%d strips are not merged, want 4 of each kind", got)
	}
	q := Query{From: noon.Add(-time.Hour), To: noon.Add(time.Hour), SLATTFT: 2 * time.Second}
	want := naive(sent, q, noon)
	// The figures outlive the rows.
	if _, err := look(t, c.Path).ExecContext(t.Context(), "DELETE FROM requests"); err != nil {
		t.Fatal(err)
	}
	got, err := s.Days(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	compareDays(t, got, want)
	add(t, s, span(rows+5)) // ids go on behind the deleted ones, so this one counts
	if got, err := s.Days(t.Context(), q); err != nil || got.Total.Requests != rows+1 {
		t.Errorf("%d requests after one more, want %d (%v)", got.Total.Requests, rows+1, err)
	}
}

func TestDayBoundsAreUTCAndHalfOpen(t *testing.T) {
	c := inFolder(t)
	s := begin(t, c)
	midnight := time.Date(2026, 3, 9, 0, 0, 0, 0, time.UTC)
	for n, at := range []time.Time{midnight.Add(-time.Microsecond), midnight, midnight.AddDate(0, 0, 1).Add(-time.Microsecond), midnight.AddDate(0, 0, 1), time.UnixMicro(-1), time.UnixMicro(0)} {
		r := span(n)
		r.FinishedAt = at.In(time.FixedZone("Seoul", 9*60*60))
		add(t, s, r)
	}
	got, err := s.Days(t.Context(), Query{From: midnight, To: midnight.AddDate(0, 0, 1), SLATTFT: time.Second})
	if err != nil || len(got.Each) != 1 || got.Each[0].Requests != 2 || got.Each[0].Open {
		t.Errorf("the ninth of March: %+v, %v; want 2 requests of a closed day", got.Each, err)
	}
	got, err = s.Days(t.Context(), Query{From: time.UnixMicro(-1), To: noon, SLATTFT: time.Second})
	if err != nil || len(got.Each) != 5 || got.Total.Requests != 6 || got.Each[0].Date != time.Date(1969, 12, 31, 0, 0, 0, 0, time.UTC) || !got.Each[4].Open {
		t.Errorf("all: %+v, %v", got.Each, err)
	}
}

func TestQuestionsThatCannotBeAnswered(t *testing.T) {
	c := inFolder(t)
	ok := Query{From: noon.AddDate(0, 0, -7), To: noon, SLATTFT: 2 * time.Second}
	if _, err := OpenReader(c.Path, nil).Days(t.Context(), ok); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
	if _, err := os.Stat(c.Path); !errors.Is(err, os.ErrNotExist) {
		t.Error("a question made the file")
	}
	s := begin(t, c)
	if got, err := s.Days(t.Context(), ok); err != nil || len(got.Each) != 0 || got.Total.Requests != 0 || got.Total.TTFT.P50.Known {
		t.Errorf("an empty store: %+v, %v", got, err)
	}
	if _, err := s.Days(t.Context(), Query{From: noon, To: noon}); err == nil {
		t.Error("an empty range was answered")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Days(ended, ok); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
	if _, err := s.Series(t.Context(), ok, time.Second); err == nil {
		t.Error("steps of a second were taken")
	}
	if _, err := s.Series(t.Context(), Query{From: noon.AddDate(-1, 0, 0), To: noon}, time.Minute); err == nil {
		t.Error("half a million points were taken")
	}
}

func TestHungReadersAreFewAndLeaveTheirAskers(t *testing.T) {
	c := inFolder(t)
	add(t, begin(t, c), span(1))
	r := OpenReader(c.Path, standing)
	hang := make(chan struct{})
	for n := range readersMost {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := read(ctx, r, func(context.Context, *query) (int, error) {
			cancel()
			<-hang
			return n, nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("question %d on a hung disk: %v", n, err)
		}
	}
	q := Query{From: noon, To: noon.Add(time.Hour), SLATTFT: time.Second}
	if _, err := r.Days(t.Context(), q); err == nil {
		t.Error("a fifth question was put to the hung disk")
	}
	close(hang)
	eventually.Holds(t, "an answer", func() bool {
		days, err := r.Days(t.Context(), q)
		return err == nil && days.Total.Requests == 1
	})
	r.retire()
}
