package kill

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/memory"
	"github.com/gpu-watchdog/gpu-watchdog/test/program"
)

const interval = 200 * time.Millisecond

// pod is one start of a pod, in which the watchdog is killed and started again and again.
type pod struct {
	t      *testing.T
	server *server
	dir    string
	// clock is what the memory held after the last kill.
	clock time.Duration
	kept  bool
}

func newPod(t *testing.T) *pod { return &pod{t: t, server: newServer(t), dir: t.TempDir()} }

func (p *pod) start() *program.Run {
	return program.Start(p.t, binary,
		"WATCHDOG_NAME=pod", "WATCHDOG_DIR="+filepath.Join(p.dir, "volume"), "WATCHDOG_START_ID_FILE="+filepath.Join(p.dir, "disk", "start-id"),
		"WATCHDOG_VLLM_URLS="+p.server.URL, "WATCHDOG_GPUS=none", "WATCHDOG_CHECK_INTERVAL="+interval.String(),
		"WATCHDOG_POLICY=fixed", "WATCHDOG_IDLE_LIMIT=24h", "WATCHDOG_MIN_RUNTIME=0s")
}

// memory reads what a kill left: nothing before the first write, and ever after a whole file. Beside it may lie the new
// file of a write that was killed, and nothing else.
func (p *pod) memory() (c memory.Contents) {
	p.t.Helper()
	folder := filepath.Join(p.dir, "volume", "pod")
	b, err := os.ReadFile(filepath.Join(folder, "memory.json"))
	if errors.Is(err, fs.ErrNotExist) && !p.kept {
		return c
	}
	if err != nil {
		p.t.Fatalf("the memory is gone: %v", err)
	}
	if c, err = memory.Decode(b); err != nil {
		p.t.Fatalf("the memory is not whole: %v\n%s", err, b)
	}
	p.kept = true
	entries, err := os.ReadDir(folder)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, e := range entries {
		probe, _ := filepath.Match(".probe-*", e.Name())
		telemetry, _ := filepath.Match("telemetry.db*", e.Name()) // with its log, of which the next start takes care
		if e.Name() != "memory.json" && e.Name() != ".memory.new" && !probe && !telemetry {
			p.t.Errorf("a kill left %s", e.Name())
		}
	}
	return c
}

func (p *pod) half() string { return filepath.Join(p.dir, "volume", "pod", ".memory.new") }

// isWriting says that the new file is newer than the one whose place it will take. They change names, so both are there.
func (p *pod) isWriting() bool {
	next, err := os.Stat(p.half())
	if err != nil {
		return false
	}
	whole, err := os.Stat(filepath.Join(filepath.Dir(p.half()), "memory.json"))
	return err != nil || next.ModTime().After(whole.ModTime())
}

// halfWritten says that the kill came in the middle of a write, and takes away what it left.
func (p *pod) halfWritten() bool {
	return p.isWriting() && os.Remove(p.half()) == nil
}

func decision(l program.Line) bool { return l.Msg() == "decision" }

// first is the first line of which want is true; found is false where there is none.
func first(lines []program.Line, want func(program.Line) bool) (l program.Line, found bool) {
	for _, l := range lines {
		if want(l) {
			return l, true
		}
	}
	return nil, false
}
