package store

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Query asks for the figures of days.
type Query struct {
	// From and To are instants; every UTC day that [From, To) touches is in the answer.
	From, To time.Time
	// SLATTFT is the time to the first token that a request has to stay below, strictly. It may differ from question to
	// question.
	SLATTFT time.Duration
}

// Days are the figures of each day that has any, oldest first, and of all together.
type Days struct {
	Each  []Day
	Total Day
}

// Day is what one UTC day (or, as a total, several) delivered and cost. All of it is exact, of closed days and of the open one:
// sums are kept as rows come, and percentiles are taken from all values.
type Day struct {
	// Date is the day's midnight, in UTC; of a total the first day's.
	Date time.Time
	// Open: the day has not ended yet.
	Open bool

	// Requests counts the rows; Spans of them came from vLLM's spans, the others from applications. Aborted ones have no
	// latencies.
	Requests, Spans, Aborted int64
	// Met, Missed and Undecided count requests by the SLA; undecided are those whose TTFT is unknown. MetTokens are the output
	// tokens of the requests that met it.
	Met, Missed, Undecided int64
	MetTokens              int64
	PromptTokens           int64
	OutputTokens           int64
	TTFT, TPOT             Spread
	Queue, Prefill, Decode watchdog.Maybe[float64] // means in seconds
	TPS                    watchdog.Maybe[float64] // mean over requests of their own tokens a second
	// RequestSeconds is the sum of the requests' end-to-end times: they overlap, so it is no elapsed time.
	RequestSeconds float64

	// Watched is how long the watchdog looked on, by what it saw.
	Watched, Busy, Quiet, Unknown, Broken time.Duration
	// SpentUSD and IdleUSD are unknown without a price.
	SpentUSD, IdleUSD watchdog.Maybe[float64]
	// GPUPercentMean and Max are over the samples of all devices; ServerTokens is what the server's own counters moved, prompt
	// and generated.
	GPUPercentMean, GPUPercentMax watchdog.Maybe[float64]
	KVMax, RunningMax             watchdog.Maybe[float64]
	ServerTokens                  watchdog.Maybe[float64]
}

// Days answers from the file. Where the store has no disk, what is in memory is not in the answer.
func (s *Store) Days(ctx context.Context, q Query) (Days, error) { return s.reader.Days(ctx, q) }

// Days reads the figures of days.
func (r *Reader) Days(ctx context.Context, q Query) (Days, error) {
	if !q.From.Before(q.To) {
		return Days{}, fmt.Errorf("days from %s to %s: the first must be before the second", q.From, q.To)
	}
	return read(ctx, r, func(ctx context.Context, on *query) (Days, error) { return on.days(ctx, q, r.now()) })
}

// dayData is what a day is made of.
type dayData struct {
	sums   sums
	tail   tally
	strips [2][]*strip // by kind
	spent  spending
}

// spending is the minutes of a day, added up.
type spending struct {
	busy, quiet, unknown, broken int64 // ns
	spent, idle, tokens          sql.NullFloat64
	gpuSum                       sql.NullFloat64
	gpuSamples                   int64
	gpuMax, kvMax, runningMax    sql.NullFloat64
}

func (q *query) days(ctx context.Context, ask Query, now time.Time) (Days, error) {
	first, last := dayOf(ask.From.UnixMicro()), dayOf(ask.To.UnixMicro()-1)
	data := map[int64]*dayData{}
	of := func(day int64) *dayData {
		if data[day] == nil {
			data[day] = &dayData{}
		}
		return data[day]
	}
	for _, part := range []struct {
		name   string
		gather func(ctx context.Context, first, last int64, of func(int64) *dayData) error
	}{{"days", q.gatherSums}, {"strips", q.gatherStrips}, {"newest rows", q.gatherTail}, {"minutes", q.gatherMinutes}} {
		if err := part.gather(ctx, first, last, of); err != nil {
			return Days{}, fmt.Errorf("read %s: %w", part.name, err)
		}
	}
	load, err := q.loader(ctx)
	if err != nil {
		return Days{}, err
	}
	defer load.close()
	var out Days
	total := &dayData{}
	today := dayOf(now.UnixMicro())
	for _, day := range slices.Sorted(maps.Keys(data)) {
		d := data[day]
		d.fold()
		figures, err := d.figures(day, ask.SLATTFT, load.use)
		if err != nil {
			return Days{}, fmt.Errorf("work out the day %s: %w", figures.Date.Format(time.DateOnly), err)
		}
		figures.Open = day >= today
		out.Each = append(out.Each, figures)
		out.Total.Open = out.Total.Open || figures.Open
		total.merge(d)
		if err := q.ended(); err != nil {
			return Days{}, err
		}
	}
	open := out.Total.Open
	out.Total, err = total.figures(first, ask.SLATTFT, load.use)
	out.Total.Open = open
	return out, err
}

func (q *query) gatherSums(ctx context.Context, first, last int64, of func(int64) *dayData) error {
	var day int64
	var s sums
	return q.each(ctx, append([]any{&day}, s.fields()...), func() error {
		of(day).sums = s
		return nil
	}, "SELECT day, "+daysColumns+" FROM days WHERE day BETWEEN ? AND ?", first, last)
}

func (q *query) gatherStrips(ctx context.Context, first, last int64, of func(int64) *dayData) error {
	var day int64
	var k kind
	var s strip
	var fences sql.RawBytes
	return q.each(ctx, []any{&s.id, &day, &k, &s.low, &s.high, &s.n, &s.tokens, &fences}, func() error {
		if k != kindTTFT && k != kindTPOT {
			return fmt.Errorf("%w: strip %d is of kind %d", errDamaged, s.id, k)
		}
		own := s
		own.fences = bytes.Clone(fences)
		d := of(day)
		d.strips[k] = append(d.strips[k], &own)
		return nil
	}, "SELECT id, day, kind, low, high, n, tokens, fences FROM strips WHERE day BETWEEN ? AND ?", first, last)
}

func (q *query) gatherTail(ctx context.Context, first, last int64, of func(int64) *dayData) error {
	var r scanned
	return q.each(ctx, r.fields(), func() error {
		if day := dayOf(r.finishedAt); day >= first && day <= last {
			of(day).tail.add(&r)
		}
		return nil
	}, "SELECT "+scannedColumns+" FROM requests WHERE id > (SELECT through FROM sealed)")
}

func (q *query) gatherMinutes(ctx context.Context, first, last int64, of func(int64) *dayData) error {
	const perDay = 24 * 60
	var day int64
	var m spending
	return q.each(ctx, []any{&day, &m.busy, &m.quiet, &m.unknown, &m.broken, &m.spent, &m.idle, &m.tokens, &m.gpuSum, &m.gpuSamples, &m.gpuMax, &m.kvMax, &m.runningMax}, func() error {
		of(day).spent = m
		return nil
	}, `SELECT minute / 1440 AS day, sum(busy_ns), sum(quiet_ns), sum(unknown_ns), sum(broken_ns), sum(spent_usd), sum(idle_usd), sum(tokens),
  sum(gpu_mean * gpu_samples), sum(gpu_samples), max(gpu_max), max(kv_max), max(running_max)
  FROM minutes WHERE minute >= ? AND minute < ? GROUP BY day`, first*perDay, (last+1)*perDay)
}

// fold makes the rows that are not sealed part of the day.
func (d *dayData) fold() {
	d.sums.merge(d.tail.sums)
	for k, entries := range map[kind][]entry{kindTTFT: d.tail.ttft, kindTPOT: d.tail.tpot} {
		sortEntries(entries)
		for part := range slices.Chunk(entries, stripRows) {
			d.strips[k] = append(d.strips[k], newStrip(k, part))
		}
	}
	d.tail = tally{}
}

func (d *dayData) merge(o *dayData) {
	d.sums.merge(o.sums)
	for k := range d.strips {
		d.strips[k] = append(d.strips[k], o.strips[k]...)
	}
	d.spent.merge(o.spent)
}

func (m *spending) merge(o spending) {
	m.busy += o.busy
	m.quiet += o.quiet
	m.unknown += o.unknown
	m.broken += o.broken
	m.gpuSamples += o.gpuSamples
	for _, pair := range [][2]*sql.NullFloat64{{&m.spent, &o.spent}, {&m.idle, &o.idle}, {&m.tokens, &o.tokens}, {&m.gpuSum, &o.gpuSum}} {
		if pair[1].Valid {
			pair[0].Valid = true
			pair[0].Float64 += pair[1].Float64
		}
	}
	for _, pair := range [][2]*sql.NullFloat64{{&m.gpuMax, &o.gpuMax}, {&m.kvMax, &o.kvMax}, {&m.runningMax, &o.runningMax}} {
		if pair[1].Valid && (!pair[0].Valid || pair[1].Float64 > pair[0].Float64) {
			*pair[0] = *pair[1]
		}
	}
}

func (d *dayData) figures(day int64, sla time.Duration, load func(*strip, func([]byte) error) error) (Day, error) {
	s, m := d.sums, d.spent
	out := Day{
		Date:     time.Unix(day*24*60*60, 0).UTC(),
		Requests: s.requests, Spans: s.spans, Aborted: s.aborted,
		Undecided:    s.requests - s.ttft.n,
		PromptTokens: s.promptTokens, OutputTokens: s.outputTokens,
		Queue: s.queue.mean(), Prefill: s.prefill.mean(), Decode: s.decode.mean(), TPS: s.tps.mean(),
		RequestSeconds: s.total.value,
		Busy:           time.Duration(m.busy), Quiet: time.Duration(m.quiet), Unknown: time.Duration(m.unknown), Broken: time.Duration(m.broken),
		SpentUSD: maybe(m.spent), IdleUSD: maybe(m.idle), ServerTokens: maybe(m.tokens),
		GPUPercentMax: maybe(m.gpuMax), KVMax: maybe(m.kvMax), RunningMax: maybe(m.runningMax),
	}
	out.Watched = out.Busy + out.Quiet + out.Unknown + out.Broken
	if m.gpuSamples > 0 && m.gpuSum.Valid {
		out.GPUPercentMean = watchdog.Known(m.gpuSum.Float64 / float64(m.gpuSamples))
	}
	var err error
	if out.Met, out.MetTokens, err = met(d.strips[kindTTFT], sla.Seconds(), load); err != nil {
		return out, err
	}
	out.Missed = s.ttft.n - out.Met
	if out.TTFT, err = spread(s.ttft, d.strips[kindTTFT], load); err != nil {
		return out, err
	}
	out.TPOT, err = spread(s.tpot, d.strips[kindTPOT], load)
	return out, err
}

func (s sum) mean() watchdog.Maybe[float64] {
	if s.n == 0 {
		return watchdog.Maybe[float64]{}
	}
	return watchdog.Known(s.value / float64(s.n))
}

func maybe(v sql.NullFloat64) watchdog.Maybe[float64] {
	return watchdog.Maybe[float64]{Value: v.Float64, Known: v.Valid}
}

func spread(s sum, strips []*strip, load func(*strip, func([]byte) error) error) (Spread, error) {
	out := Spread{N: s.n, Mean: s.mean()}
	held := int64(0)
	for _, p := range strips {
		held += int64(p.n)
	}
	if held != s.n {
		return out, fmt.Errorf("%w: its strips hold %d values, its sums %d", errDamaged, held, s.n)
	}
	if s.n == 0 {
		return out, nil
	}
	values, err := percentiles(strips, load)
	out.P50, out.P95, out.P99 = watchdog.Known(values[0]), watchdog.Known(values[1]), watchdog.Known(values[2])
	return out, err
}

// loader reads strips.
type loader struct {
	ctx       context.Context
	statement *sql.Stmt
}

func (q *query) loader(ctx context.Context) (*loader, error) {
	statement, err := q.conn.PrepareContext(ctx, "SELECT data FROM strips WHERE id = ?")
	if err != nil {
		return nil, err
	}
	return &loader{ctx, statement}, nil
}

func (l *loader) close() { _ = l.statement.Close() }

// use lends a strip's data to use.
func (l *loader) use(s *strip, use func([]byte) error) error {
	if s.data != nil {
		return use(s.data)
	}
	rows, err := l.statement.QueryContext(l.ctx, s.id)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	if !rows.Next() {
		return errors.Join(rows.Err(), fmt.Errorf("%w: strip %d is gone", errDamaged, s.id))
	}
	var data sql.RawBytes
	if err := rows.Scan(&data); err != nil {
		return err
	}
	if len(data) < 8*s.n {
		return fmt.Errorf("%w: %w: strip %d", errDamaged, errStrip, s.id)
	}
	return use(data)
}
