package store

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/ingest"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// lately is the end of the benchmarks' week: the document's own query asks for the seven days before now.
var lately = time.Now().Truncate(time.Minute)

// cpu reports the processor time of an operation, which a busy machine distorts less than the time on the wall.
func cpu(b *testing.B) func() {
	b.Helper()
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	began := used()
	return func() { b.ReportMetric((used()-began).Seconds()*1000/float64(b.N), "cpu-ms/op") }
}

// traffic is request n of seven days with n of all requests each like the other, as vLLM's spans tell it.
func traffic(r *rand.Rand, n, of int) ingest.Request {
	ttft, tokens := 0.05*math.Exp(1.2*r.NormFloat64()), 16+r.Int64N(500)
	tpot := 0.01 * math.Exp(0.2*r.NormFloat64())
	decode := tpot * float64(tokens-1)
	return ingest.Request{
		Source: ingest.FromSpan, Key: fmt.Sprintf("%016x%016x%016x", r.Uint64(), r.Uint64(), r.Uint64()), ID: fmt.Sprintf("cmpl-%032x-0", r.Uint64()),
		FinishedAt: lately.AddDate(0, 0, -7).Add(time.Duration(float64(n) / float64(of) * float64(7*24*time.Hour))),
		Queue:      watchdog.Known(ttft / 10), Prefill: watchdog.Known(ttft / 2), Decode: watchdog.Known(decode), Total: watchdog.Known(ttft + decode),
		TTFT: watchdog.Known(ttft), TPOT: watchdog.Known(tpot), TPS: watchdog.Known(float64(tokens) / (ttft + decode)),
		PromptTokens: watchdog.Known(r.Int64N(4000)), OutputTokens: watchdog.Known(tokens),
	}
}

// take sends rows from several senders, in batches as OTLP brings them, and returns how long it took.
func take(b *testing.B, s *Store, rows, batch, senders int) time.Duration {
	b.Helper()
	began := time.Now()
	var next atomic.Int64
	var sending sync.WaitGroup
	for sender := range senders {
		sending.Go(func() {
			r := rand.New(rand.NewPCG(uint64(sender), 1))
			for {
				first := int(next.Add(int64(batch))) - batch
				if first >= rows {
					return
				}
				out := make([]ingest.Request, 0, batch)
				for n := first; n < min(first+batch, rows); n++ {
					out = append(out, traffic(r, n, rows))
				}
				if err := s.Add(b.Context(), ingest.Batch{Requests: out}); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	sending.Wait()
	return time.Since(began)
}

// BenchmarkIngest is a row's way to the disk, sealing included: 512 a batch as vLLM's exporter sends them, on both journals.
func BenchmarkIngest(b *testing.B) {
	for _, c := range []struct {
		name           string
		remote         bool
		batch, senders int
	}{
		{"wal/512 a batch", false, 512, 2}, {"wal/32 a batch", false, 32, 8}, {"rollback journal/512 a batch", true, 512, 2},
	} {
		b.Run(c.name, func(b *testing.B) {
			config := inFolder(b)
			config.remote, config.pace, config.Now = c.remote, pace{}, time.Now
			s := begin(b, config)
			b.ResetTimer()
			defer cpu(b)()
			took := take(b, s, b.N, c.batch, c.senders)
			b.ReportMetric(float64(b.N)/took.Seconds(), "rows/s")
		})
	}
}

// BenchmarkRecord is what a tick costs the loop: two of them, of which the second decides otherwise.
func BenchmarkRecord(b *testing.B) {
	config := inFolder(b)
	config.pace = pace{}
	s := begin(b, config)
	a, z := view(1), view(2, busily)
	b.ReportAllocs()
	for b.Loop() {
		a.Decision.Tick += 2
		z.Decision.Tick += 2
		s.Record(a)
		s.Record(z)
	}
}

// BenchmarkWeek is a report over seven days of a million requests, and the same figures from plain SQL.
func BenchmarkWeek(b *testing.B) {
	const rows = 1_000_000
	config := inFolder(b)
	config.pace, config.Now = pace{}, time.Now
	s := begin(b, config)
	took := take(b, s, rows, 512, 2)
	b.Logf("%d rows taken in at %.0f rows/s, %d commits", rows, rows/took.Seconds(), s.Stats().Commits)
	if _, err := look(b, config.Path).ExecContext(b.Context(), `
WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 7 * 1440 - 1)
INSERT INTO minutes SELECT ? / 60 - i, 1, 1, 12, 3e10, 3e10, 0, 0, 360, 40, 90, 4e10, 200, 3, 9, 0, 2, 0.4, 5e4, 1e4, 1, 1.5, 0.025, 0.0125 FROM n`, lately.Unix()); err != nil {
		b.Fatal(err)
	}
	q := Query{From: lately.AddDate(0, 0, -7), To: lately, SLATTFT: 2 * time.Second}
	b.Run("report", func(b *testing.B) {
		b.ReportAllocs()
		defer cpu(b)()
		for b.Loop() {
			days, err := s.Days(b.Context(), q)
			if err != nil || days.Total.Requests != rows || days.Total.Watched != 7*24*time.Hour {
				b.Fatalf("%+v, %v", days.Total, err)
			}
		}
	})
	b.Run("report under another SLA", func(b *testing.B) {
		defer cpu(b)()
		for b.Loop() {
			q.SLATTFT += time.Millisecond
			if _, err := s.Days(b.Context(), q); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("series of hours", func(b *testing.B) {
		defer cpu(b)()
		for b.Loop() {
			if _, err := s.Series(b.Context(), q, time.Hour); err != nil {
				b.Fatal(err)
			}
		}
	})
	for name, statement := range map[string]string{
		"plain SQL/sums": `SELECT finished_at / 86400000000 AS day, count(*), sum(ttft_s < 2), sum(output_tokens), sum(CASE WHEN ttft_s < 2 THEN output_tokens END), avg(tps),
  avg(ttft_s), avg(tpot_s), sum(total_s) FROM requests GROUP BY day`,
		"plain SQL/percentiles": `WITH a AS (SELECT finished_at / 86400000000 AS day, ttft_s, tpot_s FROM requests),
  t AS (SELECT day, ttft_s AS v, row_number() OVER (PARTITION BY day ORDER BY ttft_s) AS k, count(*) OVER (PARTITION BY day) AS n FROM a),
  o AS (SELECT day, tpot_s AS v, row_number() OVER (PARTITION BY day ORDER BY tpot_s) AS k, count(*) OVER (PARTITION BY day) AS n FROM a)
  SELECT day, max(CASE WHEN k = n / 2 THEN v END), max(CASE WHEN k = n * 95 / 100 THEN v END), max(CASE WHEN k = n * 99 / 100 THEN v END) FROM t GROUP BY day
  UNION ALL SELECT day, max(CASE WHEN k = n / 2 THEN v END), max(CASE WHEN k = n * 95 / 100 THEN v END), max(CASE WHEN k = n * 99 / 100 THEN v END) FROM o GROUP BY day`,
		"plain SQL/the document's": document(b, "section_5_4.sql"),
	} {
		b.Run(name, func(b *testing.B) {
			db := look(b, config.Path)
			defer cpu(b)()
			for b.Loop() {
				rows, err := db.QueryContext(b.Context(), statement)
				if err != nil {
					b.Fatal(err)
				}
				for rows.Next() {
				}
				if err := rows.Err(); err != nil {
					b.Fatal(err)
				}
				rows.Close()
			}
		})
	}
}
