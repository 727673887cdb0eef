package ingest

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestRecorded holds what real servers sent to the rows that it became.
func TestRecorded(t *testing.T) {
	recordings, err := filepath.Glob("testdata/*.spans.pb")
	if err != nil || len(recordings) != 2 {
		t.Fatalf("recordings %v: %v", recordings, err)
	}
	for _, path := range recordings {
		golden := path[:len(path)-len(".spans.pb")] + ".rows.json"
		var all Batch
		m := &message{now: noon.AddDate(1, 0, 0), put: func(b Batch) error {
			all.Requests = append(all.Requests, b.Requests...)
			all.Phases = append(all.Phases, b.Phases...)
			return nil
		}}
		replay(t, path, m)
		if m.rejected+m.passed > 0 {
			t.Errorf("%s: %d rejected, %d passed over: %s", path, m.rejected, m.passed, m.reason)
		}
		got, err := json.MarshalIndent(all, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, '\n')
		if *update {
			if err := os.WriteFile(golden, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", golden, diff)
		}
	}
}
