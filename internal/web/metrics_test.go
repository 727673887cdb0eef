package web

import (
	"errors"
	"io"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/loop"
)

func TestMetricsGolden(t *testing.T) {
	for name, v := range map[string]*loop.View{"full": fullView(), "held": heldView(), "empty": {}, "before": nil} {
		t.Run(name, func(t *testing.T) {
			s := showing(v)
			s.ObserveTick(0.004)
			r := get(t, s, "/metrics")
			if r.StatusCode != http.StatusOK || !strings.HasPrefix(r.Header.Get("Content-Type"), "text/plain; version=0.0.4") {
				t.Errorf("answered %d as %q", r.StatusCode, r.Header.Get("Content-Type"))
			}
			golden(t, "testdata/metrics_"+name+".txt", body(t, r))
		})
	}
}

func TestMetricsAreClean(t *testing.T) {
	page := body(t, get(t, showing(fullView()), "/metrics"))
	problems, err := promlint.New(strings.NewReader(page)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("promlint: %s: %s", p.Metric, p.Text)
	}
}

// Prometheus itself must be able to read the page, and find in it what was put in.
func TestMetricsParse(t *testing.T) {
	got := parsed(t, showing(fullView()))
	for series, want := range map[string]float64{
		`{__name__="gpu_watchdog_activity", state="quiet"}`:                                         1,
		`{__name__="gpu_watchdog_activity", state="busy"}`:                                          0,
		`{__name__="gpu_watchdog_stop_timestamp_seconds"}`:                                          float64(noon.Unix()) + 20*60 + 30 + 0.25,
		`{__name__="gpu_watchdog_decisions_total", reason="tokens_moved", verdict="hold"}`:          550,
		`{__name__="gpu_watchdog_gpu_utilization_ratio", uuid="GPU-5f0c8b1e-aaaa"}`:                 0.01,
		`{__name__="gpu_watchdog_config_info", policy="breakeven", target="runpod", wake="manual"}`: 1,
		`{__name__="gpu_watchdog_source_up", source="host"}`:                                        0,
	} {
		if value, ok := got[series]; !ok || value != want {
			t.Errorf("%s is %v (there: %v), want %v", series, value, ok, want)
		}
	}
	states := 0.0
	for series, value := range got {
		if strings.HasPrefix(series, `{__name__="gpu_watchdog_activity"`) {
			states += value
		}
	}
	if states != 1 {
		t.Errorf("the activities add up to %v, want 1", states)
	}
}

func parsed(t *testing.T, s *Server) map[string]float64 {
	t.Helper()
	r := get(t, s, "/metrics")
	p, err := textparse.New([]byte(body(t, r)), r.Header.Get("Content-Type"), labels.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if entry != textparse.EntrySeries {
			continue
		}
		var l labels.Labels
		p.Labels(&l)
		_, _, value := p.Series()
		out[l.String()] = value
	}
}

// What is unknown has no series: each case takes one thing from the full view, and the series go that rest on it.
func TestMetricsLeaveOutTheUnknown(t *testing.T) {
	full := parsed(t, showing(fullView()))
	for name, c := range map[string]struct {
		take func(*loop.View)
		gone []string
	}{
		"price": {func(v *loop.View) {
			v.Decision.Quote.PriceUSDPerHour = watchdog.Maybe[float64]{}
			v.Money.SpentTotal, v.Money.IdleTotal = 0, 0
		}, []string{"price_usd_per_hour", "spent_usd_total", "idle_usd_total"}},
		"a price that is no number": {func(v *loop.View) { v.Decision.Quote.PriceUSDPerHour = watchdog.Known(math.NaN()) }, []string{"price_usd_per_hour"}},
		"a GPU without a UUID": {func(v *loop.View) {
			v.Snapshot.GPU.Devices[0].UUID = ""
			v.Counters.Devices = map[string]loop.DeviceTotals{"": {}}
		}, []string{"gpu_busy_seconds_total", "gpu_sample_gaps_total", "gpu_power_watts", "gpu_memory_used_bytes", "gpu_utilization_ratio"}},
		"saving":    {func(v *loop.View) { v.Decision.Quote.NoSaving = true }, []string{"break_even_seconds"}},
		"threshold": {func(v *loop.View) { v.Decision.Threshold = watchdog.Maybe[time.Duration]{} }, []string{"threshold_seconds"}},
		"power":     {func(v *loop.View) { v.Snapshot.GPU.Devices[0].PowerWatts.Known = false }, []string{"gpu_power_watts"}},
		"GPU":       {func(v *loop.View) { v.Snapshot.GPU.Devices[0].State = watchdog.SourceFailed }, []string{"gpu_power_watts", "gpu_memory_used_bytes", "gpu_utilization_ratio"}},
		"utilization": {func(v *loop.View) {
			v.Snapshot.GPU.Devices[0].Samples, v.Snapshot.GPU.Devices[0].Rate = nil, watchdog.Maybe[float64]{}
		}, []string{"gpu_utilization_ratio"}},
		"last success": {func(v *loop.View) { v.Sources = map[string]loop.SourceHealth{"gpu": {}, "vllm": {}, "host": {}} }, []string{"source_last_success_timestamp_seconds"}},
		"cold start":   {func(v *loop.View) { v.Decision.Quote.ColdStart = 0 }, []string{"cold_start_seconds"}},
	} {
		t.Run(name, func(t *testing.T) {
			v := fullView()
			c.take(v)
			left := parsed(t, showing(v))
			want := map[string]bool{}
			for _, n := range c.gone {
				want["gpu_watchdog_"+n] = true
			}
			got := map[string]bool{}
			for series := range full {
				if _, ok := left[series]; !ok {
					got[strings.Split(series, `"`)[1]] = true
				}
			}
			if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
				t.Errorf("families that are gone (-want +got):\n%s", diff)
			}
		})
	}
}

// A second GPU with the same UUID, or a name that is no UTF-8, is a driver's mistake: the rest of the page must not go.
func TestMetricsSurviveAnOddDriver(t *testing.T) {
	v := fullView()
	twin := v.Snapshot.GPU.Devices[0]
	odd := twin
	odd.UUID = "GPU-\xff"
	v.Snapshot.GPU.Devices = append(v.Snapshot.GPU.Devices, twin, odd)
	got := parsed(t, showing(v))
	if got[`{__name__="gpu_watchdog_armed"}`] != 1 || got[`{__name__="gpu_watchdog_gpu_power_watts", uuid="GPU-?"}`] != 71.5 {
		t.Errorf("series are missing beside the odd ones: %v", got)
	}
}

func TestMetricsAreNotCompressed(t *testing.T) {
	s := showing(fullView())
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "127.0.0.1"
	r.Header.Set("Accept-Encoding", "gzip, zstd")
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	if e := w.Result().Header.Get("Content-Encoding"); e != "" {
		t.Errorf("the page is compressed: %s", e)
	}
}

func TestTicksAreCounted(t *testing.T) {
	s := showing(nil)
	for _, seconds := range []float64{0.0005, 0.004, 3} {
		s.ObserveTick(seconds)
	}
	got := parsed(t, s)
	for series, want := range map[string]float64{
		`{__name__="gpu_watchdog_tick_duration_seconds_count"}`:              3,
		`{__name__="gpu_watchdog_tick_duration_seconds_sum"}`:                3.0045,
		`{__name__="gpu_watchdog_tick_duration_seconds_bucket", le="0.001"}`: 1,
		`{__name__="gpu_watchdog_tick_duration_seconds_bucket", le="2.5"}`:   2,
	} {
		if got[series] != want {
			t.Errorf("%s is %v, want %v", series, got[series], want)
		}
	}
}
