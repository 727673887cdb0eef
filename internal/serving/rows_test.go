package serving

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/gpu-watchdog/gpu-watchdog/collector/ingest"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

var sla = SLA{TTFT: 2 * time.Second, TokensPerSecond: 300}

// row is a request that finished so many seconds after start and kept the SLA.
func row(finished float64, set ...func(*ingest.Request)) ingest.Request {
	r := ingest.Request{
		Source: ingest.FromSpan, Key: time.Duration(finished * 1e9).String(), FinishedAt: after(finished),
		Queue: known(.1), Prefill: known(.3), Decode: known(1.6), Total: known(2), TTFT: known(.4), TPOT: known(.1), TPS: known(8.5),
		PromptTokens: watchdog.Known(int64(100)), OutputTokens: watchdog.Known(int64(17)),
	}
	for _, s := range set {
		s(&r)
	}
	return r
}

func ttft(seconds float64) func(*ingest.Request) {
	return func(r *ingest.Request) { r.TTFT = known(seconds) }
}

func aborted(r *ingest.Request) {
	*r = ingest.Request{Source: r.Source, Key: r.Key, FinishedAt: r.FinishedAt, Aborted: true, OutputTokens: watchdog.Known(int64(0))}
}

func withoutTTFT(r *ingest.Request) { r.TTFT = watchdog.Maybe[float64]{} }

func TestGrade(t *testing.T) {
	for _, c := range []struct {
		name string
		of   ingest.Request
		want Grade
	}{
		{"in time", row(1), Met},
		{"just in time", row(1, ttft(math.Nextafter(2, 0))), Met},
		{"at the limit is too late", row(1, ttft(2)), Missed},
		{"late", row(1, ttft(2.1)), Missed},
		{"no first token known", row(1, withoutTTFT), Undecided},
		{"aborted", row(1, aborted), Undecided},
		{"aborted with a time", row(1, func(r *ingest.Request) { r.Aborted = true }), Undecided},
		{"a time that cannot be", row(1, ttft(-1)), Undecided},
		{"no number", row(1, ttft(math.NaN())), Undecided},
	} {
		if got := sla.Grade(c.of); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	if got := (SLA{}).Grade(row(1)); got != Undecided {
		t.Errorf("where nothing was promised a request is %v", got)
	}
}

func TestOfRows(t *testing.T) {
	all := []ingest.Request{
		row(0), // ends as the window begins: not in it
		row(10),
		row(11, ttft(3)),
		row(12, ttft(1), func(r *ingest.Request) { r.Source = ingest.FromPost }),
		row(50, aborted),
		row(60, withoutTTFT, func(r *ingest.Request) { r.OutputTokens = watchdog.Maybe[int64]{} }),
		row(101), // after it
	}
	got := OfRows(slices.Values(all), start, after(100), sla)
	want := Rows{
		Seconds: 100, Requests: 5, Met: 2, Missed: 1, Undecided: 2, Posted: 1, WithoutTokens: 1,
		PromptTokens: 400, OutputTokens: 51, MetTokens: 34, DecidedTokens: 51,
		RequestSeconds: 8, ServingSeconds: 6, // three overlap: 8 to 12 s; then 58 to 60 s
		AverageTPS: known(8.5),
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreTypes(Figure{}), cmpopts.EquateApprox(1e-12, 0)); diff != "" {
		t.Error(diff)
	}
	for what, c := range map[string]struct {
		got  watchdog.Maybe[float64]
		want float64
	}{
		"requests/s": {got.RequestsPerSecond(), .05}, "good requests/s": {got.GoodRequestsPerSecond(), .02},
		"tokens/s": {got.OutputTokensPerSecond(), .51}, "good tokens/s": {got.GoodTokensPerSecond(), .34},
		"SLA %": {got.SLAPercent(), 200.0 / 3}, "SLA % of tokens": {got.SLATokenPercent(), 200.0 / 3},
		"tokens/s while serving": {got.ServingTokensPerSecond(), 8.5},
		"mean TTFT":              {got.TTFT.Mean, 4.4 / 3}, "p50 TTFT": {got.TTFT.P50.Value, 1}, "mean end to end": {got.EndToEnd.Mean, 2},
		"mean per token": {got.PerOutputToken.Mean, .1}, "queue": {got.Queue.Mean, .1}, "prefill": {got.Prefill.P99.Value, .3}, "decode": {got.Decode.Mean, 1.6},
	} {
		if !c.got.Known || math.Abs(c.got.Value-c.want) > 1e-12 {
			t.Errorf("%s: %+v, want %v", what, c.got, c.want)
		}
	}
	if got.TTFT.Count != 3 || got.TTFT.P95.Estimate || got.TTFT.P95.Low != got.TTFT.P95.High {
		t.Errorf("TTFT %+v", got.TTFT)
	}
}

func TestNoRows(t *testing.T) {
	none := OfRows(slices.Values([]ingest.Request{}), start, after(60), sla)
	if none.SLAPercent().Known || none.SLATokenPercent().Known || none.ServingTokensPerSecond().Known || none.TTFT.Mean.Known || none.TTFT.P50.Value.Known {
		t.Errorf("%+v", none)
	}
	if rate := none.OutputTokensPerSecond(); rate != known(0) {
		t.Errorf("in a minute without a request %+v tokens/s", rate)
	}
	backwards := OfRows(slices.Values([]ingest.Request{row(1)}), after(60), start, sla)
	if backwards.Requests != 0 || backwards.RequestsPerSecond().Known {
		t.Errorf("%+v", backwards)
	}
}

// The time in which anything was served is never more than the sum of the requests' times. What was served before the window
// counts: so do the tokens of the requests that ended in it.
func TestServingSeconds(t *testing.T) {
	for seed := range uint64(300) {
		random := rand.New(rand.NewPCG(seed, 6))
		var all []ingest.Request
		var busy [1200]bool // each tenth of a second, from 20 s before the window
		for range 1 + random.IntN(30) {
			end, took := float64(1+random.IntN(1000))/10, float64(random.IntN(200))/10
			all = append(all, row(end, func(r *ingest.Request) { r.Total = known(took) }))
			for i := math.Round((end - took) * 10); i < math.Round(end*10); i++ {
				busy[int(i)+200] = true
			}
		}
		want := 0.0
		for _, b := range busy {
			if b {
				want += .1
			}
		}
		if got := OfRows(slices.Values(all), start, after(100), sla).ServingSeconds; math.Abs(got-want) > 1e-6 {
			t.Fatalf("load %d: %v s, truly %v", seed, got, want)
		}
	}
}

// A request that began before the window and ended in it was not served faster than it was.
func TestRateJustAfterAStart(t *testing.T) {
	long := row(1, func(r *ingest.Request) { r.Total, r.OutputTokens = known(20), watchdog.Known[int64](400) })
	if got := OfRows(slices.Values([]ingest.Request{long}), start, after(2), sla); got.ServingTokensPerSecond() != known(20) {
		t.Errorf("400 tokens in 20 s are %+v tokens/s", got.ServingTokensPerSecond())
	}
}

// Section 5.3 of the project's first document: the tracker's arithmetic, on the first row of its table in section 5.4 (1000
// requests, 850 of them in time, 50000 tokens, goodput 255 tokens/s, 85 %), beside the truth over wall time.
func TestSeedSection53Goodput(t *testing.T) {
	for _, c := range []struct {
		date                      string
		requests, met             int
		tokens                    int64
		goodput, compliance, rate float64
	}{
		{"2026-01-13", 1000, 850, 50000, 255, 85, 300},
		{"2026-01-12", 950, 800, 48000, 240, 84, 285},
		{"2026-01-11", 1100, 900, 55000, 270, 82, 330},
	} {
		t.Run(c.date, func(t *testing.T) {
			// Its rates come out if the processing times add up to tokens ÷ rate.
			each := float64(c.tokens) / c.rate / float64(c.requests)
			// Ten at a time, for a tenth of the sum.
			wall := each * float64(c.requests) / 10
			var all []ingest.Request
			left := c.tokens
			for i := range c.requests {
				r := row(each*float64(i/10+1), ttft(.5), func(r *ingest.Request) { r.Total = known(each) })
				if i >= c.met {
					r.TTFT = known(2.5)
				}
				n := left / int64(c.requests-i)
				left -= n
				r.OutputTokens = watchdog.Known(n)
				all = append(all, r)
			}
			told := GoodputTracker(slices.Values(all), sla)
			if told.TotalRequests != c.requests || told.SLAMetRequests != c.met || math.Abs(told.ThroughputTPS-c.rate) > 1e-6 ||
				math.Abs(told.GoodputTPS-c.goodput) > 1.5 || math.Abs(told.ComplianceRate-c.compliance) > .5 {
				t.Errorf("the tracker says %+v, its table %+v", told, c)
			}
			truly := OfRows(slices.Values(all), start, after(wall+1e-6), sla)
			if got := truly.OutputTokensPerSecond().Value; math.Abs(got-10*c.rate) > .01 {
				t.Errorf("over wall time %v tokens/s, not ten times %v", got, c.rate)
			}
			if got := truly.GoodTokensPerSecond().Value; math.Abs(got-10*told.GoodputTPS) > .01 {
				t.Errorf("over wall time %v good tokens/s, not ten times %v", got, told.GoodputTPS)
			}
			if got := truly.GoodRequestsPerSecond().Value; math.Abs(got-float64(c.met)/wall) > 1e-3 {
				t.Errorf("goodput is %v requests/s, not %d in %v s", got, c.met, wall)
			}
			if math.Abs(truly.RequestSeconds-float64(c.tokens)/c.rate) > 1e-6 {
				t.Errorf("%v request-seconds, not the tracker's %v", truly.RequestSeconds, float64(c.tokens)/c.rate)
			}
			// The same day as a whole: a pod that idles is not as fast as the tracker says.
			day := OfRows(slices.Values(all), start, after(86400), sla)
			if got := day.OutputTokensPerSecond().Value; math.Abs(got-float64(c.tokens)/86400) > 1e-9 || got > told.ThroughputTPS {
				t.Errorf("over the day %v tokens/s", got)
			}
		})
	}
	if got := GoodputTracker(slices.Values([]ingest.Request{row(1, withoutTTFT)}), sla); got != (Tracked{}) {
		t.Errorf("of nothing it says %+v", got)
	}
}
