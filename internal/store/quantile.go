package store

import (
	"math"
	"slices"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Spread describes the known values of a figure, in seconds. Percentiles are exact, interpolated linearly between order
// statistics as numpy does by default.
type Spread struct {
	N                   int64
	Mean, P50, P95, P99 watchdog.Maybe[float64]
}

// shares are the percentiles of a Spread.
var shares = [...]float64{0.50, 0.95, 0.99}

// rank is where the percentile p (0 to 1) of n ≥ 1 sorted values lies: between the values at k and k + 1, the given part of the
// way.
func rank(n int64, p float64) (k int64, part float64) {
	h := p * float64(n-1)
	floor := math.Floor(h)
	return int64(floor), h - floor
}

// between interpolates as numpy does, from the nearer end, so that equal ends give exactly themselves.
func between(a, b, part float64) float64 {
	if part >= 0.5 {
		return b - (b-a)*(1-part)
	}
	return a + (b-a)*part
}

// percentile is the percentile p (0 to 1) of ascending values, at least one.
func percentile(values []float64, p float64) float64 {
	k, part := rank(int64(len(values)), p)
	return between(values[k], values[min(int(k)+1, len(values)-1)], part)
}

// bracket is bounds of the values at the ranks k to last, and what was found of them.
type bracket struct {
	k, last   int64
	part      float64
	low, high float64
	under     int64 // values below low
	found     []float64
}

// narrow finds bounds of the ranks from the pieces alone: at most k values are smaller than low, because all pieces that begin
// below it hold no more; and more than last are not above high, because the pieces that end at or below it hold that many.
func (b *bracket) narrow(byLow, byHigh []piece) {
	b.low, b.high = math.Inf(-1), math.Inf(1)
	var begun int64
	for i, p := range byLow {
		if i > 0 && p.low > byLow[i-1].low {
			if begun > b.k {
				break
			}
			b.low = p.low
		}
		begun += p.n
	}
	var ended int64
	for _, p := range byHigh {
		if ended += p.n; ended > b.last {
			b.high = p.high
			break
		}
	}
}

// take adds a strip's values within the bounds.
func (b *bracket) take(data []byte, n int) {
	first := below(data, n, b.low)
	b.under += int64(first)
	for i := first; i < n; i++ {
		v := stripValue(data, i)
		if v > b.high {
			return
		}
		b.found = append(b.found, v)
	}
}

func (b *bracket) value() float64 {
	slices.Sort(b.found)
	return between(b.found[b.k-b.under], b.found[b.last-b.under], b.part)
}

// percentiles are the values at shares over all strips, which hold at least one value; load reads a strip's data, and each strip
// is read at most once.
func percentiles(strips []*strip, load func(s *strip, use func(data []byte) error) error) (out [len(shares)]float64, err error) {
	byLow, err := pieces(strips)
	if err != nil {
		return out, err
	}
	byHigh := slices.Clone(byLow)
	slices.SortFunc(byLow, func(a, b piece) int { return compare(a.low, b.low) })
	slices.SortFunc(byHigh, func(a, b piece) int { return compare(a.high, b.high) })
	var n int64
	for _, p := range byLow {
		n += p.n
	}
	var brackets [len(shares)]bracket
	for i := range brackets {
		b := &brackets[i]
		b.k, b.part = rank(n, shares[i])
		b.last = min(b.k+1, n-1)
		b.narrow(byLow, byHigh)
	}
	for _, s := range strips {
		needed := false
		for i := range brackets {
			b := &brackets[i]
			switch {
			case s.high < b.low:
				b.under += int64(s.n)
			case s.low <= b.high:
				needed = true
			}
		}
		if !needed {
			continue
		}
		if err := load(s, func(data []byte) error {
			for i := range brackets {
				if b := &brackets[i]; s.high >= b.low && s.low <= b.high {
					b.take(data, s.n)
				}
			}
			return nil
		}); err != nil {
			return out, err
		}
	}
	for i := range brackets {
		out[i] = brackets[i].value()
	}
	return out, nil
}

func compare(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// met counts the values strictly below a bound, and the tokens of their requests.
func met(strips []*strip, bound float64, load func(s *strip, use func(data []byte) error) error) (n, tokens int64, err error) {
	for _, s := range strips {
		switch {
		case s.low >= bound:
		case s.high < bound:
			n += int64(s.n)
			tokens += s.tokens
		default:
			err := load(s, func(data []byte) error {
				m := below(data, s.n, bound)
				part, err := stripTokens(data, s.n, m)
				n += int64(m)
				tokens += part
				return err
			})
			if err != nil {
				return 0, 0, err
			}
		}
	}
	return n, tokens, nil
}
