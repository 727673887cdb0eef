package store

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/ingest"
	"github.com/gpu-watchdog/gpu-watchdog/test/eventually"
)

// refused sends rows and expects them back, with a warning that names each of the given words.
func refused(t *testing.T, s *Store, requests []ingest.Request, words ...string) {
	t.Helper()
	if err := s.Add(t.Context(), ingest.Batch{Requests: requests}); !errors.Is(err, ErrNoDisk) {
		t.Fatalf("a store without a disk answered %v, not ErrNoDisk", err)
	}
	for _, word := range words {
		if !strings.Contains(s.Warning(), word) {
			t.Errorf("warning %q lacks %q", s.Warning(), word)
		}
	}
}

// heals waits until the store writes again, and checks that exactly the given rows are in the file.
func heals(t *testing.T, s *Store, rows int) {
	t.Helper()
	eventually.Holds(t, "the store to find its disk again", func() bool {
		got := s.Stats()
		return !got.Degraded && got.InMemory == 0
	})
	if s.Warning() != "" {
		t.Errorf("it is well, and warns: %s", s.Warning())
	}
	if n := ask[int](t, s.Path, "SELECT count(*) FROM requests"); n != rows {
		t.Errorf("%d rows in the file, want %d", n, rows)
	}
}

func TestFolderThatCannotBe(t *testing.T) {
	c := inFolder(t)
	folder := filepath.Dir(c.Path)
	if err := os.WriteFile(folder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := begin(t, c)
	refused(t, s, spans(0, 5), folder, "held in memory", "WATCHDOG_DIR")
	refused(t, s, spans(3, 8)) // as senders do: three of them again
	s.Record(view(1, quietly))
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	heals(t, s, 8)
	add(t, s, span(4), span(9))
	if got := s.Stats(); got.Rows != 9 || got.Duplicates != 1 || got.Dropped != 0 {
		t.Errorf("stats %+v, want 9 rows and the one that was sent again after all", got)
	}
	if n := ask[int](t, c.Path, "SELECT count(*) FROM decisions"); n != 1 {
		t.Errorf("%d decisions, want the one that was held in memory", n)
	}
}

func TestMemoryIsBoundedAndCountsWhatItDrops(t *testing.T) {
	c := inFolder(t)
	c.Limits.MemoryRows = 100
	folder := filepath.Dir(c.Path)
	if err := os.WriteFile(folder, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := begin(t, c)
	refused(t, s, spans(0, 60))
	refused(t, s, spans(60, 130))
	for tick := range 150 {
		s.Record(view(uint64(tick+1), []func(*scene){quietly, busily}[tick%2]))
	}
	if err := os.Remove(folder); err != nil {
		t.Fatal(err)
	}
	heals(t, s, 100)
	if n := ask[int](t, c.Path, "SELECT min(CAST(substr(request_id, 6) AS INTEGER)) FROM requests"); n != 30 {
		t.Errorf("the oldest row is %d, want 30: the newest stay", n)
	}
	if n := ask[int](t, c.Path, "SELECT max(last_tick) FROM decisions"); n != 150 {
		t.Errorf("the last decision in the file is of tick %d, not 150", n)
	}
	decisions := ask[int](t, c.Path, "SELECT count(*) FROM decisions")
	if got := s.Stats().Dropped; decisions >= 100 || got < uint64(30+150-decisions) {
		t.Errorf("%d dropped, with %d decisions of 150 in the file", got, decisions)
	}
}

func TestNoPlaceAtAll(t *testing.T) {
	s := begin(t, Config{Now: standing})
	refused(t, s, spans(0, 1), "held in memory only", "WATCHDOG_DIR")
	s.Record(view(1, quietly))
	end(t, s)
}

// tmpfs mounts a small file system, or skips the test.
func tmpfs(t *testing.T, size string) string {
	t.Helper()
	folder := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size="+size, "telemetry", folder).CombinedOutput(); err != nil {
		t.Skipf("only where a file system can be mounted: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "--lazy", folder).CombinedOutput(); err != nil {
			t.Errorf("umount: %v: %s", err, out)
		}
	})
	return folder
}

func TestFullDisk(t *testing.T) {
	for name, remote := range map[string]bool{"write-ahead log": false, "rollback journal": true} {
		t.Run(name, func(t *testing.T) {
			c := inFolder(t)
			folder := tmpfs(t, "1m")
			c.Path, c.remote = folder+"/telemetry.db", remote
			s := begin(t, c)
			add(t, s, spans(0, 100)...)
			ballast := folder + "/ballast"
			if err := os.WriteFile(ballast, make([]byte, 1<<20), 0o600); err == nil {
				t.Fatal("a file of 1 MiB fits beside the database")
			}
			acknowledged, n := 100, 100
			for ; n < 3000; n += 100 {
				err := s.Add(t.Context(), ingest.Batch{Requests: spans(n, n+100)})
				if errors.Is(err, ErrNoDisk) {
					break
				} else if err != nil {
					t.Fatal(err)
				}
				acknowledged = n + 100
			}
			if n >= 3000 {
				t.Fatal("a full disk took 3000 rows")
			}
			refused(t, s, spans(n, n+100), "full", "free space")
			if got := ask[int](t, c.Path, "SELECT count(*) FROM requests"); got != acknowledged {
				t.Errorf("%d rows can be read from the full disk, and %d were acknowledged", got, acknowledged)
			}
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
			heals(t, s, n+100)
			add(t, s, span(5000))
		})
	}
}

func TestReadOnlyDisk(t *testing.T) {
	c := inFolder(t)
	folder := tmpfs(t, "8m")
	c.Path = folder + "/telemetry.db"
	end(t, begin(t, c))
	remount := func(how string) {
		t.Helper()
		if out, err := exec.CommandContext(t.Context(), "mount", "-o", "remount,"+how, folder).CombinedOutput(); err != nil {
			t.Fatalf("remount %s: %v: %s", how, err, out)
		}
	}
	remount("ro")
	s := begin(t, c)
	refused(t, s, spans(0, 5), "held in memory")
	if _, err := s.Days(t.Context(), Query{From: noon.Add(-time.Hour), To: noon, SLATTFT: 2 * time.Second}); err != nil {
		t.Errorf("what is in the file can still be read: %v", err)
	}
	remount("rw")
	heals(t, s, 5)
}

func TestDamagedFileIsSetAside(t *testing.T) {
	whole := func(t *testing.T, c Config) []byte {
		t.Helper()
		s := begin(t, c)
		for n := range 20 {
			add(t, s, spans(100*n, 100*n+100)...)
		}
		end(t, s)
		b, err := os.ReadFile(c.Path)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for name, damage := range map[string]func([]byte) []byte{
		"no database":       func([]byte) []byte { return bytes.Repeat([]byte("telemetry "), 1000) },
		"half of it":        func(b []byte) []byte { return b[:len(b)/2] },
		"a page of zeros":   func(b []byte) []byte { clear(b[40960:45056]); return b },
		"a broken header":   func(b []byte) []byte { copy(b[16:], "\xff\xff\xff\xff"); return b },
		"pages of nonsense": func(b []byte) []byte { copy(b[8192:], bytes.Repeat([]byte{0xa5}, 65536)); return b },
	} {
		t.Run(name, func(t *testing.T) {
			c := inFolder(t)
			broken := damage(whole(t, c))
			if err := os.WriteFile(c.Path, broken, 0o600); err != nil {
				t.Fatal(err)
			}
			s := begin(t, c)
			add(t, s, span(1))
			if n := ask[int](t, c.Path, "SELECT count(*) FROM requests"); n != 1 {
				t.Errorf("%d rows in the new file, want 1", n)
			}
			aside, err := filepath.Glob(c.Path + ".damaged-*")
			if err != nil || len(aside) != 1 {
				t.Fatalf("set aside: %v, %v", aside, err)
			}
			if kept, err := os.ReadFile(aside[0]); err != nil || !bytes.Equal(kept, broken) {
				t.Errorf("what was set aside is not what was there: %d bytes of %d, %v", len(kept), len(broken), err)
			}
			if !strings.Contains(s.Warning(), aside[0]) {
				t.Errorf("warning %q does not name %s", s.Warning(), aside[0])
			}
		})
	}
}

func TestFileDamagedWhileOpenIsSetAside(t *testing.T) {
	c := inFolder(t)
	c.remote = true // the pages are read from the file itself
	s := begin(t, c)
	for n := range 30 {
		add(t, s, spans(100*n, 100*n+100)...)
	}
	b, err := os.ReadFile(c.Path)
	if err != nil {
		t.Fatal(err)
	}
	for at := 4096; at < len(b); at += 4096 {
		copy(b[at:], bytes.Repeat([]byte{0xff}, 64))
	}
	// Changed behind SQLite's back, the pages in its cache would go on being used; the change counter makes it read again.
	copy(b[24:], "\xff\xff\xff\xff")
	if err := os.WriteFile(c.Path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, s, spans(5000, 5001))
	eventually.Holds(t, "a new file", func() bool { return !s.Stats().Degraded && s.Stats().InMemory == 0 })
	add(t, s, span(6000))
	if n := ask[int](t, c.Path, "SELECT count(*) FROM requests"); n != 2 {
		t.Errorf("%d rows in the new file, want the one in memory and the one after", n)
	}
	if aside, _ := filepath.Glob(c.Path + ".damaged-*"); len(aside) == 0 {
		t.Error("nothing was set aside")
	}
}

func TestFilesOfOthersAreLeftAlone(t *testing.T) {
	for name, made := range map[string]struct{ sql, words string }{
		"a newer version's": {"CREATE TABLE later (x); PRAGMA application_id = 1735423844; PRAGMA user_version = 99", "newer version"},
		"somebody else's":   {"CREATE TABLE songs (x)", "something else"},
	} {
		t.Run(name, func(t *testing.T) {
			c := inFolder(t)
			if err := os.MkdirAll(filepath.Dir(c.Path), 0o700); err != nil {
				t.Fatal(err)
			}
			db := look(t, c.Path)
			if _, err := db.ExecContext(t.Context(), made.sql); err != nil {
				t.Fatal(err)
			}
			db.Close()
			before, err := os.ReadFile(c.Path)
			if err != nil {
				t.Fatal(err)
			}
			s := begin(t, c)
			refused(t, s, spans(0, 3), made.words, "move the file away")
			if after, err := os.ReadFile(c.Path); err != nil || !bytes.Equal(before, after) {
				t.Errorf("the file was changed (%v)", err)
			}
			if others, _ := filepath.Glob(c.Path + ".*"); len(others) != 0 {
				t.Errorf("beside it lie %v", others)
			}
			if err := os.Rename(c.Path, c.Path+".kept"); err != nil {
				t.Fatal(err)
			}
			heals(t, s, 3)
		})
	}
}

func TestFileHeldByAnotherProcess(t *testing.T) {
	c := inFolder(t)
	c.pace.busy = 50 * time.Millisecond
	s := begin(t, c)
	add(t, s, span(0))
	db := look(t, c.Path)
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	refused(t, s, spans(1, 2), "another process holds the file")
	if _, err := conn.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	heals(t, s, 2)
}

func TestHungDiskHoldsOnlyThoseWhoWaitForIt(t *testing.T) {
	c := inFolder(t)
	c.pace.stalled = 200 * time.Millisecond
	s, entered, gate := gated(t, c)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := s.Add(ctx, ingest.Batch{Requests: spans(0, 1)}); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Add on a hung disk ended with %v, not with its context", err)
	}
	<-entered
	eventually.Holds(t, "the alarm", func() bool { return strings.Contains(s.Warning(), "has not answered") })
	refused(t, s, spans(1, 3))
	for tick := range uint64(200) {
		s.Record(view(tick+1, []func(*scene){quietly, busily}[tick%2])) // the test ends here if this waits
	}
	if days, err := s.Days(t.Context(), Query{From: noon.Add(-time.Hour), To: noon.Add(time.Hour), SLATTFT: 2 * time.Second}); err != nil || len(days.Each) != 0 {
		t.Errorf("reading beside the hung writer: %+v, %v", days, err)
	}
	hurried, stop := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer stop()
	if err := s.Close(hurried); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Close on a hung disk: %v, want it to give up in time", err)
	}
	close(gate)
	end(t, s)
	if rows, decisions := ask[int](t, c.Path, "SELECT count(*) FROM requests"), ask[int](t, c.Path, "SELECT count(*) FROM decisions"); rows != 3 || decisions != 200 {
		t.Errorf("%d rows and %d decisions in the file after the disk came back, want 3 and 200", rows, decisions)
	}
	if got := s.Stats().Dropped; got != 0 {
		t.Errorf("%d dropped", got)
	}
}
