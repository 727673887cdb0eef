package store

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/ingest"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

const (
	insertRequest = `INSERT INTO requests (source, once, request_id, response_id, model, finished_at, queue_s, prefill_s, decode_s, total_s,
  ttft_s, tpot_s, tps, prompt_tokens, output_tokens, aborted) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING`
	upsertLabel = `INSERT INTO labels (request_id, name, value, posted_at) VALUES (?,?,?,?)
  ON CONFLICT DO UPDATE SET value = excluded.value, posted_at = excluded.posted_at`
	insertPhase = `INSERT INTO phases (began_at, key, parent_key, trace_id, name, process, parent, seconds) VALUES (?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING`
	upsertRun   = `INSERT INTO runs (id, version, name, start_id, config, settings) VALUES (?,?,?,?,?,?) ON CONFLICT DO UPDATE SET settings = excluded.settings`
)

// written is what became of a group.
type written struct {
	rows, duplicates, dropped int64
	// faults has an entry for each batch: nil, or what is wrong with its rows.
	faults []error
}

// write writes a group within a transaction. An error is one of the disk; a row that no disk would take fails its batch alone.
func (w *writer) write(ctx context.Context, g group) (written, error) {
	var out written
	if !w.proven {
		r := w.s.Run
		if _, err := w.db.exec(ctx, upsertRun, w.s.run, r.Version, r.Name, r.StartID, r.Config, r.Settings); err != nil {
			return out, fmt.Errorf("note this run: %w", err)
		}
	}
	for _, e := range g.events {
		fault, err := w.guarded(ctx, func() error {
			_, err := w.db.exec(ctx, e.statement, e.args...)
			return err
		})
		if err != nil {
			return out, err
		}
		if fault != nil {
			out.dropped++
		}
	}
	for _, row := range g.shelved {
		fault, err := w.insert(ctx, batchOf([]shelved{row}), &out)
		if err != nil {
			return out, err
		}
		if fault != nil {
			out.dropped++
		}
	}
	for _, b := range g.batches {
		fault, err := w.insert(ctx, b.batch, &out)
		if err != nil {
			return out, err
		}
		out.faults = append(out.faults, fault)
	}
	return out, nil
}

// guarded undoes do, and only do, where the row is at fault.
func (w *writer) guarded(ctx context.Context, do func() error) (fault, err error) {
	if _, err := w.db.exec(ctx, "SAVEPOINT batch"); err != nil {
		return nil, err
	}
	fault = do()
	if fault != nil && !ofTheRow(fault) {
		return nil, fault
	}
	if fault != nil {
		if _, err := w.db.exec(ctx, "ROLLBACK TO batch"); err != nil {
			return nil, err
		}
	}
	_, err = w.db.exec(ctx, "RELEASE batch")
	return fault, err
}

// insert writes a batch. What an id or a key repeats is not written again.
func (w *writer) insert(ctx context.Context, b ingest.Batch, out *written) (fault, err error) {
	rows, duplicates := int64(0), int64(0)
	now := w.s.Now()
	fault, err = w.guarded(ctx, func() error {
		for i := range b.Requests {
			n, err := w.insertRequest(ctx, &b.Requests[i], now)
			if err != nil {
				return fmt.Errorf("request %d (id %q): %w", i, b.Requests[i].ID, err)
			}
			rows, duplicates = rows+n, duplicates+1-n
			if err := w.label(ctx, b.Requests[i].ID, b.Requests[i].Labels, now); err != nil {
				return fmt.Errorf("labels of request %d (id %q): %w", i, b.Requests[i].ID, err)
			}
		}
		for i, l := range b.Labels {
			if err := w.label(ctx, l.ID, l.Labels, now); err != nil {
				return fmt.Errorf("labels %d (id %q): %w", i, l.ID, err)
			}
		}
		for i, p := range b.Phases {
			if _, err := w.db.exec(ctx, insertPhase, p.Began.UnixMicro(), p.Key, p.ParentKey, p.TraceID, p.Name, p.Process, p.ParentName, p.Seconds); err != nil {
				return fmt.Errorf("phase %d (%q): %w", i, p.Name, err)
			}
		}
		return nil
	})
	if fault == nil && err == nil {
		out.rows, out.duplicates = out.rows+rows, out.duplicates+duplicates
	}
	return fault, err
}

// insertRequest returns 1, or 0 for a row that is there already.
func (w *writer) insertRequest(ctx context.Context, r *ingest.Request, now time.Time) (int64, error) {
	finished := r.FinishedAt
	if finished.IsZero() {
		finished = now
	}
	response := r.Response
	if response == r.ID {
		response = ""
	}
	once := digestOf(string(r.Source), r.Key)
	result, err := w.db.insertRequest.ExecContext(ctx, string(r.Source), once[:], text(r.ID), text(response), text(r.Model), finished.UnixMicro(),
		number(r.Queue), number(r.Prefill), number(r.Decode), number(r.Total), number(r.TTFT), number(r.TPOT), number(r.TPS),
		whole(r.PromptTokens), whole(r.OutputTokens), r.Aborted)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (w *writer) label(ctx context.Context, id string, labels map[string]string, now time.Time) error {
	if id == "" { // nobody could find them
		return nil
	}
	for name, value := range labels {
		if _, err := w.db.upsertLabel.ExecContext(ctx, id, name, value, now.UnixMicro()); err != nil {
			return err
		}
	}
	return nil
}

// number is a value for a column: NULL where it is unknown, or no number.
func number(m watchdog.Maybe[float64]) any {
	if !m.Known || math.IsNaN(m.Value) || math.IsInf(m.Value, 0) {
		return nil
	}
	return m.Value
}

func whole(m watchdog.Maybe[int64]) any {
	if !m.Known {
		return nil
	}
	return m.Value
}

func text(s string) any {
	if s == "" {
		return nil
	}
	return s
}
