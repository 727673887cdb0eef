package seed

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/ingest"
	"github.com/gpu-watchdog/gpu-watchdog/internal/store"
)

// helpers is where the Python side lies.
const helpers = "../../deploy/python"

// Section 1.2 asks for prefill and decode of what vLLM's offline API served, section 1.3 for a table of them. So: from a
// RequestOutput through the helper, the server and the store into the columns of the table.
//
// The section takes first_token_time for how long the prefill took. It is a moment of the wall clock, and so is finished_time:
// their difference is a duration, they themselves are some fifty years. The test has both, from the same stamps.
func TestSection12SplitsPrefillFromDecode(t *testing.T) {
	file := filepath.Join(t.TempDir(), "telemetry.db")
	// Rows are forgotten after 90 days; these stamps are of November 2023.
	then := func() time.Time { return time.Date(2023, 11, 15, 0, 0, 0, 0, time.UTC) }
	kept := store.Open(store.Config{Path: file, Now: then})
	server := ingest.New(ingest.Config{Listen: "127.0.0.1:0", Sink: kept})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		bounded, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
		defer cancel()
		if err := kept.Close(bounded); err != nil {
			t.Error(err)
		}
	})
	for end := time.Now().Add(10 * time.Second); server.Address() == ""; <-time.After(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the server does not listen")
		}
	}

	// v0 and v1 are stamps of real requests, as the helper's own tests have them.
	said := python(t, fmt.Sprintf(`
import json
from gpu_watchdog_rows import Rows
from test_gpu_watchdog_rows import output, v0, v1
rows = Rows("http://%s")
rows.add([output("v0", v0(), tokens=(11,)), output("v1", v1())], labels={"restaurant_id": 12, "analysis_type": "sentiment"})
assert rows.flush(20) and rows.posted == 2, (rows.posted, rows.dropped)
m = v0()
print(json.dumps([m.first_token_time * 1000, (m.finished_time - m.first_token_time) * 1000, m.finished_time * 1000]))
`, server.Address()))
	var document []float64 // prefill, decode and total in the section's own arithmetic
	if err := json.Unmarshal([]byte(said), &document); err != nil || len(document) != 3 {
		t.Fatalf("%q: %v", said, err)
	}
	if prefill := time.UnixMilli(int64(document[0])).UTC(); prefill.Year() != 2023 {
		t.Errorf("by the arithmetic of the section the prefill took %v ms, which is no moment of 2023", document[0])
	}

	columns, got := table(t, file)
	if want := []string{"id", "request_id", "restaurant_id", "analysis_type", "prefill_time_ms", "decode_time_ms", "total_time_ms", "n_tokens", "tpot_ms", "tps", "created_at"}; !slices.Equal(columns, want) {
		t.Errorf("section 1.3: the table has %v, want %v", columns, want)
	}
	if len(got) != 2 {
		t.Fatalf("%d rows", len(got))
	}
	for i, want := range []measured{
		// V0: scheduled after 250 ms, the first token after 500, the last after 1500, finished after 1750.
		{prefill: 250, decode: 1000, total: 1750, tokens: 11, tpot: 1000. / 10, tps: 11 / 1.75},
		// V1: stamps of the engine's clock, and a TTFT that is a duration.
		{prefill: 40.970015, decode: 261.211932, total: 315.643370, tokens: 40, tpot: 261.211932 / 39, tps: 40 / .3156433704},
	} {
		r := got[i]
		if r.restaurant != 12 || r.analysis != "sentiment" || r.tokens != want.tokens {
			t.Errorf("row %d is %+v", i, r)
		}
		for name, pair := range map[string][2]float64{
			"prefill": {r.prefill, want.prefill}, "decode": {r.decode, want.decode}, "total": {r.total, want.total}, "TPOT": {r.tpot, want.tpot}, "TPS": {r.tps, want.tps},
		} {
			if math.Abs(pair[0]-pair[1]) > 1e-3 {
				t.Errorf("row %d: %s is %v, want %v", i, name, pair[0], pair[1])
			}
		}
	}
	// People ask by the SQLite that they have, which is older than ours, while the watchdog writes. A row of their own, too.
	query, err := os.ReadFile("../../internal/store/testdata/section_5_4.sql")
	if err != nil {
		t.Fatal(err)
	}
	said = python(t, fmt.Sprintf(`
import json, sqlite3
db = sqlite3.connect(%q, timeout=10)
with db:
    db.execute("INSERT INTO vllm_metrics (request_id, restaurant_id, analysis_type, prefill_time_ms, n_tokens, created_at) VALUES ('own', 13, 'summary', 5.5, 7, datetime('now'))")
print(json.dumps([
    db.execute("SELECT request_id = 'own', restaurant_id, analysis_type FROM vllm_metrics ORDER BY id").fetchall(),
    [row[1:] for row in db.execute(%q)],
]))
`, file, query))
	if want := `[[[0, 12, "sentiment"], [0, 12, "sentiment"], [1, 13, "summary"]], [[1, 1, 7, 7, null, 100.0]]]`; said != want {
		t.Errorf("an SQLite of Python's finds\n%s, want\n%s", said, want)
	}
	// What of the section's arithmetic is a duration lacks nothing but the wait between the last token and the end.
	if decode := got[0].decode; document[1] < decode || document[1] > got[0].total {
		t.Errorf("its decode time of %v ms is not between ours, %v, and the whole", document[1], decode)
	}
}

// measured is a row of the table.
type measured struct {
	restaurant                        int
	analysis                          string
	prefill, decode, total, tpot, tps float64
	tokens                            int
}

// table is what people's own SQL finds in the file, while it is being written.
func table(t *testing.T, file string) (columns []string, out []measured) {
	t.Helper()
	db, err := sql.Open("sqlite3", (&url.URL{Scheme: "file", Path: file, RawQuery: "mode=ro"}).String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	rows, err := db.QueryContext(t.Context(), "SELECT * FROM vllm_metrics ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	if columns, err = rows.Columns(); err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var m measured
		var id int
		var request, created string
		if err := rows.Scan(&id, &request, &m.restaurant, &m.analysis, &m.prefill, &m.decode, &m.total, &m.tokens, &m.tpot, &m.tps, &created); err != nil {
			t.Fatal(err)
		}
		out = append(out, m)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return columns, out
}

// python runs a program beside the helpers. CI has a Python; elsewhere one may be missing.
func python(t *testing.T, program string) string {
	t.Helper()
	if _, err := exec.LookPath("python3"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("CI has no python3: install it")
		}
		t.Skip("there is no python3 here")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "python3", "-c", program)
	cmd.Dir, cmd.Env, cmd.WaitDelay = helpers, append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1"), time.Second
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s%s", err, out, said.Bytes())
	}
	return strings.TrimSpace(string(out))
}
