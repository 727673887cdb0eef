package report_test

import (
	"database/sql"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/ingest"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// documentDay is a line of the document's example.
type documentDay struct {
	date                  string
	requests, met, tokens int64
	goodput               float64
}

var documentDays = []documentDay{
	{"2026-01-13", 1000, 850, 50000, 255},
	{"2026-01-12", 950, 800, 48000, 240},
	{"2026-01-11", 1100, 900, 55000, 270},
}

// documentWeek serves what the document's example has. The tokens are spread evenly, and each day is watched for as long as
// its goodput tells.
func documentWeek(t *testing.T) *telemetry {
	p := newTelemetry(t, time.Date(2026, 1, 14, 9, 0, 0, 0, time.UTC))
	for i := len(documentDays) - 1; i >= 0; i-- {
		d := documentDays[i]
		noon, err := time.Parse(time.DateOnly, d.date)
		if err != nil {
			t.Fatal(err)
		}
		noon = noon.Add(12 * time.Hour)
		until := func(n int64) int64 { return n * d.tokens / d.requests }
		for n := range d.requests {
			ttft := 0.5
			if n >= d.met {
				ttft = 2 // not less than two seconds
			}
			tokens := until(n+1) - until(n)
			p.row(ingest.Request{
				FinishedAt: noon.Add(time.Duration(n) * 100 * time.Millisecond), Prefill: watchdog.Known(ttft), TTFT: watchdog.Known(ttft), Decode: watchdog.Known(1.0),
				Total: watchdog.Known(ttft + 1), TPS: watchdog.Known(float64(tokens) / (ttft + 1)), OutputTokens: watchdog.Known(tokens), PromptTokens: watchdog.Known(int64(100)),
			})
		}
		seconds := float64(until(d.met)) / d.goodput
		p.look(look{end: noon.Add(5 * time.Minute), elapsed: time.Duration(seconds * 1e9), activity: watchdog.Busy, generated: -1, usdPerHour: 1.5})
	}
	return p
}

// The document's daily table (section 5.4) comes out with its own numbers.
func TestSeedSection5_4DailyTable(t *testing.T) {
	r, _ := documentWeek(t).report(between(t, "2026-01-08", "2026-01-14"))
	var out strings.Builder
	if err := r.Table(&out); err != nil {
		t.Fatal(err)
	}
	want := `
Requests and the SLA
Date        Total Requests  SLA Met  Total Tokens  Goodput TPS  SLA Compliance
2026-01-13           1,000      850        50,000          255           85.0%
2026-01-12             950      800        48,000          240           84.2%
2026-01-11           1,100      900        55,000          270           81.8%
Total                3,050    2,550       153,000          255           83.6%
`
	if !strings.Contains(out.String(), want) {
		t.Errorf("the report reads\n%s\nwithout\n%s", out.String(), want)
	}
	for _, line := range strings.Split(out.String(), "\n") {
		if n := len([]rune(line)); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
}

// The document's own query (section 5.4) gives the same figures of the same file. It is asked of these days, not of the last
// seven before today.
func TestSeedSection5_4QueryAgrees(t *testing.T) {
	p := documentWeek(t)
	r, _ := p.report(between(t, "2026-01-08", "2026-01-14"))
	text, err := os.ReadFile("../store/testdata/section_5_4.sql")
	if err != nil {
		t.Fatal(err)
	}
	const since = "datetime('now', '-7 days')"
	if !strings.Contains(string(text), since) {
		t.Fatalf("the query no longer asks for %s", since)
	}
	db, err := sql.Open("sqlite3", "file:"+p.path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), strings.Replace(string(text), since, "'2026-01-08'", 1))
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for ; rows.Next(); n++ {
		var date string
		var requests, met, tokens, metTokens int64
		var tps, compliance float64
		if err := rows.Scan(&date, &requests, &met, &tokens, &metTokens, &tps, &compliance); err != nil {
			t.Fatal(err)
		}
		if n >= len(r.Days) {
			t.Fatalf("the query finds %s, too", date)
		}
		f := r.Days[n]
		got := fmt.Sprint(f.Date.Format(time.DateOnly), f.Requests.Value, f.Met.Value, f.Tokens.Value, f.MetTokens.Value)
		if want := fmt.Sprint(date, requests, met, tokens, metTokens); got != want {
			t.Errorf("the report has %s, the query %s", got, want)
		}
		if math.Abs(f.AverageTPS.Value-tps) > 1e-9*tps || math.Abs(f.Compliance.Value-compliance) > 1e-9*compliance {
			t.Errorf("%s: average %v, compliance %v; the query has %v and %v", date, f.AverageTPS, f.Compliance, tps, compliance)
		}
	}
	if err := rows.Err(); err != nil || n != len(documentDays) {
		t.Errorf("the query has %d days: %v", n, err)
	}
}

// Section 5.3 divides by the sum of processing times, which overlap. The report divides by the time watched, and has that
// sum under its own name.
func TestSeedSection5_3RequestSecondsAreNoWallTime(t *testing.T) {
	r, _ := documentWeek(t).report(between(t, "2026-01-13", "2026-01-13"))
	f := r.Days[0]
	if want := 850*1.5 + 150*3.0; math.Abs(f.RequestSeconds.Value-want) > 1e-6 {
		t.Errorf("request seconds %v, want %v", f.RequestSeconds, want)
	}
	watched := f.Watched.Seconds()
	for name, c := range map[string]struct{ got, want float64 }{
		"throughput": {f.ThroughputTPS.Value, 50000 / watched}, "goodput": {f.GoodputTPS.Value, 42500 / watched}, "goodput of requests": {f.GoodputRPS.Value, 850 / watched},
	} {
		if math.Abs(c.got-c.want) > 1e-9*c.want {
			t.Errorf("%s is %v, want %v", name, c.got, c.want)
		}
	}
	if wrong := 42500 / f.RequestSeconds.Value; f.GoodputTPS.Value < 5*wrong {
		t.Errorf("goodput is %v, which is near the tracker's %v", f.GoodputTPS.Value, wrong)
	}
}
