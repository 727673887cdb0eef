package store

import "database/sql"

// sums are what can be added up over requests.
type sums struct {
	requests, spans, aborted   int64
	promptTokens, outputTokens int64
	// Of each duration the known ones, in seconds; of tps tokens a second.
	queue, prefill, decode, total, ttft, tpot, tps sum
}

type sum struct {
	n     int64
	value float64
}

func (s *sum) add(v sql.NullFloat64) {
	if v.Valid {
		s.n++
		s.value += v.Float64
	}
}

func (s *sum) merge(o sum) {
	s.n += o.n
	s.value += o.value
}

func (s *sums) merge(o sums) {
	s.requests += o.requests
	s.spans += o.spans
	s.aborted += o.aborted
	s.promptTokens += o.promptTokens
	s.outputTokens += o.outputTokens
	s.queue.merge(o.queue)
	s.prefill.merge(o.prefill)
	s.decode.merge(o.decode)
	s.total.merge(o.total)
	s.ttft.merge(o.ttft)
	s.tpot.merge(o.tpot)
	s.tps.merge(o.tps)
}

// fields are the columns of days after day, in the order of the table.
func (s *sums) fields() []any {
	return []any{
		&s.requests, &s.spans, &s.aborted, &s.promptTokens, &s.outputTokens,
		&s.queue.n, &s.queue.value, &s.prefill.n, &s.prefill.value, &s.decode.n, &s.decode.value,
		&s.total.n, &s.total.value, &s.ttft.n, &s.ttft.value, &s.tpot.n, &s.tpot.value, &s.tps.n, &s.tps.value,
	}
}

// values are the same as arguments.
func (s *sums) values() []any {
	out := s.fields()
	for i, f := range out {
		switch f := f.(type) {
		case *int64:
			out[i] = *f
		case *float64:
			out[i] = *f
		}
	}
	return out
}

const daysColumns = `requests, spans, aborted, prompt_tokens, output_tokens, queue_n, queue_s, prefill_n, prefill_s, decode_n, decode_s,
  total_n, total_s, ttft_n, ttft_s, tpot_n, tpot_s, tps_n, tps`

const addToDay = `INSERT INTO days (day, ` + daysColumns + `) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)
  ON CONFLICT DO UPDATE SET requests = requests + excluded.requests, spans = spans + excluded.spans, aborted = aborted + excluded.aborted,
  prompt_tokens = prompt_tokens + excluded.prompt_tokens, output_tokens = output_tokens + excluded.output_tokens,
  queue_n = queue_n + excluded.queue_n, queue_s = queue_s + excluded.queue_s,
  prefill_n = prefill_n + excluded.prefill_n, prefill_s = prefill_s + excluded.prefill_s,
  decode_n = decode_n + excluded.decode_n, decode_s = decode_s + excluded.decode_s,
  total_n = total_n + excluded.total_n, total_s = total_s + excluded.total_s,
  ttft_n = ttft_n + excluded.ttft_n, ttft_s = ttft_s + excluded.ttft_s,
  tpot_n = tpot_n + excluded.tpot_n, tpot_s = tpot_s + excluded.tpot_s,
  tps_n = tps_n + excluded.tps_n, tps = tps + excluded.tps`

// tally is the requests of one day that are being added up: their sums, and each TTFT and TPOT.
type tally struct {
	sums
	ttft, tpot []entry
}

// scanned is a row of requests as far as the figures need it.
type scanned struct {
	id, finishedAt                                 int64
	span, aborted                                  bool
	queue, prefill, decode, total, ttft, tpot, tps sql.NullFloat64
	promptTokens, outputTokens                     sql.NullInt64
}

const scannedColumns = `id, finished_at, source = 'span', aborted, queue_s, prefill_s, decode_s, total_s, ttft_s, tpot_s, tps, prompt_tokens, output_tokens`

func (r *scanned) fields() []any {
	return []any{&r.id, &r.finishedAt, &r.span, &r.aborted, &r.queue, &r.prefill, &r.decode, &r.total, &r.ttft, &r.tpot, &r.tps, &r.promptTokens, &r.outputTokens}
}

func (t *tally) add(r *scanned) {
	t.requests++
	if r.span {
		t.spans++
	}
	if r.aborted {
		t.aborted++
	}
	t.promptTokens += r.promptTokens.Int64
	t.outputTokens += r.outputTokens.Int64
	t.sums.queue.add(r.queue)
	t.sums.prefill.add(r.prefill)
	t.sums.decode.add(r.decode)
	t.sums.total.add(r.total)
	t.sums.ttft.add(r.ttft)
	t.sums.tpot.add(r.tpot)
	t.sums.tps.add(r.tps)
	if r.ttft.Valid {
		t.ttft = append(t.ttft, entry{r.ttft.Float64, r.outputTokens.Int64})
	}
	if r.tpot.Valid {
		t.tpot = append(t.tpot, entry{r.tpot.Float64, 0})
	}
}
