package memory

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// takeOver is how long the heartbeat of another writer must stand still before its file is ours.
const takeOver = 15 * time.Second

// Memory is the open file. Its methods may be called by any goroutine.
type Memory struct {
	path   string
	writer string
	now    func() time.Time

	mu      sync.Mutex
	pending *job
	waiters []chan error
	warning string
	// foreign is the heartbeat of another start's writer, until it is known to have stopped.
	foreign   time.Time
	foreignAt time.Time
	written   os.FileInfo
	// last is how the last write went. Only the writer touches it.
	last error

	wake chan struct{}
	quit chan struct{}
	done chan struct{}
}

type job struct {
	contents Contents
	sync     bool
}

// Open reads the memory in dir (empty: there is none, and nothing is kept) and starts its writer, which ends with Close.
// A file that cannot be read is set aside under another name, never deleted, and the warning says so.
func Open(dir, startID string, now func() time.Time) (*Memory, Contents) {
	m := &Memory{writer: token(), now: now, wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{})}
	var c Contents
	if dir != "" {
		m.path = filepath.Join(dir, fileName)
		c = m.load(startID)
	}
	go m.run()
	return m, c
}

func (m *Memory) load(startID string) Contents {
	b, err := read(m.path)
	if errors.Is(err, os.ErrNotExist) {
		return Contents{}
	}
	var c Contents
	if err == nil {
		c, err = Decode(b)
	}
	if err != nil {
		aside := fmt.Sprintf("%s.unreadable-%d", m.path, m.now().Unix())
		if moving := os.Rename(m.path, aside); moving != nil {
			m.warning = fmt.Sprintf("memory %s cannot be read (%v) nor set aside (%v): nothing is kept until that is mended", m.path, err, moving)
			return Contents{}
		}
		m.warning = fmt.Sprintf("memory %s could not be read (%v); it was set aside as %s, and a new one begins", m.path, err, aside)
		return Contents{}
	}
	if c.State.StartID != startID && m.now().Sub(c.SavedAt) < takeOver {
		// Perhaps another pod on this volume bears the same name: wait until its heartbeat stands still.
		m.foreign, m.foreignAt = c.SavedAt, m.now()
	}
	return c
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, MaxBytes+1))
}

// Save hands the contents to the writer and returns at once; a newer Save replaces one that is not written yet. sync
// also waits for the disk itself (in the writer): for transitions, not for each heartbeat.
func (m *Memory) Save(c Contents, sync bool) {
	m.mu.Lock()
	if m.pending != nil {
		sync = sync || m.pending.sync
	}
	m.pending = &job{contents: c, sync: sync}
	m.mu.Unlock()
	m.signal()
}

// Flush waits until all that was saved before is written, or until ctx ends.
func (m *Memory) Flush(ctx context.Context) error {
	if m.path == "" {
		return errors.New("there is no place to keep a memory")
	}
	done := make(chan error, 1)
	m.mu.Lock()
	m.waiters = append(m.waiters, done)
	m.mu.Unlock()
	m.signal()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("write memory %s: %w", m.path, ctx.Err())
	}
}

// Warning says what is wrong with the memory now; empty where nothing is.
func (m *Memory) Warning() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.warning
}

// Close writes what is pending and ends the writer, or gives up when ctx ends: a hung disk must not hold the exit.
func (m *Memory) Close(ctx context.Context) error {
	var err error
	if m.path != "" {
		err = m.Flush(ctx)
	}
	close(m.quit)
	select {
	case <-m.done:
	case <-ctx.Done():
	}
	return err
}

func (m *Memory) signal() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

func (m *Memory) run() {
	defer close(m.done)
	for {
		select {
		case <-m.wake:
			m.drain()
		case <-m.quit:
			return
		}
	}
}

// drain writes the newest contents and tells those who wait how that went, or how it did before they came to wait.
func (m *Memory) drain() {
	m.mu.Lock()
	todo, waiters := m.pending, m.waiters
	m.pending, m.waiters = nil, nil
	m.mu.Unlock()
	if todo != nil && m.path != "" {
		m.last = m.write(*todo)
		m.mu.Lock()
		m.warning = ""
		if m.last != nil {
			m.warning = m.last.Error()
		}
		m.mu.Unlock()
	}
	for _, w := range waiters {
		w <- m.last
	}
}

func (m *Memory) write(j job) error {
	if err := m.mayWrite(); err != nil {
		return err
	}
	j.contents.SavedAt, j.contents.Writer = m.now(), m.writer
	b, err := Encode(j.contents)
	if err != nil {
		return fmt.Errorf("encode memory: %w", err)
	}
	if err := replace(m.path, b, j.sync); err != nil {
		return fmt.Errorf("memory cannot be written (%w): what is learned now is lost with this process; look at the disk of WATCHDOG_DIR", err)
	}
	m.written, _ = os.Stat(m.path)
	return nil
}

// mayWrite holds two pods on one volume apart that bear the same name. Locks cannot be trusted on network volumes, so
// the file itself is watched: whoever finds another writer's newer heartbeat in it leaves it alone.
func (m *Memory) mayWrite() error {
	info, err := os.Stat(m.path)
	if err != nil || m.written != nil && os.SameFile(info, m.written) {
		return nil
	}
	if m.written == nil && m.foreign.IsZero() {
		return nil // the file that Open read, of our own start or long silent
	}
	b, err := read(m.path)
	if err != nil {
		return nil
	}
	c, err := Decode(b)
	if err != nil || c.Writer == m.writer {
		return nil
	}
	if m.written == nil && c.SavedAt.Equal(m.foreign) {
		if m.now().Sub(m.foreignAt) >= takeOver {
			m.foreign = time.Time{}
			return nil
		}
		return fmt.Errorf("memory %s was written by another start %s ago: waiting until that one is known to be silent", m.path, m.now().Sub(c.SavedAt).Round(time.Second))
	}
	return fmt.Errorf("memory %s is being written by another pod of the same name (start %s): give each pod its own WATCHDOG_NAME", m.path, c.State.StartID)
}

// replace writes the whole contents to the file beside the one that counts, and puts it in that one's place. The two change
// names where the file system can do that, so that the same two files serve for ever: to make one at each look and to
// throw another away costs more than all the rest of the look. The name of the second is always the same, so that kills
// in the middle do not fill the folder.
func replace(path string, b []byte, sync bool) error {
	f, err := os.OpenFile(filepath.Join(filepath.Dir(path), ".memory.new"), os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Truncate(int64(len(b)))
	}
	if err == nil && sync {
		err = f.Sync()
	}
	if closing := f.Close(); err == nil {
		err = closing
	}
	if err == nil && exchange(f.Name(), path) != nil { // the first time, and on many network volumes
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // the first error tells more than this one
	}
	return err
}

func token() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return hex.EncodeToString(b[:])
}
