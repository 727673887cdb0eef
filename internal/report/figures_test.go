package report_test

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/ingest"
	"github.com/gpu-watchdog/gpu-watchdog/internal/report"
	"github.com/gpu-watchdog/gpu-watchdog/internal/store"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// oddDays is a week in which each day lacks something else; 2026-03-07 lacks everything.
func oddDays(t *testing.T) *telemetry {
	p := newTelemetry(t, time.Date(2026, 3, 9, 12, 0, 0, 0, time.UTC))
	at := func(day, hour int) time.Time { return time.Date(2026, 3, day, hour, 0, 0, 0, time.UTC) }
	known, whole := watchdog.Known[float64], watchdog.Known[int64]
	full := ingest.Request{TTFT: known(.1), TPOT: known(.01), TPS: known(50), Total: known(2), PromptTokens: whole(900), OutputTokens: whole(100)}
	row := func(day int, change func(*ingest.Request)) {
		r := full
		r.FinishedAt = at(day, 11)
		change(&r)
		p.row(r)
	}
	as := func(*ingest.Request) {}

	// 2: nobody could be asked what went on.
	p.look(look{end: at(2, 10), elapsed: 10 * time.Minute, activity: watchdog.Unknown, generated: -1, usdPerHour: 2})
	// 3: quiet, and 20 h of it.
	p.look(look{end: at(3, 20), elapsed: 20 * time.Hour, activity: watchdog.Quiet, usdPerHour: 2})
	// 4: the servers counted 10,000 tokens, 3,000 of them output, and no row came.
	p.look(look{end: at(4, 10), elapsed: time.Hour, activity: watchdog.Busy, usdPerHour: 2})
	p.look(look{end: at(4, 11), elapsed: time.Hour, activity: watchdog.Busy, generated: 3000, prompts: 7000, usdPerHour: 2})
	// 5: a tenth of the requests sent spans: rows tell of 1,000 tokens of 10,000.
	p.look(look{end: at(5, 12), elapsed: time.Hour, activity: watchdog.Busy, generated: 1000, prompts: 9000, usdPerHour: 2})
	row(5, as)
	// 6: posted without a TTFT, and no server was read.
	p.look(look{end: at(6, 12), elapsed: time.Hour, activity: watchdog.Busy, generated: -1, usdPerHour: 2})
	row(6, func(r *ingest.Request) { r.Source, r.TTFT = ingest.FromPost, watchdog.Maybe[float64]{} })
	// 8: a span and two posted rows, one of them aborted, dated to a day on which nobody watched.
	row(8, as)
	row(8, func(r *ingest.Request) { r.Source, r.TTFT = ingest.FromPost, known(3) })
	row(8, func(r *ingest.Request) {
		*r = ingest.Request{Source: ingest.FromPost, Aborted: true, FinishedAt: at(8, 12)}
	})
	// 9: today, and no price.
	p.look(look{end: at(9, 11), elapsed: 1000 * time.Second, activity: watchdog.Busy, generated: -1})
	row(9, as)
	return p
}

// figure is one number of a day's line of the CSV, "" where it is unknown.
type figure struct{ date, column, want string }

func TestUnknownIsNeverZero(t *testing.T) {
	r, _ := oddDays(t).report(between(t, "2026-03-02", "2026-03-10"))
	var out strings.Builder
	if err := r.CSV(&out); err != nil {
		t.Fatal(err)
	}
	records, err := csv.NewReader(strings.NewReader(out.String())).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]map[string]string{}
	var dates []string
	for _, record := range records[1:] {
		line := map[string]string{}
		for i, name := range records[0] {
			line[name] = record[i]
		}
		got[line["date"]] = line
		dates = append(dates, line["date"])
	}
	if want := []string{"2026-03-09", "2026-03-08", "2026-03-06", "2026-03-05", "2026-03-04", "2026-03-03", "2026-03-02", "total"}; !slices.Equal(dates, want) {
		t.Fatalf("lines for %v, want %v", dates, want)
	}
	for _, f := range []figure{
		// Watched, and nothing seen: that is not 0.
		{"2026-03-02", "total_requests", ""}, {"2026-03-02", "goodput_rps", ""}, {"2026-03-02", "throughput_tps", ""}, {"2026-03-02", "watched_seconds", "600"},
		{"2026-03-02", "idle_percent", "0"}, {"2026-03-02", "total_tokens", ""}, {"2026-03-02", "source", ""},
		// Watched and nothing asked: that is 0, and no share of anything.
		{"2026-03-03", "total_requests", "0"}, {"2026-03-03", "goodput_rps", "0"}, {"2026-03-03", "throughput_tps", "0"}, {"2026-03-03", "sla_compliance_rate", ""},
		{"2026-03-03", "sla_percent", ""}, {"2026-03-03", "ttft_p95_ms", ""}, {"2026-03-03", "avg_tps", ""}, {"2026-03-03", "spent_usd", "40"},
		{"2026-03-03", "idle_usd", "40"}, {"2026-03-03", "idle_percent", "100"}, {"2026-03-03", "usd_per_million_tokens", ""}, {"2026-03-03", "source", ""},
		// Only the servers' counters know anything.
		{"2026-03-04", "total_requests", ""}, {"2026-03-04", "sla_met_requests", ""}, {"2026-03-04", "goodput_tps", ""}, {"2026-03-04", "total_tokens", "3000"},
		{"2026-03-04", "throughput_tps", fmt.Sprint(3000. / 7200)}, {"2026-03-04", "usd_per_million_tokens", fmt.Sprint(1e6 * 4. / 3000)},
		{"2026-03-04", "idle_percent", "0"}, {"2026-03-04", "request_seconds", ""}, {"2026-03-04", "source", "counters"},
		// Rows of a tenth.
		{"2026-03-05", "total_requests", "1"}, {"2026-03-05", "row_coverage", "0.1"}, {"2026-03-05", "source", "spans"}, {"2026-03-05", "sla_percent", "100"},
		// Nobody knows when the first token came.
		{"2026-03-06", "total_requests", "1"}, {"2026-03-06", "sla_met_requests", ""}, {"2026-03-06", "sla_undecided_requests", "1"}, {"2026-03-06", "sla_met_tokens", ""},
		{"2026-03-06", "goodput_rps", ""}, {"2026-03-06", "sla_compliance_rate", ""}, {"2026-03-06", "throughput_tps", fmt.Sprint(100. / 3600)},
		{"2026-03-06", "source", "rows"}, {"2026-03-06", "row_coverage", ""},
		// Nobody watched: counts, and no rates.
		{"2026-03-08", "total_requests", "3"}, {"2026-03-08", "aborted_requests", "1"}, {"2026-03-08", "sla_percent", "50"}, {"2026-03-08", "sla_compliance_rate", "50"},
		{"2026-03-08", "throughput_tps", ""}, {"2026-03-08", "goodput_rps", ""}, {"2026-03-08", "spent_usd", ""}, {"2026-03-08", "idle_percent", ""},
		{"2026-03-08", "watched_seconds", "0"}, {"2026-03-08", "ttft_p50_ms", "1550"}, {"2026-03-08", "source", "spans+rows"}, {"2026-03-08", "request_seconds", "4"},
		// No price.
		{"2026-03-09", "open", "true"}, {"2026-03-09", "spent_usd", ""}, {"2026-03-09", "usd_per_million_tokens", ""}, {"2026-03-09", "goodput_rps", "0.001"},
		// All together: a rate over the time of those days that have it, money over the tokens that it bought.
		{"total", "total_requests", "6"}, {"total", "sla_met_requests", "3"}, {"total", "total_tokens", "3500"}, {"total", "open", "true"},
		{"total", "goodput_rps", fmt.Sprint(2 / (72000 + 3600 + 1000.))}, {"total", "throughput_tps", fmt.Sprint((3000 + 100 + 100 + 100) / (72000 + 7200 + 3600 + 3600 + 1000.))},
		{"total", "spent_usd", fmt.Sprint(48 + 1./3)}, {"total", "usd_per_million_tokens", fmt.Sprint(1e6 * 48 / 3200.)}, {"total", "sla_percent", "75"},
		{"total", "watched_seconds", "88000"}, {"total", "source", "spans+rows+counters"},
	} {
		line, ok := got[f.date][f.column]
		if !ok {
			t.Errorf("there is no column %s", f.column)
			continue
		}
		if line == f.want {
			continue
		}
		var a, b float64
		if _, err := fmt.Sscan(line, &a); err == nil && f.want != "" {
			if _, err := fmt.Sscan(f.want, &b); err == nil && math.Abs(a-b) <= 1e-9*math.Abs(b) {
				continue
			}
		}
		t.Errorf("%s: %s is %q, want %q", f.date, f.column, line, f.want)
	}
}

func TestNotesSayWhereToBeCareful(t *testing.T) {
	r, _ := oddDays(t).report(between(t, "2026-03-02", "2026-03-10"))
	var out strings.Builder
	if err := r.Table(&out); err != nil {
		t.Fatal(err)
	}
	golden(t, "odd_days.txt", out.String())
	quiet, _ := documentWeek(t).report(between(t, "2026-01-11", "2026-01-13"))
	out.Reset()
	if err := quiet.Table(&out); err != nil {
		t.Fatal(err)
	}
	for _, never := range []string{"On 2026", "Nothing was recorded", "undecided", "*", "WATCHDOG_PRICE"} {
		if strings.Contains(out.String(), never) {
			t.Errorf("three whole days, and yet the notes say %q:\n%s", never, out.String())
		}
	}
}

// The JSON has the names that programs were promised, and null for what is not known.
func TestJSON(t *testing.T) {
	r, _ := oddDays(t).report(between(t, "2026-03-02", "2026-03-10"))
	var out strings.Builder
	if err := r.JSON(&out); err != nil {
		t.Fatal(err)
	}
	golden(t, "odd_days.json", out.String())
	var d struct {
		Days  []map[string]any
		Total map[string]any
	}
	if err := json.Unmarshal([]byte(out.String()), &d); err != nil {
		t.Fatal(err)
	}
	promised := []string{
		"total_requests", "sla_met_requests", "total_tokens", "sla_met_tokens", "avg_tps", "sla_compliance_rate", "throughput_tps", "goodput_tps",
		"goodput_rps", "ttft_ms", "tpot_ms", "spent_usd", "idle_usd", "usd_per_million_tokens", "source", "request_seconds",
	}
	for _, name := range promised {
		if _, ok := d.Total[name]; !ok {
			t.Errorf("the total has no %s", name)
		}
	}
	for _, line := range d.Days {
		for _, name := range append(promised, "date") {
			if _, ok := line[name]; !ok {
				t.Errorf("%v has no %s", line["date"], name)
			}
		}
		for _, name := range []string{"ttft_ms", "tpot_ms"} {
			for _, part := range []string{"mean", "p50", "p95", "p99"} {
				if _, ok := line[name].(map[string]any)[part]; !ok {
					t.Errorf("%v: %s has no %s", line["date"], name, part)
				}
			}
		}
	}
}

func TestAnEmptyReportSaysSo(t *testing.T) {
	r, reader := oddDays(t).report(between(t, "2025-01-01", "2025-01-07"))
	for name, write := range map[string]func() (string, error){
		"table": func() (string, error) { var b strings.Builder; err := r.Table(&b); return b.String(), err },
		"page": func() (string, error) {
			var b strings.Builder
			err := r.Page(t.Context(), reader, &b)
			return b.String(), err
		},
	} {
		got, err := write()
		if got = strings.Join(strings.Fields(got), " "); err != nil || !strings.Contains(got, "Nothing was recorded for 2025-01-01 to 2025-01-07") {
			t.Errorf("%s: %v, %s", name, err, got)
		}
	}
	var b strings.Builder
	if err := r.JSON(&b); err != nil || !strings.Contains(b.String(), `"days": []`) || !strings.Contains(b.String(), `"total_requests": null`) {
		t.Errorf("%v: %s", err, b.String())
	}
	b.Reset()
	if err := r.CSV(&b); err != nil || strings.Count(b.String(), "\n") != 1 {
		t.Errorf("%v: %s", err, b.String())
	}
}

// broken fails after so many questions.
type broken struct {
	report.Reader
	after int
}

var errBroken = errors.New("the disk is gone")

func (b *broken) Days(ctx context.Context, q store.Query) (store.Days, error) {
	if b.after--; b.after < 0 {
		return store.Days{}, errBroken
	}
	return b.Reader.Days(ctx, q)
}

func (b *broken) Series(ctx context.Context, q store.Query, step time.Duration) ([]store.Point, error) {
	if b.after--; b.after < 0 {
		return nil, errBroken
	}
	return b.Reader.Series(ctx, q, step)
}

func TestWhatCannotBeReadIsAnError(t *testing.T) {
	r, reader := oddDays(t).report(between(t, "2026-03-02", "2026-03-10"))
	for n := range 2 { // the days; the counters of the day that has only these
		if _, err := report.Build(t.Context(), &broken{reader, n}, r.Question); !errors.Is(err, errBroken) {
			t.Errorf("after %d questions: %v", n, err)
		}
	}
	if err := r.Page(t.Context(), &broken{reader, 0}, &strings.Builder{}); !errors.Is(err, errBroken) {
		t.Errorf("the page: %v", err)
	}
	if _, err := report.Build(t.Context(), store.OpenReader(t.TempDir()+"/none.db", nil), r.Question); err == nil {
		t.Error("a file that is not there was read")
	}
}
