package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"

	_ "github.com/mattn/go-sqlite3" // the driver, sqlite3

	"github.com/gpu-watchdog/gpu-watchdog/test/e2e/internal/stage"
)

// row is one request as the watchdog keeps it. Durations are in seconds.
type row struct {
	source, request, response                      string
	finished                                       int64 // Unix microseconds
	queue, prefill, decode, total, ttft, tpot, tps sql.NullFloat64
	prompt, output                                 sql.NullInt64
	aborted                                        bool
}

// open reads the file as any other program of the pod may, while the watchdog writes it.
func open(file string) (*sql.DB, error) {
	return sql.Open("sqlite3", "file:"+(&url.URL{Path: file}).EscapedPath()+"?mode=ro&_busy_timeout=5000")
}

// rows are all requests, in the order in which they came in.
func (w *watched) rows(ctx context.Context) (out []row, err error) {
	db, err := open(w.database)
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }() // it was only read
	found, err := db.QueryContext(ctx, `SELECT source, coalesce(request_id, ''), coalesce(response_id, request_id, ''), finished_at, queue_s, prefill_s, decode_s,
  total_s, ttft_s, tpot_s, tps, prompt_tokens, output_tokens, aborted FROM requests ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("read the rows of %s: %w", w.database, err)
	}
	defer func() { _ = found.Close() }()
	for found.Next() {
		var r row
		if err := found.Scan(&r.source, &r.request, &r.response, &r.finished, &r.queue, &r.prefill, &r.decode, &r.total, &r.ttft, &r.tpot, &r.tps,
			&r.prompt, &r.output, &r.aborted); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, found.Err()
}

// await waits until so many rows have an id that holds a text, and returns those.
func (p *play) await(ctx context.Context, text string, count int) (out []row, err error) {
	enough := func() bool {
		all, failed := p.w.rows(ctx)
		if err = failed; err != nil {
			return false
		}
		out = withID(all, text)
		return len(out) >= count
	}
	if !stage.Until(ctx, spanMost, enough) {
		return out, errors.Join(fmt.Errorf("%d rows with %q in their id have come, not %d", len(out), text, count), err)
	}
	return out, nil
}

func withID(all []row, text string) (out []row) {
	for _, r := range all {
		if strings.Contains(r.request, text) {
			out = append(out, r)
		}
	}
	return out
}

// one asks the file for one value.
func one[T any](ctx context.Context, w *watched, query string, args ...any) (v T, err error) {
	db, err := open(w.database)
	if err != nil {
		return v, err
	}
	defer func() { _ = db.Close() }() // it was only read
	err = db.QueryRowContext(ctx, query, args...).Scan(&v)
	return v, err
}

// known are the values of one column that are known.
func known(rows []row, of func(row) sql.NullFloat64) (out []float64) {
	for _, r := range rows {
		if v := of(r); v.Valid && !r.aborted {
			out = append(out, v.Float64)
		}
	}
	return out
}

// The columns.
func ttft(r row) sql.NullFloat64    { return r.ttft }
func tpot(r row) sql.NullFloat64    { return r.tpot }
func e2e(r row) sql.NullFloat64     { return r.total }
func queue(r row) sql.NullFloat64   { return r.queue }
func prefill(r row) sql.NullFloat64 { return r.prefill }
func decode(r row) sql.NullFloat64  { return r.decode }
