package web

import (
	"encoding/json"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

func TestStatusGolden(t *testing.T) {
	for name, v := range views() {
		t.Run(name, func(t *testing.T) {
			r := get(t, showing(v), "/status")
			if r.StatusCode != http.StatusOK || r.Header.Get("Content-Type") != "application/json" {
				t.Errorf("answered %d as %q", r.StatusCode, r.Header.Get("Content-Type"))
			}
			golden(t, "testdata/status_"+name+".json", body(t, r))
		})
	}
}

// The names and the nesting of the document, written down a second time by hand: others read them.
const promised = `
activity activity_since armed break_even_seconds caps config draining dry_run holds idle_seconds last_stop money name now persistent policy
postponed_until reason reasons reverted_until schema server_log serving sources start_id stop_at target threshold_seconds verdict version wake warnings
caps: max_runtime_seconds max_spend_per_day_usd run_seconds
holds: by until why
last_stop: detail grade next_request_at proof requested_at result target
money: cold_start_samples cold_start_seconds idle_today_usd price_source price_usd_per_hour saved_usd spent_today_usd usd_per_million_tokens_24h
money.saved_usd: fixed_10m never_stop
reasons: code detail since
serving: goodput_requests_per_second goodput_requests_per_second_high goodput_requests_per_second_low output_tokens_per_second requests serving_tokens_per_second sla_percent sla_percent_high sla_percent_low sla_rate_met sla_tokens_per_second sla_ttft_seconds source ttft_seconds window_seconds
serving.ttft_seconds: p50 p95 p95_high p95_low
sources: gpu host sockets vllm
sources.gpu: floor_percent name percent_max state uuid
sources.host: cpu_cores state terminals
sources.sockets: last_bytes_seconds_ago last_peer ports state
sources.vllm: last_success state url version
target: action detail id kind permission`

func TestStatusHasEveryField(t *testing.T) {
	want := strings.Fields(promised)
	for name, v := range views() {
		var document map[string]any
		if err := json.Unmarshal([]byte(body(t, get(t, showing(v), "/status"))), &document); err != nil {
			t.Fatal(err)
		}
		got := map[string][]string{}
		walk(got, "", document)
		if name != "held" {
			// Only top-level objects can be counted on where there is nothing to list.
			if fields := got[""]; !slices.Equal(fields, want[:len(fields)]) || len(fields) != 32 {
				t.Errorf("%s: fields %v", name, fields)
			}
			continue
		}
		var all []string
		for _, path := range slices.Sorted(maps.Keys(got)) {
			if path != "" {
				all = append(all, path+":")
			}
			all = append(all, got[path]...)
		}
		if !slices.Equal(all, want) {
			t.Errorf("%s: the fields are\n%v\nand should be\n%v", name, all, want)
		}
	}
}

// walk notes the fields of every object below value, by its path.
func walk(into map[string][]string, path string, value any) {
	switch v := value.(type) {
	case map[string]any:
		into[path] = slices.Sorted(maps.Keys(v))
		for name, below := range v {
			walk(into, strings.TrimPrefix(path+"."+name, "."), below)
		}
	case []any:
		for _, below := range v {
			walk(into, path, below)
		}
	}
}

func TestStatusSurvivesWhatJSONCannotSay(t *testing.T) {
	v := fullView()
	v.Decision.Quote.PriceUSDPerHour = watchdog.Known(math.NaN())
	v.Money.SpentToday = watchdog.Known(math.Inf(1))
	v.Decision.CPUCores = watchdog.Known(math.NaN())
	v.Snapshot.GPU.Devices[0].Name = "\xff\xfe"
	r := get(t, showing(v), "/status")
	got := body(t, r)
	if r.StatusCode != http.StatusOK || !strings.Contains(got, `"price_usd_per_hour": null`) || !strings.Contains(got, `"spent_today_usd": null`) {
		t.Errorf("answered %d:\n%s", r.StatusCode, got)
	}
}

func TestNoSecretComesOut(t *testing.T) {
	s := showing(fullView())
	for _, path := range []string{"/", "/status", "/metrics", "/healthz", "/readyz", "/armedz", "/nothing"} {
		r := get(t, s, path)
		if text := body(t, r); strings.Contains(text, planted) || len(text) == 0 {
			t.Errorf("%s shows the secret, or nothing", path)
		}
		for name, values := range r.Header {
			if strings.Contains(strings.Join(values, " "), planted) {
				t.Errorf("%s shows the secret in %s", path, name)
			}
		}
	}
	if !strings.Contains(body(t, get(t, s, "/status")), `"url": "http://127.0.0.1:8000/"`) {
		t.Error("the URL is gone with its secret")
	}
}

func TestStuckWatchdogSaysSo(t *testing.T) {
	s := showing(fullView())
	s.now = func() time.Time { return noon.Add(time.Minute) }
	if got := body(t, get(t, s, "/status")); !strings.Contains(got, "the last decision is 1m0s old") {
		t.Errorf("a stale view carries no warning:\n%s", got)
	}
}
