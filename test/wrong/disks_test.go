package wrong

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/test/disks"
	"github.com/gpu-watchdog/gpu-watchdog/test/nonsense"
)

// working is the address of a server that works, so that nothing is due.
func working(t *testing.T) string {
	t.Helper()
	return newServer(t, false, nonsense.HTML).URL
}

// file is a path to a file: no folder can be made below it, whoever asks.
func file(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "a-file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestDirThatCannotBeMade: the memory goes to the temporary folder, and what that costs is said.
func TestDirThatCannotBeMade(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(file(t), "dir")
	p := start(t, "WATCHDOG_VLLM_URLS="+working(t), "WATCHDOG_DIR="+dir)
	p.Says("warning", "WATCHDOG_DIR cannot be used", filepath.Dir(dir), "not a directory", "measured starts are lost when the pod stops")
	p.once("warning", "WATCHDOG_DIR")
	p.state("hold", "busy", "requests_in_flight")
	p.keptIn(filepath.Join(p.dir, "gpu-watchdog", podID))
	if p.Status().Persistent {
		t.Error("/status calls the temporary folder persistent")
	}
	p.armed(http.StatusOK)
	p.unharmed()
}

// TestNowhereToKeepAnything: without any disk it watches all the same.
func TestNowhereToKeepAnything(t *testing.T) {
	t.Parallel()
	path := file(t)
	p := start(t, "WATCHDOG_VLLM_URLS="+working(t), "WATCHDOG_DIR="+filepath.Join(path, "dir"), "TMPDIR="+path)
	p.Says("warning", "nothing can be kept", path, "the idle clock begins at 0 with each start of the watchdog", "make WATCHDOG_DIR writable")
	p.state("hold", "busy", "requests_in_flight")
	p.armed(http.StatusOK)
	p.unharmed()
}

// TestDirWithoutSpace: a disk that is full at the start is not used; one that fills later is an alarm, and the watch goes on.
func TestDirWithoutSpace(t *testing.T) {
	t.Parallel()
	t.Run("from the start", func(t *testing.T) {
		t.Parallel()
		disk := disks.Small(t)
		disks.Fill(t, disk)
		p := start(t, "WATCHDOG_VLLM_URLS="+working(t), "WATCHDOG_DIR="+disk)
		p.Says("warning", "WATCHDOG_DIR cannot be used", disk, "no space left on device")
		p.state("hold", "busy", "requests_in_flight")
		p.keptIn(filepath.Join(p.dir, "gpu-watchdog", podID))
		p.unharmed()
	})
	t.Run("later", func(t *testing.T) {
		t.Parallel()
		disk := disks.Small(t)
		p := start(t, "WATCHDOG_VLLM_URLS="+working(t), "WATCHDOG_DIR="+disk)
		p.keptIn(filepath.Join(disk, podID))
		disks.Fill(t, disk)
		p.Says("alarm", "memory cannot be written", disk, "no space left on device", "look at the disk of WATCHDOG_DIR")
		p.state("hold", "busy", "requests_in_flight")
		p.armed(http.StatusOK)
		p.unharmed()
		p.once("alarm", "memory cannot be written")
	})
}

// TestReadOnlyDir is a volume that was mounted read-only.
func TestReadOnlyDir(t *testing.T) {
	t.Parallel()
	disk := disks.ReadOnly(t)
	p := start(t, "WATCHDOG_VLLM_URLS="+working(t), "WATCHDOG_DIR="+disk)
	p.Says("warning", "WATCHDOG_DIR cannot be used", disk, "read-only file system")
	p.state("hold", "busy", "requests_in_flight")
	p.keptIn(filepath.Join(p.dir, "gpu-watchdog", podID))
	p.unharmed()
}

// TestBrokenMemory: a file that is no memory is set aside, never deleted.
func TestBrokenMemory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, podID, "memory.json")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(`{"schema":1,"state":{"idle_ns":`), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, "WATCHDOG_VLLM_URLS="+working(t), "WATCHDOG_DIR="+dir)
	p.Says("alarm", path, "could not be read", "set aside as "+path+".unreadable-")
	p.state("hold", "busy", "requests_in_flight")
	p.unharmed()
	aside, err := filepath.Glob(path + ".unreadable-*")
	if err != nil || len(aside) != 1 {
		t.Errorf("set aside: %v, %v", aside, err)
	}
}

// TestStartIDThatCannotBeWritten: who does not know whether the pod was stopped in between never stops it.
func TestStartIDThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(file(t), "start-id")
	s := newServer(t, false, nonsense.HTML)
	s.idle.Store(true)
	p := start(t, "WATCHDOG_VLLM_URLS="+s.URL, "WATCHDOG_START_ID_FILE="+path)
	p.Says("alarm", "the identity of this start is unknown, so nothing will be stopped", "make WATCHDOG_START_ID_FILE a writable path")
	p.Says("warning", path, "not a directory")
	p.state("hold", "quiet", "not_armed")
	p.armed(http.StatusServiceUnavailable, "not_armed", "the identity of this start is unknown")
	p.unharmed() // long beyond the idle limit
	p.once("alarm", "identity")
	p.state("hold", "quiet", "not_armed")
}

// keptIn waits until the memory is in this folder.
func (p *pod) keptIn(folder string) {
	p.t.Helper()
	deadline := time.Now().Add(soon)
	for {
		_, err := os.Stat(filepath.Join(folder, "memory.json"))
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("no memory in %s: %v", folder, err)
		}
		pause(50 * time.Millisecond)
	}
}
