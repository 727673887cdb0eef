//go:build linux

package main

import (
	"math"
	"strings"
	"testing"
)

// Each latency counts for the state in which its token came.
func TestEachTokenCountsForTheStateInWhichItCame(t *testing.T) {
	turns := []turn{{100, false}, {110, true}, {120, false}}
	d := detailed{Starts: []float64{99, 109}, TTFTs: []float64{2, 0.5}, ITLs: [][]float64{nil, nil}}
	for range 1500 {
		d.ITLs[0] = append(d.ITLs[0], 0.004) // from 101 to 107 s: without
		d.ITLs[1] = append(d.ITLs[1], 0.006) // from 109.5 to 118.5 s: 83 without, then with
	}
	p, err := d.split(turns)
	if err != nil || p.tokens != 3000 || math.Abs(p.with-6) > 1e-9 || math.Abs(p.without-6) > 1e-9 {
		t.Errorf("%+v, %v: 83 of 1,583 are more than one in a hundred", p, err)
	}
	d.Starts[1] = 109.5
	if p, err = d.split(turns); err != nil || math.Abs(p.with-6) > 1e-9 || math.Abs(p.without-4) > 1e-9 || math.Abs(p.percent()-50) > 1e-6 {
		t.Errorf("%+v, %v", p, err)
	}
	d.Starts[0] = 90
	if _, err = d.split(turns); err == nil || !strings.Contains(err.Error(), "clocks") {
		t.Errorf("a token before the first turn: %v", err)
	}
	d.Starts[0], d.Starts[1] = 99, 101
	if _, err = d.split(turns); err == nil || !strings.Contains(err.Error(), "at least") {
		t.Errorf("hardly a token with the watchdog: %v", err)
	}
}

// A drift that is steady falls on both states alike, whichever comes first.
func TestTurnsShareADrift(t *testing.T) {
	sum := 0
	for i := range 64 {
		if thueMorse(i) {
			sum += i
		} else {
			sum -= i
		}
	}
	if sum != 0 || thueMorse(0) || !thueMorse(1) || !thueMorse(2) || thueMorse(3) {
		t.Errorf("the turns of one state come %d later in sum", sum)
	}
}

func TestP99(t *testing.T) {
	values := make([]float64, 101)
	for i := range values {
		values[i] = float64(100 - i)
	}
	if got := p99(values); got != 99 {
		t.Errorf("of 0 to 100 it is %v", got)
	}
	if got := p99([]float64{1, 2}); math.Abs(got-1.99) > 1e-12 {
		t.Errorf("of 1 and 2 it is %v", got)
	}
}
