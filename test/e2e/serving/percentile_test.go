package main

import "testing"

// The values are numpy's.
func TestPercentileIsNumpys(t *testing.T) {
	values := []float64{9, 1, 4, 2.5, 7}
	for q, want := range map[float64]float64{0: 1, .5: 4, .25: 2.5, .95: 8.6, 1: 9, .1: 1.6} {
		if got := percentile(values, q); got < want-1e-12 || got > want+1e-12 {
			t.Errorf("percentile %g is %g, want %g", q, got, want)
		}
	}
	if values[0] != 9 {
		t.Error("the values were put into another order")
	}
}
