package store

import (
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/ingest"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

func TestLabelsJoinTheirRequestWhicheverComesFirst(t *testing.T) {
	c := inFolder(t)
	s := begin(t, c)
	label := func(id string, labels map[string]string) {
		t.Helper()
		if err := s.Add(t.Context(), ingest.Batch{Labels: []ingest.Labels{{ID: id, Labels: labels}}}); err != nil {
			t.Fatal(err)
		}
	}
	label("cmpl-1-0", map[string]string{"restaurant_id": "41", "analysis_type": "sentiment", "team": "a"})
	add(t, s, span(1), span(2), span(3))
	label("cmpl-2-0", map[string]string{"restaurant_id": "r-7"})
	twin := span(2)
	twin.Key = "twin"
	twin.Labels = map[string]string{"analysis_type": "summary"}
	add(t, s, twin)
	label("cmpl-1-0", map[string]string{"restaurant_id": "42"})
	for n := 4; n < 6; n++ { // the two answers of one request, whose client knows neither id
		r := span(n)
		r.Response = "x-request-1"
		add(t, s, r)
	}
	label("x-request-1", map[string]string{"restaurant_id": "-3"})
	label("cmpl-5-0", map[string]string{"restaurant_id": "4"})
	got := ask[string](t, c.Path, `SELECT group_concat(request_id || ':' || coalesce(restaurant_id, '-') || '/' || typeof(restaurant_id) || ':' || coalesce(analysis_type, '-'), ' ' ORDER BY id) FROM vllm_metrics`)
	if want := "cmpl-1-0:42/integer:sentiment cmpl-2-0:r-7/text:summary cmpl-3-0:-/null:- cmpl-2-0:r-7/text:summary cmpl-4-0:-3/integer:- cmpl-5-0:4/integer:-"; got != want {
		t.Errorf("labels:\n%s, want\n%s", got, want)
	}
}

// document reads SQL of the project's first document as it stands there.
func document(t testing.TB, name string) string {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Section 1.3 of the document makes the table and inserts rows into it; what was written for that goes on working.
func TestSection13TableIsThereAndTakesRows(t *testing.T) {
	c := inFolder(t)
	s := begin(t, c)
	add(t, s, span(1))
	db := look(t, c.Path)
	if _, err := db.ExecContext(t.Context(), document(t, "section_1_3.sql")); err != nil {
		t.Fatalf("the document's CREATE TABLE IF NOT EXISTS: %v", err)
	}
	const insert = "INSERT INTO vllm_metrics (request_id, restaurant_id, analysis_type, prefill_time_ms, decode_time_ms, total_time_ms, n_tokens, tpot_ms, tps) VALUES (?,?,?,?,?,?,?,?,?)"
	for _, args := range [][]any{
		{"batch-1", 17, "sentiment", 123.4, 800.25, 923.65, 50, 16.005, 54.1},
		{"batch-1", 17, "sentiment", 123.4, 800.25, 923.65, 50, 16.005, 54.1}, // the table never minded
		{nil, nil, "summary", nil, nil, 1000.0, 7, nil, nil},
	} {
		if _, err := db.ExecContext(t.Context(), insert, args...); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.ExecContext(t.Context(), "INSERT INTO vllm_metrics (request_id, n_tokens, created_at) VALUES ('dated', 1, '2026-01-13 09:30:00')"); err != nil {
		t.Fatal(err)
	}
	got := ask[string](t, c.Path, `SELECT group_concat(concat_ws('|', request_id, restaurant_id, analysis_type, prefill_time_ms, decode_time_ms, total_time_ms, n_tokens, tpot_ms, tps), char(10) ORDER BY id)
  FROM vllm_metrics WHERE id IN (1, 2, 3)`)
	row := "batch-1|17|sentiment|123.4|800.25|923.65|50|16.005|54.1"
	if want := "cmpl-1-0|150.0|900.0|1100.0|10|100.0|9.25\n" + row + "\n" + row; got != want {
		t.Errorf("the table reads\n%s\nwant\n%s", got, want)
	}
	if got := ask[string](t, c.Path, "SELECT request_id || ' ' || analysis_type FROM vllm_metrics WHERE id = 4"); !strings.HasPrefix(got, "sql-") || !strings.HasSuffix(got, " summary") {
		t.Errorf("the row without an id reads %q", got)
	}
	if got := ask[string](t, c.Path, "SELECT created_at FROM vllm_metrics WHERE request_id = 'dated'"); got != "2026-01-13 09:30:00" {
		t.Errorf("created_at %q", got)
	}
	days, err := s.Days(t.Context(), Query{From: time.Now().Add(-time.Hour), To: time.Now().Add(time.Hour), SLATTFT: 2 * time.Second})
	if err != nil || days.Total.Requests != 3 || days.Total.OutputTokens != 107 {
		t.Errorf("the report counts %+v, %v, not the three rows of today", days.Total, err)
	}
}

// Section 5.4 of the document is its dashboard: the query runs as it stands there.
func TestSection54QueryRunsUnchanged(t *testing.T) {
	c := inFolder(t)
	c.Now = time.Now
	s := begin(t, c)
	today := time.Now().UTC()
	type sums struct {
		requests, met, tokens, metTokens int
		tps                              float64
	}
	want := map[string]*sums{}
	for n := range 400 {
		r := span(n)
		r.FinishedAt = today.Add(-time.Duration(n)*40*time.Minute - 20*time.Minute) // eleven days, none on the edge of the seventh
		prefill := float64(n%40) / 10                                               // 0 to 3.9 s; 2.0 itself misses
		r.Prefill, r.OutputTokens = watchdog.Known(prefill), watchdog.Known(int64(n))
		r.TPS = watchdog.Known(float64(n) / 3)
		add(t, s, r)
		if r.FinishedAt.Unix() < today.AddDate(0, 0, -7).Unix() {
			continue
		}
		day := r.FinishedAt.Format(time.DateOnly)
		if want[day] == nil {
			want[day] = &sums{}
		}
		d := want[day]
		d.requests++
		d.tokens += n
		d.tps += float64(n) / 3
		if prefill < 2 {
			d.met++
			d.metTokens += n
		}
	}
	rows, err := look(t, c.Path).QueryContext(t.Context(), document(t, "section_5_4.sql"))
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	last, n := "9999", 0
	for rows.Next() {
		var day string
		var got sums
		var rate float64
		if err := rows.Scan(&day, &got.requests, &got.met, &got.tokens, &got.metTokens, &got.tps, &rate); err != nil {
			t.Fatal(err)
		}
		w := want[day]
		if w == nil || day >= last {
			t.Fatalf("day %s after %s is not expected", day, last)
		}
		last = day
		n++
		if got.requests != w.requests || got.met != w.met || got.tokens != w.tokens || got.metTokens != w.metTokens ||
			math.Abs(got.tps-w.tps/float64(w.requests)) > 1e-9 || math.Abs(rate-100*float64(w.metTokens)/float64(w.tokens)) > 1e-9 {
			t.Errorf("%s: %+v, %v %%, want %+v", day, got, rate, *w)
		}
	}
	if rows.Err() != nil || n != len(want) || n < 7 {
		t.Errorf("%d days, want %d (%v)", n, len(want), rows.Err())
	}
}
