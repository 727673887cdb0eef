package store

import (
	"cmp"
	"encoding/binary"
	"errors"
	"math"
	"slices"
)

// stripRows is how many values a strip holds at most, and how many rows may wait to be sealed: few enough to be read one by
// one when a report is asked for.
const stripRows = 4096

// fenceEvery is the distance of two fences.
const fenceEvery = 256

// kind is what a strip holds.
type kind int

const (
	kindTTFT kind = iota
	kindTPOT
)

// entry is one value in seconds, with the output tokens of its request.
type entry struct {
	value  float64
	tokens int64
}

func sortEntries(e []entry) {
	slices.SortFunc(e, func(a, b entry) int { return cmp.Compare(a.value, b.value) })
}

// strip is sorted values of one kind, in memory or, where data is nil, in the row of that id.
type strip struct {
	id        int64
	low, high float64
	n         int
	tokens    int64
	fences    []byte
	data      []byte
}

// newStrip makes a strip of sorted entries, at least one.
func newStrip(k kind, entries []entry) *strip {
	s := &strip{low: entries[0].value, high: entries[len(entries)-1].value, n: len(entries), data: encodeStrip(k, entries)}
	for i, e := range entries {
		s.tokens += max(0, e.tokens)
		if i%fenceEvery == 0 {
			s.fences = binary.LittleEndian.AppendUint64(s.fences, math.Float64bits(e.value))
		}
	}
	return s
}

// piece is a part of a strip as its fences tell it: n values, none below low and none above high.
type piece struct {
	low, high float64
	n         int64
}

// pieces are the parts of all strips.
func pieces(strips []*strip) ([]piece, error) {
	var out []piece
	for _, s := range strips {
		count := (s.n + fenceEvery - 1) / fenceEvery
		if s.n < 1 || len(s.fences) != 8*count {
			return nil, errStrip
		}
		for i := range count {
			p := piece{low: stripValue(s.fences, i), high: s.high, n: fenceEvery}
			if i+1 < count {
				p.high = stripValue(s.fences, i+1)
			} else {
				p.n = int64(s.n - i*fenceEvery)
			}
			out = append(out, p)
		}
	}
	return out, nil
}

// encodeStrip packs sorted entries as the column data says.
func encodeStrip(k kind, entries []entry) []byte {
	out := make([]byte, 0, len(entries)*10)
	for _, e := range entries {
		out = binary.LittleEndian.AppendUint64(out, math.Float64bits(e.value))
	}
	if k == kindTTFT {
		for _, e := range entries {
			out = binary.AppendUvarint(out, uint64(max(0, e.tokens)))
		}
	}
	return out
}

var errStrip = errors.New("a strip of values is shorter than it says")

// stripValue is the i-th value of a strip.
func stripValue(data []byte, i int) float64 {
	return math.Float64frombits(binary.LittleEndian.Uint64(data[8*i:]))
}

// stripTokens adds up the tokens of the first m of n entries.
func stripTokens(data []byte, n, m int) (total int64, err error) {
	rest := data[8*n:]
	for range m {
		tokens, size := binary.Uvarint(rest)
		if size <= 0 {
			return 0, errStrip
		}
		total += int64(tokens)
		rest = rest[size:]
	}
	return total, nil
}

// below is how many of a strip's n values are below v.
func below(data []byte, n int, v float64) int {
	low, high := 0, n
	for low < high {
		if middle := (low + high) / 2; stripValue(data, middle) < v {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}

// decodeStrip unpacks a whole strip.
func decodeStrip(k kind, data []byte, n int) ([]entry, error) {
	if len(data) < 8*n {
		return nil, errStrip
	}
	out := make([]entry, n)
	rest := data[8*n:]
	for i := range out {
		out[i].value = stripValue(data, i)
		if k != kindTTFT {
			continue
		}
		tokens, size := binary.Uvarint(rest)
		if size <= 0 {
			return nil, errStrip
		}
		out[i].tokens = int64(tokens)
		rest = rest[size:]
	}
	return out, nil
}
