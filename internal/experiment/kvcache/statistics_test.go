package kvcache

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/load"
)

// From printed tables of the t distribution.
func TestStudentQuantile(t *testing.T) {
	for _, c := range []struct {
		p       float64
		degrees int
		want    float64
	}{
		{.975, 1, 12.7062}, {.975, 2, 4.3027}, {.975, 3, 3.1824}, {.975, 5, 2.5706}, {.975, 10, 2.2281}, {.975, 18, 2.1009}, {.975, 30, 2.0423},
		{.975, 120, 1.9799}, {.975, 100_000, 1.9600}, {.95, 1, 6.3138}, {.95, 7, 1.8946}, {.995, 4, 4.6041}, {.9995, 2, 31.599},
	} {
		if got := studentQuantile(c.p, c.degrees); math.Abs(got-c.want) > 1e-4*c.want {
			t.Errorf("t(%v; %d) = %.5f, not %.4f", c.p, c.degrees, got, c.want)
		}
	}
	// One degree is Cauchy's distribution, two have a closed form.
	for p := .51; p < .999; p += .013 {
		if got, want := studentQuantile(p, 1), math.Tan(math.Pi*(p-.5)); math.Abs(got-want) > 1e-9*want {
			t.Errorf("t(%v; 1) = %v, not %v", p, got, want)
		}
		a := 4 * p * (1 - p)
		if got, want := studentQuantile(p, 2), (2*p-1)*math.Sqrt(2/a); math.Abs(got-want) > 1e-9*want {
			t.Errorf("t(%v; 2) = %v, not %v", p, got, want)
		}
	}
}

// points scatters n points around a line with normal noise, at four lengths.
func points(r *rand.Rand, n int, intercept, slope, noise float64) (x, y []float64) {
	for i := range n {
		at := []float64{128, 256, 512, 1024}[i%4]
		x, y = append(x, at), append(y, intercept+slope*at+noise*r.NormFloat64())
	}
	return x, y
}

// Points on a line give that line, and an interval of no width.
func TestFitOfALine(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for range 500 {
		intercept, slope := 1+20*r.Float64(), (r.Float64()-.2)/1000
		x, y := points(r, 4+r.IntN(20), intercept, slope, 0)
		f, ok := lineThrough(x, y)
		if !ok || math.Abs(f.Intercept-intercept) > 1e-9 || math.Abs(f.Slope-slope) > 1e-12 || f.SlopeHigh-f.SlopeLow > 1e-12 {
			t.Fatalf("%v + %v·x became %+v", intercept, slope, f)
		}
	}
}

// 95 of 100 intervals hold the truth.
func TestIntervalHoldsTheTruth(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 5))
	const trials = 4000
	for _, n := range []int{4, 8, 20} {
		held := 0
		for range trials {
			x, y := points(r, n, 3, 4e-4, .05)
			f, ok := lineThrough(x, y)
			if !ok {
				t.Fatal("no fit")
			}
			if f.SlopeLow <= 4e-4 && 4e-4 <= f.SlopeHigh {
				held++
			}
		}
		// Four standard deviations of a share of 0.95 of 4000.
		if share := float64(held) / trials; math.Abs(share-.95) > 4*math.Sqrt(.95*.05/trials) {
			t.Errorf("of %d points: %.2f %% of the intervals hold the truth", n, 100*share)
		}
	}
}

// Other units change nothing but the units, and the order of the points nothing at all.
func TestFitDoesNotDependOnUnits(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 1))
	near := func(a, b float64) bool { return math.Abs(a-b) <= 1e-9*max(1e-3, math.Abs(a), math.Abs(b)) }
	for range 500 {
		x, y := points(r, 4+r.IntN(12), 5, 1e-3*r.NormFloat64(), .3)
		f, ok := lineThrough(x, y)
		if !ok {
			continue // a mean below 0
		}
		k := math.Exp(r.NormFloat64())
		scaled := slices.Clone(y)
		for i := range scaled {
			scaled[i] *= k
		}
		g, _ := lineThrough(x, scaled)
		if !near(g.Slope, k*f.Slope) || !near(g.Change, f.Change) || !near(g.ChangeLow, f.ChangeLow) || !near(g.ChangeHigh, f.ChangeHigh) {
			t.Fatalf("times %v: %+v became %+v", k, f, g)
		}
		slices.Reverse(x)
		slices.Reverse(y)
		if g, _ := lineThrough(x, y); !near(g.Slope, f.Slope) || !near(g.SlopeHigh, f.SlopeHigh) {
			t.Fatalf("backwards %+v became %+v", f, g)
		}
		if f.SlopeLow > f.Slope || f.Slope > f.SlopeHigh || !near(f.SlopeHigh-f.Slope, f.Slope-f.SlopeLow) {
			t.Fatalf("%+v has an odd interval", f)
		}
	}
}

func TestNoFit(t *testing.T) {
	for name, c := range map[string]struct{ x, y []float64 }{
		"nothing":            {nil, nil},
		"two points":         {[]float64{1, 2}, []float64{1, 2}},
		"one length":         {[]float64{5, 5, 5, 5}, []float64{1, 2, 3, 4}},
		"no time":            {[]float64{1, 2, 3}, []float64{0, 0, 0}},
		"not a number":       {[]float64{1, 2, 3}, []float64{1, math.NaN(), 1}},
		"without an end":     {[]float64{1, 2, 3}, []float64{1, math.Inf(1), 1}},
		"of unequal lengths": {[]float64{1, 2, 3}, []float64{1, 2}},
	} {
		if f, ok := lineThrough(c.x, c.y); ok || f != (Fit{}) {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

// The verdict is one of four, and says what its figures say.
func TestVerdictFollowsItsFigures(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 8))
	count := map[Outcome]int{}
	for range 5000 {
		x, y := points(r, 8+4*r.IntN(4), 5, 2e-3*r.NormFloat64(), .6*r.Float64())
		f, ok := lineThrough(x, y)
		if !ok {
			continue
		}
		tolerance := 1 + 29*r.Float64()
		means := []float64{5, 5 + r.NormFloat64()/10}
		v := judge(f, means, tolerance, 128, 1024)
		count[v.Outcome]++
		fits := math.Max(math.Abs(f.ChangeLow), math.Abs(f.ChangeHigh)) <= tolerance && v.SpreadOfMeans <= tolerance
		if (v.Outcome == Constant) != fits || (v.Outcome == Grows) != (f.ChangeLow > tolerance) || (v.Outcome == Falls) != (f.ChangeHigh < -tolerance) {
			t.Fatalf("%+v of %+v with a spread of %v", v, f, v.SpreadOfMeans)
		}
		if v.Outcome == Constant && v.Within > tolerance || v.Within < math.Abs(f.Change) || v.Text == "" {
			t.Fatalf("%+v of %+v", v, f)
		}
		if wider := judge(f, means, tolerance*2, 128, 1024); v.Outcome == Constant && wider.Outcome != Constant {
			t.Fatalf("constant within %v %%, but not within twice as much: %+v", tolerance, wider)
		}
	}
	for _, o := range []Outcome{Constant, Grows, Falls, Undecided} {
		if count[o] < 50 {
			t.Errorf("only %d verdicts are %q: the test no longer reaches it", count[o], o)
		}
	}
}

// A bend that a line does not see is not called constant.
func TestBendIsNotConstant(t *testing.T) {
	var x, y []float64
	for range 10 {
		x = append(x, 128, 256, 512, 1024)
		y = append(y, 2, 3, 3, 2)
	}
	f, ok := lineThrough(x, y)
	if v := judge(f, []float64{2, 3, 3, 2}, 15, 128, 1024); !ok || v.Outcome == Constant || v.SpreadOfMeans != 40 {
		t.Errorf("have %+v of %+v", v, f)
	}
}

// The document's section 3.1 expects 2.5, 2.6, 2.7, 2.8 ms at 128, 256, 512, 1024 tokens and calls that constant. Four single
// figures do not tell; the same figures measured often are within the tolerance, and their growth shows.
func TestSeedSection3_1ExpectedFigures(t *testing.T) {
	lengths, tpot := []float64{128, 256, 512, 1024}, []float64{2.5, 2.6, 2.7, 2.8}
	f, ok := lineThrough(lengths, tpot)
	// Σ(x−x̄)(y−ȳ) = 147.2, Σ(x−x̄)² = 471040; s² = 0.002, t = 4.303.
	if !ok || math.Abs(f.Slope-147.2/471040) > 1e-9 || math.Abs(f.SlopeHigh-f.Slope-4.30265*math.Sqrt(.002/471040)) > 1e-9 {
		t.Errorf("have %+v", f)
	}
	if v := judge(f, tpot, 15, 128, 1024); v.Outcome != Undecided {
		t.Errorf("four figures alone are called %q", v.Outcome)
	}
	var x, y []float64
	for range 5 {
		x, y = append(x, lengths...), append(y, tpot...)
	}
	f, _ = lineThrough(x, y)
	if v := judge(f, tpot, 15, 128, 1024); v.Outcome != Constant || !v.Measurable || v.Within < 11 || v.Within > 13 {
		t.Errorf("have %+v of %+v", v, f)
	}
	// Decode time is TPOT × (tokens − 1), within a hundredth of what the document writes down.
	for i, want := range []float64{320, 666, 1382, 2867} {
		if decode := tpot[i] * (lengths[i] - 1); math.Abs(decode-want) > .01*want {
			t.Errorf("%v tokens take %v ms to decode, not %v", lengths[i], decode, want)
		}
	}
}

// Every token but those of the first chunk has a gap, and the gaps take as long as the stream from its first token to its last.
func TestTokenGaps(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	for range 2000 {
		rec := load.Record{ChunkTokens: []int{1 + r.IntN(2)}}
		tokens := 0
		var whole, waited time.Duration
		for range r.IntN(30) {
			gap := time.Duration(r.IntN(1e7))
			n := r.IntN(4)
			rec.ITLs, rec.ChunkTokens = append(rec.ITLs, gap), append(rec.ChunkTokens, n)
			tokens += n
			if waited += gap; n > 0 {
				whole, waited = whole+waited, 0
			}
		}
		gaps := tokenGaps(&rec)
		sum := 0.0
		for _, g := range gaps {
			sum += g
		}
		if len(gaps) != tokens || math.Abs(sum-ms(whole)) > 1e-6 {
			t.Fatalf("%d gaps of %v ms for %d tokens in %v", len(gaps), sum, tokens, whole)
		}
	}
	if gaps := tokenGaps(&load.Record{ITLs: []time.Duration{1, 2}}); gaps != nil {
		t.Errorf("a server that does not tell has %v", gaps)
	}
}

func TestSpread(t *testing.T) {
	if spreadOf(nil) != nil {
		t.Error("nothing has a spread")
	}
	values := []float64{4, 1, 3, 2}
	s := spreadOf(values)
	if s.Count != 4 || s.Mean != 2.5 || s.Min != 1 || s.Max != 4 || s.P50 != 2.5 || math.Abs(s.P95-3.85) > 1e-12 || math.Abs(s.Std.Value-math.Sqrt(5.0/3)) > 1e-12 {
		t.Errorf("have %+v", s)
	}
	if !slices.Equal(values, []float64{4, 1, 3, 2}) {
		t.Error("the values were changed")
	}
	if one := spreadOf([]float64{7}); one.Std.Known || one.Mean != 7 || one.P99 != 7 {
		t.Errorf("have %+v", one)
	}
}

// In any run of rounds each length comes equally often, and no two rounds in a row are alike.
func TestOrderAlternates(t *testing.T) {
	lengths := []int{128, 256, 512, 1024}
	for round := range 12 {
		got := order(lengths, round)
		if sorted := slices.Sorted(slices.Values(got)); !slices.Equal(sorted, lengths) {
			t.Errorf("round %d is %v", round, got)
		}
		if slices.Equal(got, order(lengths, round+1)) {
			t.Errorf("rounds %d and %d are both %v", round, round+1, got)
		}
	}
	if !slices.Equal(lengths, []int{128, 256, 512, 1024}) {
		t.Error("the lengths were changed")
	}
}
