package store

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/ingest"
)

var kills = flag.Int("kills", 10, "how often TestKillLosesNothingAcknowledged kills the writer")

const (
	killPath   = "STORE_KILL_PATH"
	killRound  = "STORE_KILL_ROUND"
	killRemote = "STORE_KILL_REMOTE"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(killPath); path != "" {
		err := writeUntilKilled(path, os.Getenv(killRound), os.Getenv(killRemote) != "")
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// writeUntilKilled adds batches from four senders and prints the keys of each one that was acknowledged.
func writeUntilKilled(path, round string, remote bool) error {
	c := Config{Path: path, Now: standing, pace: swift, remote: remote}
	c.pace.tidy = time.Millisecond
	c.Limits.strip = 64
	s := Open(c)
	var printing sync.Mutex
	var senders sync.WaitGroup
	failed := make(chan error, 4)
	for sender := range 4 {
		senders.Go(func() {
			r := rand.New(rand.NewPCG(rand.Uint64(), 0))
			for n := 0; ; n++ {
				var b ingest.Batch
				var keys []string
				for i := range 1 + r.IntN(20) {
					request := span(i)
					request.Key = fmt.Sprintf("%s-%d-%d-%d", round, sender, n, i)
					request.ID = request.Key
					request.FinishedAt = noon.Add(time.Duration(r.IntN(100)) * time.Hour)
					if r.IntN(4) == 0 {
						request.Source = ingest.FromPost
					}
					b.Requests = append(b.Requests, request, request)
					keys = append(keys, request.Key)
				}
				if err := s.Add(context.Background(), b); err != nil {
					failed <- err
					return
				}
				printing.Lock()
				fmt.Println(strings.Join(keys, " "))
				printing.Unlock()
			}
		})
	}
	return <-failed
}

// However often the writer is killed, and wherever in a commit, in sealing or in a checkpoint: each row that it had acknowledged
// is there, once, it is in the figures, once, and SQLite finds the file whole.
func TestKillLosesNothingAcknowledged(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, remote := range map[string]string{"write-ahead log": "", "rollback journal": "yes"} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "telemetry.db")
			acknowledged := map[string]bool{}
			for round := range (*kills + 1) / 2 {
				for _, key := range killOnce(t, self, path, strconv.Itoa(round), remote) {
					acknowledged[key] = true
				}
				checkAfterKill(t, path, acknowledged)
			}
			if len(acknowledged) == 0 {
				t.Error("nothing was acknowledged before any kill")
			}
			t.Logf("%d rows were acknowledged", len(acknowledged))
		})
	}
}

// killOnce starts a writer, kills it at a random instant after its first acknowledgement, and returns the keys of all.
func killOnce(t *testing.T, self, path, round, remote string) (keys []string) {
	t.Helper()
	writer := exec.CommandContext(t.Context(), self)
	writer.Env = append(os.Environ(), killPath+"="+path, killRound+"="+round, killRemote+"="+remote)
	out, err := writer.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var complaint strings.Builder
	writer.Stderr = &complaint
	if err := writer.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if len(keys) == 0 {
			time.AfterFunc(time.Duration(rand.Int64N(int64(150*time.Millisecond))), func() { _ = writer.Process.Kill() })
		}
		keys = append(keys, strings.Fields(lines.Text())...)
	}
	_ = writer.Wait()
	if len(keys) == 0 || complaint.Len() > 0 {
		t.Fatalf("the writer ended by itself: %s", complaint.String())
	}
	return keys
}

func checkAfterKill(t *testing.T, path string, acknowledged map[string]bool) {
	t.Helper()
	days, err := OpenReader(path, nil).Days(t.Context(), Query{From: noon, To: noon.AddDate(0, 0, 10), SLATTFT: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	db := look(t, path)
	rows, err := db.QueryContext(t.Context(), "SELECT request_id, count(*) FROM requests GROUP BY request_id")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	found, all := 0, int64(0)
	for rows.Next() {
		var key string
		var n int
		if err := rows.Scan(&key, &n); err != nil {
			t.Fatal(err)
		}
		if n != 1 {
			t.Errorf("row %s is there %d times", key, n)
		}
		if acknowledged[key] {
			found++
		}
		all++
	}
	if rows.Err() != nil || found != len(acknowledged) {
		t.Errorf("%d of %d acknowledged rows are there (%v)", found, len(acknowledged), rows.Err())
	}
	if days.Total.Requests != all || days.Total.TTFT.N != all || days.Total.Met != all {
		t.Errorf("the figures count %d requests, %d TTFTs, %d met, of %d rows", days.Total.Requests, days.Total.TTFT.N, days.Total.Met, all)
	}
	if got := ask[string](t, path, "PRAGMA integrity_check"); got != "ok" {
		t.Errorf("integrity: %s", got)
	}
}
