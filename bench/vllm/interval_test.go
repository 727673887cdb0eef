//go:build linux

package main

import (
	"math/rand/v2"
	"testing"
)

// Of intervals that hold the truth with 95 % about 95 in 100 do: with ten pairs the bootstrap of a median is known to
// hold it somewhat less or more often, and far from always.
func TestTheIntervalHoldsTheTruthAboutAsOftenAsItSays(t *testing.T) {
	draw := rand.New(rand.NewPCG(7, 7))
	const truth, trials, pairs = 1.5, 200, 10
	held, wide := 0, 0.0
	for range trials {
		differences := make([]float64, pairs)
		for i := range differences {
			differences[i] = truth + draw.NormFloat64()
		}
		low, high := interval(differences)
		if low <= truth && truth <= high {
			held++
		}
		if low > high {
			t.Fatalf("an interval from %v to %v", low, high)
		}
		wide += (high - low) / trials
	}
	if held < trials*88/100 || held > trials*99/100 {
		t.Errorf("%d of %d intervals hold the truth", held, trials)
	}
	if wide < 0.8 || wide > 2.2 { // the median of ten has a standard error of about 0.37
		t.Errorf("intervals are %.2f wide in the mean", wide)
	}
}

func TestMedian(t *testing.T) {
	if got := median([]float64{3, 1, 2}); got != 2 {
		t.Errorf("median of three is %v", got)
	}
	if got := median([]float64{4, 1, 2, 30}); got != 3 {
		t.Errorf("median of four is %v", got)
	}
	low, high := interval([]float64{1, 1, 1})
	if low != 1 || high != 1 {
		t.Errorf("of equal differences the interval is %v to %v", low, high)
	}
}
