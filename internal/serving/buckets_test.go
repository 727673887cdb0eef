package serving

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

var inf = math.Inf(1)

// histogram has in[i] observations in the bucket up to bounds[i], and the last of in beyond them all.
func histogram(bounds []float64, sum float64, in ...float64) *buckets {
	b := &buckets{bounds: append(append([]float64{}, bounds...), inf), sum: sum}
	total := 0.0
	for _, n := range in {
		total += n
		b.counts = append(b.counts, total)
	}
	return b
}

func known(v float64) watchdog.Maybe[float64] { return watchdog.Known(v) }

func TestQuantile(t *testing.T) {
	bounds := []float64{.01, .1, 1}
	unknown := watchdog.Maybe[float64]{}
	for _, c := range []struct {
		name string
		of   *buckets
		q    float64
		want Quantile
	}{
		{"no observation", histogram(bounds, 0, 0, 0, 0, 0), .5, Quantile{}},
		{"no bucket", &buckets{}, .5, Quantile{}},
		{"all in the first bucket: anything from 0", histogram(bounds, 0, 9, 0, 0, 0), .5, Quantile{unknown, false, known(0), known(.01)}},
		{"all in one bucket: a guess between its bounds", histogram(bounds, 0, 0, 10, 0, 0), .5, Quantile{known(.055), true, known(.01), known(.1)}},
		{"all beyond the highest bound: anything from it", histogram(bounds, 0, 0, 0, 0, 4), .95, Quantile{unknown, false, known(1), unknown}},
		{"one observation", histogram(bounds, 0, 0, 0, 1, 0), .99, Quantile{known(.991), true, known(.1), known(1)}},
		// The median of two lies half way from the one to the other.
		{"between two buckets", histogram(bounds, 0, 0, 1, 1, 0), .5, Quantile{known(.1), true, known(.055), known(.55)}},
		{"between two buckets, the first of them the lowest", histogram(bounds, 0, 1, 0, 1, 0), .5, Quantile{unknown, false, known(.05), known(.505)}},
		{"between the last bound and beyond", histogram(bounds, 0, 0, 0, 1, 1), .5, Quantile{known(1), true, known(.55), unknown}},
		{"a bound below 0", &buckets{bounds: []float64{-1, inf}, counts: []float64{2, 2}}, .5, Quantile{unknown, false, known(-1), known(-1)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, c.of.quantile(c.q), cmpopts.EquateApprox(1e-12, 0)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBelow(t *testing.T) {
	b := histogram([]float64{1, 2.5, 5}, 0, 10, 20, 30, 40)
	for limit, want := range map[float64]Range{
		2:   {10, 30}, // there is no bucket that ends at 2 s
		2.5: {30, 30},
		.5:  {0, 10},
		1:   {10, 10},
		7:   {60, 100},
		inf: {100, 100},
	} {
		if got := b.below(limit); got != want {
			t.Errorf("below %v: %+v, want %+v", limit, got, want)
		}
	}
	if got := (&buckets{}).below(2); got != (Range{}) {
		t.Errorf("of nothing %+v are below 2", got)
	}
}

// Two histograms with different buckets add up where both have a bound.
func TestAddOfOtherBounds(t *testing.T) {
	a := histogram([]float64{1, 2, 5}, 3, 1, 1, 1, 1)
	shared := a.bounds
	a.add(histogram([]float64{.5, 2, 4, 5, 9}, 30, 10, 10, 10, 10, 10, 10))
	want := &buckets{bounds: []float64{2, 5, inf}, counts: []float64{22, 43, 64}, sum: 33}
	if diff := cmp.Diff(want, a, cmp.AllowUnexported(buckets{})); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]float64{1, 2, 5, inf}, shared); diff != "" {
		t.Errorf("the bounds, which others share, were written to: %s", diff)
	}
	a.add(&buckets{})
	if a.count() != 64 {
		t.Errorf("adding nothing makes it %v", a.count())
	}
}

func TestMeanThatCannotBe(t *testing.T) {
	// Three observations, one in each of (0, 0.1], (0.1, 1] and (1, 10].
	for sum, possible := range map[float64]bool{1.1: true, 2: true, 11.1: true, 1: false, 11.2: false, -3: false} {
		f := histogram([]float64{.1, 1, 10}, sum, 1, 1, 1, 0).figure()
		if f.Mean.Known != possible || possible != (f.Note == "") {
			t.Errorf("with the sum %v the mean is %+v (%s)", sum, f.Mean, f.Note)
		}
	}
}

// numpy.percentile of the same numbers says the same (numpy 2.3.5).
func TestPercentileIsNumpys(t *testing.T) {
	for _, c := range []struct{ sorted, want []float64 }{
		{[]float64{.001, .03, .125, .4, .4, 1.1, 2, 3.5, 7.25, 19.75}, []float64{.75, 14.124999999999986, 18.625}},
		{[]float64{5, 7.5}, []float64{6.25, 7.375, 7.475}},
		{[]float64{.1, .2, .7}, []float64{.2, .6499999999999999, .69}},
		{[]float64{1.34, 8.47}, []float64{4.905, 8.1135, 8.3987}},
		{[]float64{3}, []float64{3, 3, 3}},
	} {
		for i, q := range []float64{.50, .95, .99} {
			if got := Percentile(c.sorted, q); got != known(c.want[i]) {
				t.Errorf("of %v the %v-quantile is %+v, numpy says %v", c.sorted, q, got, c.want[i])
			}
		}
	}
	if got := Percentile(nil, .5); got.Known {
		t.Errorf("of nothing the median is %+v", got)
	}
}
