package faults

import (
	"database/sql"
	"os"
	"path/filepath"
	"syscall"

	_ "github.com/mattn/go-sqlite3" // lockedDatabase

	"github.com/gpu-watchdog/gpu-watchdog/test/disks"
	"github.com/gpu-watchdog/gpu-watchdog/test/program"
)

func (p *pod) volume(name string) string {
	p.t.Helper()
	dir := filepath.Join(p.dir, "volume", podID)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		p.t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// holds puts a file into the folder of the pod's memory.
func holds(name, text string) act {
	return func(p *pod) {
		if err := os.WriteFile(p.volume(name), []byte(text), 0o600); err != nil {
			p.t.Fatal(err)
		}
	}
}

// folder makes a folder in the place of a file.
func folder(path string) act {
	return func(p *pod) {
		if err := os.Mkdir(path, 0o700); err != nil {
			p.t.Fatal(err)
		}
	}
}

// pipe puts a pipe that nobody reads in the place of a file: whoever opens it waits for ever, as on a disk that hangs.
func pipe(name string) act {
	return func(p *pod) {
		if err := syscall.Mkfifo(p.volume(name), 0o600); err != nil {
			p.t.Fatal(err)
		}
	}
}

func fullDisk(p *pod) {
	disk := disks.Small(p.t)
	disks.Fill(p.t, disk)
	p.set("WATCHDOG_DIR=" + disk)
}

// fills lets the disk fill once the memory lies on it.
func fills(p *pod) {
	disk := disks.Small(p.t)
	p.set("WATCHDOG_DIR=" + disk)
	p.later = func(p *pod) {
		p.until(program.Soon, "a memory", func() bool {
			_, err := os.Stat(filepath.Join(disk, podID, "memory.json"))
			return err == nil
		})
		disks.Fill(p.t, disk)
	}
}

// lockedDatabase lets another process write into the telemetry for as long as the row lasts.
func lockedDatabase(p *pod) {
	db, err := sql.Open("sqlite3", "file:"+p.volume("telemetry.db")+"?_txlock=exclusive")
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = db.Close() })
	if _, err := db.Exec("CREATE TABLE theirs (n INTEGER)"); err != nil {
		p.t.Fatal(err)
	}
	tx, err := db.Begin()
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = tx.Rollback() })
	if _, err := tx.Exec("INSERT INTO theirs VALUES (1)"); err != nil {
		p.t.Fatal(err)
	}
}

// double is a second pod on the same volume that bears the same name.
func double(p *pod) {
	c := p.config
	c.Env = append(append([]string(nil), c.Env...), "WATCHDOG_START_ID_FILE="+filepath.Join(p.dir, "other-disk", "start-id"),
		"WATCHDOG_VLLM_URLS="+p.servers[0].URL(), "WATCHDOG_DRY_RUN=true")
	p.other = c.Start(p.t)
}

func readOnlyDisk(p *pod) { p.set("WATCHDOG_DIR=" + disks.ReadOnly(p.t)) }

// notAFolder lets a setting point below a file.
func notAFolder(variable string) act {
	return func(p *pod) {
		file := filepath.Join(p.dir, "a-file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			p.t.Fatal(err)
		}
		p.set(variable + "=" + filepath.Join(file, "below"))
	}
}

func vanishes(p *pod) {
	if err := os.RemoveAll(filepath.Join(p.dir, "volume")); err != nil {
		p.t.Fatal(err)
	}
	// Nor can it be made again: a file lies in its place.
	if err := os.WriteFile(filepath.Join(p.dir, "volume"), nil, 0o600); err != nil {
		p.t.Fatal(err)
	}
}
