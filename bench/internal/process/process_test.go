//go:build linux

package process

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestProcessorTimeIsThatOfTheProcessAlone(t *testing.T) {
	// The shell itself only waits. dd belongs to another process, so it must not be counted; the loop must.
	out := filepath.Join(t.TempDir(), "out")
	script := `dd if=/dev/zero of=/dev/null bs=1M count=3000 2>/dev/null; i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; cat /proc/$$/stat; exec sleep 60`
	p, err := Start(out, os.Environ(), "/bin/sh", "-c", script)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	deadline := time.Now().Add(20 * time.Second)
	err = p.Wait(t.Context(), func() error {
		if b, _ := os.ReadFile(out); strings.Contains(string(b), "(sh)") || time.Now().After(deadline) {
			return nil
		}
		return errors.New("still computing")
	})
	if err != nil {
		t.Fatal(err)
	}
	b, _ := os.ReadFile(out)
	fields := strings.Fields(string(b))
	if len(fields) < 15 {
		t.Fatalf("the script printed %q", b)
	}
	var hundredths time.Duration
	for _, f := range fields[13:15] { // utime, stime
		for _, c := range f {
			if c < '0' || c > '9' {
				t.Fatalf("stat says %q", f)
			}
		}
		n, err := time.ParseDuration(f + "0ms")
		if err != nil {
			t.Fatal(err)
		}
		hundredths += n
	}
	got, err := p.CPU()
	if err != nil {
		t.Fatal(err)
	}
	if away := got - hundredths; away < -20*time.Millisecond || away > 50*time.Millisecond || got < 20*time.Millisecond {
		t.Errorf("CPU says %s, the kernel's coarse account %s", got, hundredths)
	}
}

func TestMemoryIsThatOfTheProcess(t *testing.T) {
	p, err := Start("", nil, "/bin/sleep", "60")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	var m Memory
	bound, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err = p.Wait(bound, func() (err error) {
		if m, err = p.Memory(); err == nil && m.Resident < 100<<10 {
			err = errors.New("it is still being loaded")
		}
		return err
	})
	if err != nil || m.Resident > 20<<20 || m.Anonymous > m.Resident || m.Peak < m.Resident {
		t.Errorf("sleep's memory is %+v, %v", m, err)
	}
	if err := p.Stop(); err == nil || !strings.Contains(err.Error(), "terminated") {
		t.Errorf("Stop says %v, want that it was terminated", err)
	}
	if _, err := p.Memory(); err == nil {
		t.Error("a process that has ended still has memory")
	}
	if _, err := p.CPU(); err == nil {
		t.Error("a process that has ended still has a CPU clock")
	}
}

func TestWhoEndsBeforeBeingReadyIsNotWaitedFor(t *testing.T) {
	p, err := Start("", nil, "/bin/false")
	if err != nil {
		t.Fatal(err)
	}
	never := errors.New("no answer")
	if err := p.Wait(t.Context(), func() error { return never }); !errors.Is(err, never) || !strings.Contains(err.Error(), "exit status 1") {
		t.Errorf("Wait says %v, want the exit status and what was waited for", err)
	}
}
