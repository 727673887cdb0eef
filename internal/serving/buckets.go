package serving

import (
	"math"
	"slices"
	"sort"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// buckets is the histogram of a window. counts[i] observations were at most bounds[i]; the bounds ascend and the last one is
// +Inf. bounds is shared and never written to. The zero value is empty.
type buckets struct {
	bounds, counts []float64
	sum            float64
}

func (b *buckets) count() float64 {
	if len(b.counts) == 0 {
		return 0
	}
	return b.counts[len(b.counts)-1]
}

// clear empties b and keeps its memory.
func (b *buckets) clear() { *b = buckets{counts: b.counts[:0]} }

// add adds another histogram. Two with different bounds (servers of two versions) have the bounds that both have: there,
// and only there, the sum of the counts is known.
func (b *buckets) add(o *buckets) {
	switch {
	case len(o.counts) == 0:
		return
	case len(b.counts) == 0:
		b.bounds, b.counts = o.bounds, append(b.counts[:0], o.counts...)
	case slices.Equal(b.bounds, o.bounds):
		for i, n := range o.counts {
			b.counts[i] += n
		}
	default:
		b.addCommon(o)
	}
	b.sum += o.sum
}

func (b *buckets) addCommon(o *buckets) {
	bounds := make([]float64, 0, min(len(b.bounds), len(o.bounds)))
	for i, j := 0, 0; i < len(b.bounds) && j < len(o.bounds); {
		switch {
		case b.bounds[i] < o.bounds[j]:
			i++
		case b.bounds[i] > o.bounds[j]:
			j++
		default:
			b.counts[len(bounds)] = b.counts[i] + o.counts[j]
			bounds = append(bounds, b.bounds[i])
			i++
			j++
		}
	}
	b.bounds, b.counts = bounds, b.counts[:len(bounds)]
}

// lower is the lower bound of bucket i, which is not in it. What is counted here is never negative.
func (b *buckets) lower(i int) float64 {
	if i == 0 {
		return min(0, b.bounds[0])
	}
	return b.bounds[i-1]
}

// inBucket is the number of observations in bucket i alone.
func (b *buckets) inBucket(i int) float64 {
	if i == 0 {
		return b.counts[0]
	}
	return b.counts[i] - b.counts[i-1]
}

// holding is the bucket that holds the rank-th smallest observation; rank is from 1 to count.
func (b *buckets) holding(rank float64) int {
	return min(sort.SearchFloat64s(b.counts, rank), len(b.counts)-1)
}

// quantile brackets the q-quantile: it lies between two neighbouring observations, each of them between the bounds of its own
// bucket. Where both are in one bucket these are its bounds. The guess is that of Prometheus' histogram_quantile, which has the
// observations of a bucket spread evenly over it, held to what is certain.
func (b *buckets) quantile(q float64) Quantile {
	n := b.count()
	if n < 1 {
		return Quantile{}
	}
	at := (n - 1) * q
	i := b.holding(math.Floor(at) + 1)
	j := b.holding(math.Ceil(at) + 1)
	low, high := b.lower(i), b.bounds[j]
	if i != j {
		share := at - math.Floor(at)
		low = (b.lower(i)*(1-share) + b.lower(j)*share) * (1 - rounding)
		high = (b.bounds[i]*(1-share) + b.bounds[j]*share) * (1 + rounding)
	}
	out := Quantile{Low: watchdog.Known(low)}
	if !math.IsInf(high, 1) {
		out.High = watchdog.Known(high)
	}
	if i := b.holding(q * n); i > 0 && i < len(b.bounds)-1 {
		share := (q*n - b.counts[i-1]) / b.inBucket(i)
		guess := b.lower(i) + (b.bounds[i]-b.lower(i))*share
		out.Value, out.Estimate = watchdog.Known(min(max(guess, low), high)), true
	}
	return out
}

// rounding is more than a mean of two numbers is wrong by.
const rounding = 1e-14

// below says how many observations were below a limit. Where a bound is the limit itself the number is known; an observation
// that equals it, which a bucket cannot tell from a smaller one, then counts as below.
func (b *buckets) below(limit float64) Range {
	if len(b.bounds) == 0 {
		return Range{}
	}
	at := sort.SearchFloat64s(b.bounds, limit) // the first bound that is not below the limit
	r := Range{High: b.counts[at]}
	switch {
	case b.bounds[at] == limit:
		r.Low = r.High
	case at > 0:
		r.Low = b.counts[at-1]
	}
	return r
}

// sumRange is between what the sum of these observations must lie.
func (b *buckets) sumRange() Range {
	var r Range
	for i := range b.counts {
		if n := b.inBucket(i); n > 0 {
			r.Low += n * b.lower(i)
			r.High += n * b.bounds[i]
		}
	}
	return r
}

// sumFits says that the sum can be one of these observations, but for rounding; what the sums were subtracted from, before,
// were at most scale.
func (b *buckets) sumFits(scale float64) bool {
	slack := 1e-9 * max(1, scale)
	r := b.sumRange()
	return b.sum >= r.Low-slack && b.sum <= r.High+slack
}

// highest is the lower bound of the highest bucket that is not empty.
func (b *buckets) highest() float64 {
	for i := len(b.counts) - 1; i >= 0; i-- {
		if b.inBucket(i) > 0 {
			return b.lower(i)
		}
	}
	return 0
}

// figure makes the figure of a window.
func (b *buckets) figure() Figure {
	f := Figure{Count: b.count(), P50: b.quantile(.50), P95: b.quantile(.95), P99: b.quantile(.99)}
	switch {
	case f.Count == 0:
		f.Note = "nothing was observed"
	case !b.sumFits(math.Abs(b.sum)):
		f.Note = "the sum contradicts the buckets"
	default:
		f.Mean = per(b.sum, f.Count)
	}
	return f
}
