package folderlock

import (
	"context"
	"testing"
	"time"
)

func TestOneAtATime(t *testing.T) {
	folder := t.TempDir()
	unlock := Take(t.Context(), folder, time.Minute)
	second := make(chan func())
	go func() { second <- Take(context.Background(), folder, time.Minute) }()
	select {
	case <-second:
		t.Fatal("two have the lock")
	case <-time.After(50 * time.Millisecond):
	}
	unlock()
	select {
	case unlock := <-second:
		unlock()
	case <-time.After(10 * time.Second):
		t.Fatal("the lock is never given on")
	}
}

func TestItIsNeverWaitedForInVain(t *testing.T) {
	folder := t.TempDir()
	defer Take(t.Context(), folder, time.Minute)()
	done, cancel := context.WithCancel(t.Context())
	cancel()
	for name, take := range map[string]func() func(){
		"time is over":       func() func() { return Take(t.Context(), folder, time.Millisecond) },
		"the asker is gone":  func() func() { return Take(done, folder, time.Minute) },
		"there is no folder": func() func() { return Take(t.Context(), folder+"/nothing", time.Minute) },
	} {
		began := time.Now()
		take()()
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s: waited %s", name, took)
		}
	}
}
