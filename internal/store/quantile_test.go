package store

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestPercentilesAreThoseOfNumpy(t *testing.T) {
	// numpy 2.3: numpy.percentile(v, [50, 95, 99])
	for _, c := range []struct {
		values []float64
		want   [3]float64
	}{
		{[]float64{3}, [3]float64{3, 3, 3}},
		{[]float64{1, 2}, [3]float64{1.5, 1.95, 1.99}},
		{[]float64{0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4}, [3]float64{0.8, 5.44, 6.208}},
		{[]float64{1, 1, 1, 1, 9}, [3]float64{1, 7.4, 8.68}},
	} {
		for i, p := range shares {
			if got := percentile(c.values, p); got < c.want[i]-1e-12 || got > c.want[i]+1e-12 {
				t.Errorf("percentile %v of %v is %v, want %v", 100*p, c.values, got, c.want[i])
			}
		}
	}
}

// Over any strips, overlapping or not, with values alike and strips of one, the percentiles are those of all values sorted; and
// each strip is read at most once.
func TestPercentilesOverStrips(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	reads, all := 0, 0
	for range 3000 {
		var strips []*strip
		var values []float64
		var entries []entry
		for range 1 + r.IntN(12) {
			base, width := float64(r.IntN(5)), []float64{0, 0.5, 3, 100}[r.IntN(4)]
			own := make([]entry, 1+r.IntN([]int{40, 2000}[r.IntN(20)/19]))
			for i := range own {
				own[i] = entry{base + width*float64(r.IntN(6))/5, r.Int64N(300)}
				values = append(values, own[i].value)
			}
			entries = append(entries, own...)
			sortEntries(own)
			s := newStrip(kindTTFT, own)
			s.id = int64(len(strips))
			strips = append(strips, s)
		}
		slices.Sort(values)
		read := map[int64]int{}
		load := func(s *strip, use func([]byte) error) error { read[s.id]++; return use(s.data) }
		got, err := percentiles(strips, load)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range shares {
			if want := percentile(values, p); got[i] != want {
				t.Fatalf("percentile %v of %v is %v, want %v", 100*p, values, got[i], want)
			}
		}
		for id, n := range read {
			if n > 1 {
				t.Fatalf("strip %d was read %d times", id, n)
			}
		}
		reads, all = reads+len(read), all+len(strips)

		bound := values[r.IntN(len(values))]
		var wantN, wantTokens int64
		for _, e := range entries {
			if e.value < bound {
				wantN++
				wantTokens += e.tokens
			}
		}
		if n, tokens, err := met(strips, bound, load); err != nil || n != wantN || tokens != wantTokens {
			t.Fatalf("below %v: %d values, %d tokens, %v, want %d, %d", bound, n, tokens, err, wantN, wantTokens)
		}
	}
	if reads == all {
		t.Error("every strip was read each time")
	}
}

func TestStripsThatAreCutShort(t *testing.T) {
	entries := []entry{{1, 10}, {2, 300}, {3, 0}}
	data := encodeStrip(kindTTFT, entries)
	if got, err := decodeStrip(kindTTFT, data, 3); err != nil || !slices.Equal(got, entries) {
		t.Fatalf("decoded %v, %v", got, err)
	}
	for n := range data {
		if _, err := decodeStrip(kindTTFT, data[:n], 3); err == nil {
			t.Errorf("%d bytes of %d were taken for the whole", n, len(data))
		}
	}
	if _, err := stripTokens(data[:len(data)-2], 3, 3); err == nil {
		t.Error("tokens were added up beyond the end")
	}
}
