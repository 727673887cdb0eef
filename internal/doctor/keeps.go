package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"syscall"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/control"
	"github.com/gpu-watchdog/gpu-watchdog/internal/listen"
	"github.com/gpu-watchdog/gpu-watchdog/internal/memory"
)

const (
	// roomFrom is the free space below which the telemetry may not fit; below roomLeast not even the memory does.
	roomFrom, roomLeast = 200e6, 1e6
	// freshFrom is how old a memory may be for its writer to be alive: it is written at least every few seconds.
	freshFrom = 30 * time.Second
)

// memory tells where measured starts and the idle clock would be kept, and for how long.
func (e *examination) memory(ctx context.Context) []Finding {
	s := memory.Peek(e.Config.Dir, e.Config.Name, e.TempDir, e.began)
	_, err := e.watchdogHere(ctx)
	out := []Finding{judgePlace(s, e.Config.Dir)}
	if s.Dir == "" || !s.Found {
		return out
	}
	return append(out, judgeMemory(s, err == nil))
}

func judgePlace(s memory.Sight, dir string) Finding {
	switch {
	case s.Dir == "":
		return Finding{Verdict: Failed, Detail: fmt.Sprintf("nothing can be kept: %v, nor into the temporary folder; the idle clock would begin at 0 with each start of the watchdog", s.Refused),
			Remedy: "set WATCHDOG_DIR to a folder that can be written, on a volume if there is one"}
	case s.Refused != nil:
		return Finding{Verdict: Warning, Detail: fmt.Sprintf("WATCHDOG_DIR cannot be used (%v), so %s would be: measured starts are lost when the pod stops", s.Refused, s.Dir),
			Remedy: "make it writable, or set WATCHDOG_DIR to a folder on a volume"}
	case s.FreeBytes < roomLeast:
		return Finding{Verdict: Failed, Detail: fmt.Sprintf("%s: the disk is full (%s left): nothing can be kept", s.Dir, size(float64(s.FreeBytes))), Remedy: "make room there, or set WATCHDOG_DIR to another disk"}
	case s.FreeBytes < roomFrom:
		return Finding{Verdict: Warning, Detail: fmt.Sprintf("%s: only %s are left on its disk", s.Dir, size(float64(s.FreeBytes))), Remedy: "make room there: requests and decisions of 90 days may take some 100 MB"}
	case !s.Persistent:
		return Finding{Verdict: Note, Detail: fmt.Sprintf("%s, on the container's own disk (%s free): it is lost when the pod stops, and with it the measured starts", s.Dir, size(float64(s.FreeBytes))),
			Remedy: "put WATCHDOG_DIR on a volume to keep them, such as a network volume at /workspace"}
	}
	return Finding{Verdict: OK, Detail: fmt.Sprintf("%s, on a volume that outlives a stop (%s free)", s.Dir, size(float64(s.FreeBytes)))}
}

func judgeMemory(s memory.Sight, watched bool) Finding {
	ago := span(s.WrittenAgo) + " ago"
	switch {
	case errors.Is(s.Unreadable, fs.ErrPermission):
		return Finding{Verdict: Failed, Detail: "memory.json is there and may not be read by this user", Remedy: "run gpu-watchdog as the user who wrote it, or hand the file over (chown)"}
	case s.Unreadable != nil:
		return Finding{Verdict: Warning, Detail: fmt.Sprintf("memory.json cannot be used (%v): the next watchdog would set it aside, never delete it, and begin anew", s.Unreadable),
			Remedy: "nothing, unless you have a copy of it from before"}
	case s.WrittenAgo < freshFrom && !watched:
		return Finding{Verdict: Warning, Detail: fmt.Sprintf("memory.json was written %s, and no watchdog answers here: another pod on this volume may have the same name", ago),
			Remedy: "give each pod on a volume a WATCHDOG_NAME of its own"}
	case s.WrittenAgo < freshFrom:
		return Finding{Verdict: OK, Detail: "memory.json is written by the watchdog that runs here"}
	}
	return Finding{Verdict: OK, Detail: fmt.Sprintf("memory.json is from %s, and holds %s", ago, count(len(s.Contents.Starts), "measured start", "measured starts"))}
}

// listen tells whether the page could be served, or is.
func (e *examination) listen(ctx context.Context) []Finding {
	_, err := e.watchdogHere(ctx)
	return []Finding{judgeAddress("the page and /metrics", string(e.Config.Listen), "WATCHDOG_LISTEN", listen.Try(string(e.Config.Listen)), err == nil)}
}

// ingest tells whether spans and rows could be taken in, or are.
func (e *examination) ingest(ctx context.Context) []Finding {
	address := string(e.Config.IngestListen)
	if address == "" {
		return []Finding{{Verdict: Note, Detail: "WATCHDOG_INGEST_LISTEN is off: requests are not taken in, and serving figures come from vLLM's histograms"}}
	}
	s, err := e.watchdogHere(ctx)
	ours := err == nil && !mentions(s.Warnings, "WATCHDOG_INGEST_LISTEN")
	return []Finding{judgeAddress("spans and posted rows", address, "WATCHDOG_INGEST_LISTEN", listen.Try(address), ours)}
}

// judgeAddress puts into words whether an address can be had. ours: a watchdog runs here and does not complain of it.
func judgeAddress(what, address, setting string, err error, ours bool) Finding {
	free := "127.0.0.1:" + map[string]string{"WATCHDOG_LISTEN": "9878"}[setting]
	if setting != "WATCHDOG_LISTEN" {
		free = "127.0.0.1:4319"
	}
	without := "the watch would go on without " + what
	switch {
	case err == nil:
		return Finding{Verdict: OK, Detail: address + " is free for " + what}
	case errors.Is(err, syscall.EADDRINUSE) && ours:
		return Finding{Verdict: OK, Detail: address + " is served by the watchdog that runs here"}
	case errors.Is(err, syscall.EADDRINUSE):
		_, port, _ := net.SplitHostPort(address)
		return Finding{Verdict: Warning, Detail: address + " is taken by another program: " + without,
			Remedy: fmt.Sprintf("end that program (ss -ltnp 'sport = :%s' names it), or set %s=%s", port, setting, free)}
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return Finding{Verdict: Warning, Detail: address + " is no address of this machine: " + without, Remedy: "set " + setting + "=" + free}
	case errors.Is(err, fs.ErrPermission):
		return Finding{Verdict: Warning, Detail: address + " may not be listened on by this user: " + without, Remedy: "set " + setting + " to a port of 1024 or above"}
	}
	return Finding{Verdict: Warning, Detail: fmt.Sprintf("%s cannot be listened on (%v): %s", address, err, without), Remedy: "correct " + setting}
}

// orders tells whether hold, postpone, release and stop could be taken, or are.
func (e *examination) orders(ctx context.Context) []Finding {
	if e.takesOrders(ctx) {
		return []Finding{{Verdict: OK, Detail: "a watchdog of this user takes orders: hold, postpone, release, stop"}}
	}
	path := e.ControlSocket
	if path == "" {
		path = control.DefaultPath()
	}
	if wrong, remedy := control.Peek(ctx, path); wrong != "" {
		return []Finding{{Verdict: Warning, Detail: path + " " + wrong + ": hold, postpone, release and stop would not be taken", Remedy: remedy}}
	}
	return []Finding{{Verdict: OK, Detail: path + " can be made: there hold, postpone, release and stop are taken"}}
}
