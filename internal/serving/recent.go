package serving

import (
	"hash/maphash"
	"iter"
	"math"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/ingest"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// recent keeps what a summary needs of the last rows, each key once, whatever the order in which they come. It holds up to
// most rows; where more came than that, the time that it knows wholly is shorter.
type recent struct {
	most int
	rows []brief
	next int
	// lost is until when rows may be missing: until rows could come at all, or the latest end of one that made room for another.
	lost int64
	keys map[uint64]struct{}
	seed maphash.Seed
}

// brief is one row; NaN is unknown.
type brief struct {
	key         uint64
	finished    int64 // Unix nanoseconds
	ttft, total float64
	tokens      int32
	toldTokens  bool
	aborted     bool
	posted      bool
}

func newRecent(most int, began time.Time) *recent {
	return &recent{most: most, lost: began.UnixNano(), keys: map[uint64]struct{}{}, seed: maphash.MakeSeed()}
}

// add takes a row, and says whether it is new among those that are kept.
func (r *recent) add(row ingest.Request) bool {
	b := brief{
		key: maphash.String(r.seed, string(row.Source)+"\x00"+row.Key), finished: row.FinishedAt.UnixNano(),
		ttft: orNaN(row.TTFT), total: orNaN(row.Total), tokens: int32(min(row.OutputTokens.Value, math.MaxInt32)), toldTokens: row.OutputTokens.Known,
		aborted: row.Aborted, posted: row.Source == ingest.FromPost,
	}
	if _, again := r.keys[b.key]; again {
		return false
	}
	r.keys[b.key] = struct{}{}
	if len(r.rows) < r.most {
		r.rows = append(r.rows, b)
		return true
	}
	old := &r.rows[r.next]
	r.lost = max(r.lost, old.finished)
	delete(r.keys, old.key)
	*old = b
	r.next = (r.next + 1) % r.most
	return true
}

// since is when the time begins, within the last span, that is known wholly.
func (r *recent) since(span time.Duration, now time.Time) time.Time {
	from := now.Add(-span)
	if lost := time.Unix(0, r.lost); lost.After(from) {
		return lost
	}
	return from
}

// all are the rows that are kept, as far as a summary needs them.
func (r *recent) all() iter.Seq[ingest.Request] {
	return func(yield func(ingest.Request) bool) {
		for _, b := range r.rows {
			row := ingest.Request{
				FinishedAt: time.Unix(0, b.finished), TTFT: notNaN(b.ttft), Total: notNaN(b.total), Aborted: b.aborted,
				Source: ingest.FromSpan, OutputTokens: watchdog.Maybe[int64]{Value: int64(b.tokens), Known: b.toldTokens},
			}
			if b.posted {
				row.Source = ingest.FromPost
			}
			if !yield(row) {
				return
			}
		}
	}
}

func orNaN(m watchdog.Maybe[float64]) float64 {
	if v, known := sane(m); known {
		return v
	}
	return math.NaN()
}

func notNaN(v float64) watchdog.Maybe[float64] {
	if math.IsNaN(v) {
		return watchdog.Maybe[float64]{}
	}
	return watchdog.Known(v)
}
