package store

import (
	"database/sql"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestWriteAheadLogOnlyWhereMemoryIsShared(t *testing.T) {
	for name, c := range map[string]struct {
		magic uint32
		local bool
	}{
		"ext4": {0xef53, true}, "xfs": {0x58465342, true}, "btrfs": {0x9123683e, true}, "f2fs": {0xf2f52010, true}, "zfs": {0x2fc12fc1, true},
		"overlayfs": {0x794c7630, true}, "tmpfs": {0x01021994, true}, "ramfs": {0x858458f6, true},
		"nfs": {0x6969, false}, "fuse": {0x65735546, false}, "ceph": {0x00c36400, false}, "lustre": {0x0bd00bd0, false}, "cifs": {0xff534d42, false},
		"smb2": {0xfe534d42, false}, "9p": {0x01021997, false}, "virtiofs, which is fuse": {0x65735546, false}, "unknown": {0, false},
	} {
		if got := localMagic(c.magic); got != c.local {
			t.Errorf("%s counts as local: %v, want %v", name, got, c.local)
		}
	}
	if sharesMemory(t.TempDir() + "/missing") {
		t.Error("a folder that is not there counts as local")
	}
}

func TestJournalFitsTheFileSystemAndSyncsEachCommit(t *testing.T) {
	for _, remote := range []bool{false, true} {
		c := inFolder(t)
		c.remote = remote
		db, err := openDatabase(c.Path, !remote, false, c.withDefaults().pace)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(db.close)
		want := "wal 2 2" // synchronous 2 is FULL, auto_vacuum 2 is incremental
		if remote {
			want = "truncate 2 2"
		}
		var journal, synchronous, vacuum string
		if err := db.conn.QueryRowContext(t.Context(), "SELECT journal_mode, synchronous, auto_vacuum FROM pragma_journal_mode, pragma_synchronous, pragma_auto_vacuum").Scan(&journal, &synchronous, &vacuum); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join([]string{journal, synchronous, vacuum}, " "); got != want {
			t.Errorf("remote %v: journal_mode, synchronous and auto_vacuum are %s, want %s", remote, got, want)
		}
		if held := ""; db.conn.QueryRowContext(t.Context(), "PRAGMA locking_mode").Scan(&held) != nil || held != "normal" {
			t.Errorf("locking_mode is %s: readers would be kept out", held)
		}
	}
}

// A volume's file that was written under one journal is opened under the other, with the commits that only its log holds.
func TestFileMovesBetweenFileSystems(t *testing.T) {
	local := inFolder(t)
	s := begin(t, local)
	add(t, s, spans(0, 50)...)
	moved := inFolder(t)
	moved.remote = true
	if err := os.MkdirAll(filepath.Dir(moved.Path), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, ending := range []string{"", "-wal"} { // as a kill leaves them
		b, err := os.ReadFile(local.Path + ending)
		if err != nil || len(b) == 0 {
			t.Fatalf("%s: %d bytes, %v", ending, len(b), err)
		}
		if err := os.WriteFile(moved.Path+ending, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s = begin(t, moved)
	add(t, s, span(50))
	if n := ask[int](t, moved.Path, "SELECT count(*) FROM requests"); n != 51 {
		t.Errorf("%d rows, want 51", n)
	}
	if hasWriteAheadLog(moved.Path) {
		t.Error("the file on the network volume still wants a write-ahead log")
	}
	end(t, s)
	moved.remote = false
	add(t, begin(t, moved), span(51))
	if n := ask[int](t, moved.Path, "SELECT count(*) FROM requests"); n != 52 || !hasWriteAheadLog(moved.Path) {
		t.Errorf("back on a local disk: %d rows, want 52; log %v", n, hasWriteAheadLog(moved.Path))
	}
}

func TestPathMayHoldAnyCharacter(t *testing.T) {
	c := inFolder(t)
	c.Path = filepath.Join(t.TempDir(), "a?b#c%20 d&e=ä", "telemetry.db")
	s := begin(t, c)
	add(t, s, span(1))
	if _, err := os.Stat(c.Path); err != nil {
		t.Error(err)
	}
}

func TestMigrations(t *testing.T) {
	open := func(path string) *sql.Conn {
		t.Helper()
		conn, err := look(t, path).Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	bring := func(conn *sql.Conn, steps []string) error {
		version, err := identify(t.Context(), conn, steps)
		if err != nil {
			return err
		}
		return migrate(t.Context(), conn, version, steps)
	}
	path := filepath.Join(t.TempDir(), "m.db")
	conn := open(path)
	steps := []string{"CREATE TABLE one (x); INSERT INTO one VALUES (1)", "CREATE TABLE two (x); INSERT INTO two SELECT x + 1 FROM one"}
	if err := bring(conn, steps[:1]); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time there is nothing to do
		if err := bring(conn, steps); err != nil {
			t.Fatal(err)
		}
	}
	if err := bring(conn, append(slices.Clone(steps), "CREATE TABLE three (x); INSERT INTO nowhere VALUES (1)")); err == nil {
		t.Error("a step that fails was taken")
	}
	if got := ask[string](t, path, "SELECT (SELECT group_concat(x) FROM two) || ' ' || (SELECT count(*) FROM sqlite_schema) || ' ' || (SELECT user_version FROM pragma_user_version)"); got != "2 2 2" {
		t.Errorf("rows of two, tables, version: %s, want 2 2 2: each step once, and nothing of the one that failed", got)
	}
	if err := bring(conn, steps[:1]); err == nil || !strings.Contains(err.Error(), "newer version") {
		t.Errorf("an older version got %v", err)
	}
}
