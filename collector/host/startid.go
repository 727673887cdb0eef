package host

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/folderlock"
)

// lockWait bounds the wait for another watchdog that writes the same file at the same moment.
const lockWait = 2 * time.Second

// maxStartIDFile is far above the size of a whole file, which has three short lines.
const maxStartIDFile = 4096

var (
	startIDPattern = regexp.MustCompile(`^[0-9a-f]{16}$`)
	bootIDPattern  = regexp.MustCompile(`^[0-9a-f-]{16,64}$`)
)

// errNotWhole is a start-id file that cannot be one of ours: empty, cut short, too large, or not even a file.
var errNotWhole = errors.New("not a start-id file")

// startRecord is the content of a start-id file: one line each.
type startRecord struct {
	id   string // 16 hexadecimal digits
	boot string // the kernel's boot id; empty is unknown
	// first is PID 1's start in ticks since boot; 0 is unknown.
	first uint64
}

func (r startRecord) format() string {
	boot, first := r.boot, "-"
	if boot == "" {
		boot = "-"
	}
	if r.first != 0 {
		first = strconv.FormatUint(r.first, 10)
	}
	return r.id + "\n" + boot + "\n" + first + "\n"
}

// parseStartRecord accepts exactly what format writes; anything else is errNotWhole.
func parseStartRecord(b []byte) (startRecord, error) {
	lines := strings.Split(string(b), "\n")
	if len(lines) != 4 {
		return startRecord{}, errNotWhole
	}
	r := startRecord{id: lines[0]}
	if !startIDPattern.MatchString(r.id) {
		return startRecord{}, errNotWhole
	}
	if lines[1] != "-" {
		if !bootIDPattern.MatchString(lines[1]) {
			return startRecord{}, errNotWhole
		}
		r.boot = lines[1]
	}
	if lines[2] != "-" {
		var err error
		if r.first, err = strconv.ParseUint(lines[2], 10, 64); err != nil {
			return startRecord{}, errNotWhole
		}
	}
	if r.format() != string(b) {
		return startRecord{}, errNotWhole
	}
	return r, nil
}

// startIDFile is one place for the id, and what the kernel says now.
type startIDFile struct {
	path  string
	boot  string
	first uint64
	// outlives: the file survives a stop of the pod, so only the same PID 1 is the same start.
	outlives bool
}

// settled is the outcome for one place.
type settled struct {
	id               string
	isNew, restarted bool
	// unwritten: the id stands, but the new PID 1 could not be noted.
	unwritten error
}

// settle reads the file and, where it is not of this start, replaces it.
func (f startIDFile) settle() (settled, error) {
	// Mostly a watchdog was restarted and nothing is to be written, not even a lock.
	if old, err := f.read(); err == nil && f.sameStart(old) && !f.restarted(old) {
		return settled{id: old.id}, nil
	}
	folder := filepath.Dir(f.path)
	// A failure to make the folder shows in the write; an old file may be readable all the same.
	makeErr := os.MkdirAll(folder, 0o755)
	defer folderlock.Take(context.Background(), folder, lockWait)() // two watchdogs that start together must not write two ids

	old, err := f.read()
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errNotWhole) {
		return settled{}, cmp.Or(makeErr, err)
	}
	if err == nil && f.sameStart(old) {
		out := settled{id: old.id, restarted: f.restarted(old)}
		if out.restarted {
			out.unwritten = f.write(startRecord{id: old.id, boot: f.boot, first: f.first})
		}
		return out, nil
	}
	if makeErr != nil {
		return settled{}, makeErr
	}
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	record := startRecord{id: hex.EncodeToString(random[:]), boot: f.boot, first: f.first}
	if err := f.write(record); err != nil {
		return settled{}, err
	}
	return settled{id: record.id, isNew: true}, nil
}

// sameStart says whether a record was written in this start. Without a boot id only the same PID 1 proves it.
func (f startIDFile) sameStart(old startRecord) bool {
	if old.boot != f.boot {
		return false
	}
	if f.boot == "" || f.outlives {
		return f.first != 0 && old.first == f.first
	}
	return true
}

// restarted says whether PID 1 is another process than the record's. Where either is unknown it is not said.
func (f startIDFile) restarted(old startRecord) bool {
	return f.first != 0 && old.first != 0 && f.first != old.first
}

func (f startIDFile) read() (startRecord, error) {
	info, err := os.Lstat(f.path)
	if err != nil {
		return startRecord{}, err
	}
	if !info.Mode().IsRegular() {
		// A pipe would block, a link may lead anywhere.
		return startRecord{}, errNotWhole
	}
	b, err := readBounded(f.path, maxStartIDFile)
	if errors.Is(err, errTooLarge) {
		return startRecord{}, errNotWhole
	}
	if err != nil {
		return startRecord{}, err
	}
	return parseStartRecord(b)
}

// write replaces the file at once and reads it back. It is not forced to the disk: what a crash of the machine leaves
// is of an earlier boot anyway.
func (f startIDFile) write(record startRecord) (err error) {
	temp, err := os.CreateTemp(filepath.Dir(f.path), ".start-id-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(temp.Name())
		}
	}()
	_, err = temp.WriteString(record.format())
	if closeErr := temp.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	if err = os.Rename(temp.Name(), f.path); err != nil {
		return err
	}
	back, err := f.read()
	if err != nil {
		return fmt.Errorf("read back what was written: %w", err)
	}
	if back != record {
		return errors.New("another id reads back than was written: is something else writing this file?")
	}
	return nil
}
