package main

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// stuckReader takes nothing until it is let go.
type stuckReader struct {
	let chan struct{}
	mu  sync.Mutex
	got bytes.Buffer
}

func (r *stuckReader) Write(b []byte) (int, error) {
	<-r.let
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got.Write(b)
}

func TestALogThatIsStuckIsDroppedAndCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &stuckReader{let: make(chan struct{})}
		p := newPatientLog(out, 4)
		defer close(p.lines)
		began := time.Now()
		for range 10 {
			_, _ = p.Write([]byte("line\n"))
			synctest.Wait()
		}
		_ = p.Sync()
		if took := time.Since(began); took != patientEnd {
			t.Errorf("the end waited %s for a reader that is stuck, want %s", took, patientEnd)
		}
		close(out.let)
		synctest.Wait()
		_ = p.Sync()
		out.mu.Lock()
		defer out.mu.Unlock()
		text := out.got.String()
		// One line was on its way, and four waited.
		if n := strings.Count(text, "line\n"); n != 5 || !strings.Contains(text, `"msg":"log lines dropped","lines":5`) {
			t.Errorf("written: %s", text)
		}
	})
}

func TestALogThatIsReadIsWholeAndInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := &stuckReader{let: make(chan struct{})}
		close(out.let)
		p := newPatientLog(out, 4)
		defer close(p.lines)
		_, _ = p.Write([]byte("one\n"))
		_, _ = p.Write([]byte("two\n"))
		_ = p.Sync()
		if got := out.got.String(); got != "one\ntwo\n" {
			t.Errorf("written: %q", got)
		}
	})
}
