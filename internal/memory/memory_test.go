package memory

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/costmodel"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// clock is a time that a test moves.
type clock struct{ t time.Time }

func (c *clock) now() time.Time { return c.t }

func newClock() *clock { return &clock{time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func open(t *testing.T, dir, start string, c *clock) (*Memory, Contents) {
	t.Helper()
	m, contents := Open(dir, start, c.now)
	t.Cleanup(func() { _ = m.Close(context.Background()) })
	return m, contents
}

func save(t *testing.T, m *Memory, c Contents) error {
	t.Helper()
	m.Save(c, true)
	return m.Flush(t.Context())
}

func state(start string, idle time.Duration) Contents {
	return Contents{State: watchdog.State{StartID: start, Idle: idle}}
}

func TestWhatWasSavedIsReadAgain(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	m, first := open(t, dir, "a", c)
	if first.State.StartID != "" || len(first.Starts) != 0 {
		t.Fatalf("a new memory holds %+v", first)
	}
	want := state("a", 90*time.Second)
	want.Starts = []costmodel.Start{{Kind: costmodel.PodStart, At: c.t, Ready: 7 * time.Second}}
	want.Stop = &Stop{RequestedAt: c.t, StartID: "a", Result: "accepted", ColdStartUSD: watchdog.Known(0.83)}
	want.State.Servers = []watchdog.ServerState{{URL: "u", Mark: watchdog.ServerMark{Set: true, HTTPRequests: watchdog.Known(3.0)}}}
	if err := save(t, m, want); err != nil {
		t.Fatal(err)
	}
	_, got := open(t, dir, "a", c)
	if got.State.Idle != 90*time.Second || len(got.Starts) != 1 || got.Starts[0].Ready != 7*time.Second || got.Stop == nil || got.Stop.ColdStartUSD.Value != 0.83 {
		t.Errorf("read %+v", got)
	}
	if mark := got.State.Servers[0].Mark; !mark.HTTPRequests.Known || mark.HTTPRequests.Value != 3 {
		t.Errorf("the counters of the last good reading came back as %+v", mark)
	}
	if info, err := os.Stat(filepath.Join(dir, fileName)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v; want it readable by its owner only", info, err)
	}
}

func TestAFileThatCannotBeReadIsSetAside(t *testing.T) {
	for name, content := range map[string]string{
		"half":         `{"schema":1,"state":{"idle_ns":12`,
		"empty":        "",
		"other schema": `{"schema":99}`,
		"negative":     `{"schema":1,"state":{"idle_ns":-5}}`,
		"huge":         `{"schema":1,"name":"` + strings.Repeat("x", MaxBytes) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			dir, c := t.TempDir(), newClock()
			if err := os.WriteFile(filepath.Join(dir, fileName), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			m, got := open(t, dir, "a", c)
			if got.State.Idle != 0 || got.Schema != 0 {
				t.Errorf("contents %+v came out of it", got)
			}
			if m.Warning() == "" {
				t.Error("nothing warns of it")
			}
			aside, _ := filepath.Glob(filepath.Join(dir, fileName+".unreadable-*"))
			if len(aside) != 1 {
				t.Fatalf("set aside: %v, want one file", aside)
			}
			if kept, err := os.ReadFile(aside[0]); err != nil || string(kept) != content {
				t.Error("the file that was set aside is not the old one")
			}
			if err := save(t, m, state("a", time.Second)); err != nil {
				t.Errorf("a new memory cannot be written after it: %v", err)
			}
		})
	}
}

func TestAnotherPodOfTheSameNameIsLeftAlone(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	theirs, _ := open(t, dir, "theirs", c)
	if err := save(t, theirs, state("theirs", time.Minute)); err != nil {
		t.Fatal(err)
	}
	c.t = c.t.Add(5 * time.Second)
	ours, read := open(t, dir, "ours", c)
	if read.State.Idle != time.Minute {
		t.Fatal("the other's memory was not even read")
	}
	if err := save(t, ours, state("ours", 0)); err == nil || !strings.Contains(err.Error(), "another start") {
		t.Errorf("we wrote over a heartbeat of 5 s ago (%v)", err)
	}
	// They are alive: their heartbeat goes on, and we stay away for good.
	c.t = c.t.Add(5 * time.Second)
	if err := save(t, theirs, state("theirs", time.Minute)); err != nil {
		t.Fatalf("the one who was there first cannot write: %v", err)
	}
	c.t = c.t.Add(time.Minute)
	if err := save(t, ours, state("ours", 0)); err == nil || !strings.Contains(err.Error(), "WATCHDOG_NAME") {
		t.Errorf("two pods write one file (%v)", err)
	}
}

func TestASilentPredecessorIsTakenOver(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	before, _ := open(t, dir, "before", c)
	if err := save(t, before, state("before", time.Minute)); err != nil {
		t.Fatal(err)
	}
	c.t = c.t.Add(5 * time.Second) // a pod that is resumed at once
	ours, _ := open(t, dir, "ours", c)
	if err := save(t, ours, state("ours", 0)); err == nil {
		t.Error("the file was taken before its writer was known to be silent")
	}
	c.t = c.t.Add(takeOver)
	if err := save(t, ours, state("ours", time.Second)); err != nil {
		t.Fatalf("the file of a silent predecessor cannot be taken over: %v", err)
	}
	if ours.Warning() != "" {
		t.Errorf("the warning stays: %s", ours.Warning())
	}
	if err := save(t, before, state("before", 0)); err == nil {
		t.Error("a predecessor that comes back writes over us")
	}
}

func TestAWatchdogThatRestartsWritesAtOnce(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	first, _ := open(t, dir, "a", c)
	if err := save(t, first, state("a", time.Minute)); err != nil {
		t.Fatal(err)
	}
	c.t = c.t.Add(time.Second)
	second, got := open(t, dir, "a", c)
	if got.State.Idle != time.Minute {
		t.Fatal("nothing was read")
	}
	if err := save(t, second, state("a", 2*time.Minute)); err != nil {
		t.Errorf("the same start cannot go on: %v", err)
	}
}

func TestWithoutAPlaceNothingIsKeptAndNothingFails(t *testing.T) {
	m, got := open(t, "", "a", newClock())
	if got.Schema != 0 {
		t.Errorf("contents %+v came from nowhere", got)
	}
	m.Save(state("a", time.Second), true)
	if err := m.Flush(t.Context()); err == nil {
		t.Error("a stop would believe that its memory is safe")
	}
}

func TestAFullDiskIsSaidAndHeals(t *testing.T) {
	dir, c := filepath.Join(t.TempDir(), "gone"), newClock()
	m, _ := open(t, dir, "a", c)
	if err := save(t, m, state("a", time.Second)); err == nil {
		t.Fatal("writing into a missing folder worked")
	}
	if w := m.Warning(); !strings.Contains(w, "WATCHDOG_DIR") {
		t.Errorf("the warning %q does not say what to look at", w)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := save(t, m, state("a", time.Second)); err != nil || m.Warning() != "" {
		t.Errorf("after the disk is back: %v, warning %q", err, m.Warning())
	}
}

// The writer may be done with what was saved before anybody asks how that went.
func TestAFailureIsToldToWhoAsksLater(t *testing.T) {
	m, _ := open(t, filepath.Join(t.TempDir(), "gone"), "a", newClock())
	m.Save(state("a", time.Second), true)
	for deadline := time.Now().Add(5 * time.Second); m.Warning() == ""; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("the writer never said that it failed")
		}
	}
	if err := m.Flush(t.Context()); err == nil {
		t.Error("a stop would believe that its memory is safe")
	}
}

func TestFlushGivesUpWithItsContext(t *testing.T) {
	m, _ := open(t, t.TempDir(), "a", newClock())
	m.Save(state("a", time.Second), true)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	deadline := time.Now().Add(5 * time.Second)
	for m.Flush(ctx) == nil && time.Now().Before(deadline) {
	}
	if time.Now().After(deadline) {
		t.Error("Flush never honoured a context that is over")
	}
}

func TestTheFileStaysSmall(t *testing.T) {
	c := state("a", time.Second)
	for range 400 {
		c.State.Devices = append(c.State.Devices, watchdog.DeviceState{UUID: strings.Repeat("u", 40), Floor: bytes.Repeat([]byte{3}, 64)})
		c.Starts = append(c.Starts, costmodel.Start{Kind: costmodel.PodStart, Ready: time.Second})
	}
	b, err := Encode(c)
	if err != nil || len(b) > MaxBytes {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	got, err := Decode(b)
	if err != nil || got.State.Idle != time.Second || len(got.Starts) == 0 {
		t.Errorf("what matters most did not survive: %+v, %v", got.State.Idle, err)
	}
	for range 4000 {
		c.State.Servers = append(c.State.Servers, watchdog.ServerState{URL: strings.Repeat("x", 100)})
	}
	if _, err := Encode(c); err == nil {
		t.Error("what cannot fit was written")
	}
}

func FuzzDecode(f *testing.F) {
	whole, err := Encode(Contents{Name: "pod", State: watchdog.State{StartID: "a", Idle: time.Minute}, Stop: &Stop{Result: "asked"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add([]byte(`{"schema":1}`))
	f.Add([]byte(`{"schema":1,"state":{"attempt":{"phase":250,"tries":-3}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Decode(b)
		if err != nil {
			if c.Schema != 0 || c.Stop != nil {
				t.Fatal("an error came with contents")
			}
			return
		}
		if c.State.Idle < 0 || c.State.Attempt.Tries < 0 {
			t.Fatalf("a state that cannot be: %+v", c.State)
		}
		// What is read must be fit to be written and read again, to the same effect.
		again, err := Encode(c)
		if err != nil {
			return // it does not fit: said, not written
		}
		c2, err := Decode(again)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if c2.State.Idle != c.State.Idle || c2.State.StartID != strings.ToValidUTF8(c.State.StartID, "\ufffd") {
			t.Fatalf("the clock changed: %s to %s", c.State.Idle, c2.State.Idle)
		}
		if !json.Valid(again) {
			t.Fatal("not JSON")
		}
	})
}

// Contents grow and shrink, and the file that takes the other's place has been written before: nothing of what it held may
// be left behind the new.
func TestShorterContentsLeaveNothingOfLongerOnes(t *testing.T) {
	path := filepath.Join(t.TempDir(), fileName)
	for i, n := range []int{10, 4000, 3000, 5, 9000, 1, 2} {
		want := bytes.Repeat([]byte{'a' + byte(i)}, n)
		if err := replace(path, want, i%2 == 0); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("save %d of %d bytes reads %d bytes, %.20q, %v", i, n, len(got), got, err)
		}
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) > 2 {
		t.Errorf("the folder holds %d files, want two at most: %v, %v", len(entries), entries, err)
	}
}
