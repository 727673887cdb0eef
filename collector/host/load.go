package host

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// HostConfig says where to look.
type HostConfig struct {
	// Root is where /proc and /sys are looked for; empty is "/".
	Root string
}

// Host reads how much CPU the pod's cgroup uses and how much its network takes in, as means between two reads.
//
// In a Kubernetes sidecar the cgroup that can be seen is the sidecar's own, and the server's CPU is not in it. Where the
// containers share their processes that is found out here. Else the sidecar is its container's first process, and the caller
// must not take its load for the pod's.
type Host struct {
	root string

	mu       sync.Mutex
	account  cpuAccount // path is empty until one was found
	found    bool       // an account was found once: its absence is a failure from then on
	used     watchdog.Maybe[time.Duration]
	received map[string]uint64 // nil: no baseline
	// elsewhere: the server is in another container. That stays so, whoever comes into ours for a moment.
	elsewhere bool
	ownUsed   watchdog.Maybe[time.Duration]
	// window is the time since the last read that was measured, and last what that said.
	window time.Duration
	last   watchdog.Host
}

// leastWindow is the shortest that says something of the pod. A final look follows a tick within a millisecond or two, of which our
// own look is the most: a core or more, and a page's bytes as a stream of megabytes.
const leastWindow = 50 * time.Millisecond

// NewHost prepares a reader; nothing is read before the first Read.
func NewHost(cfg HostConfig) *Host { return &Host{root: cfg.Root} }

// Read compares with the previous Read, elapsed ago by the monotonic clock. Values are unknown where there is nothing
// to compare with: at the first read, after a failed one, where elapsed is not positive, or where a counter fell. Within
// leastWindow of the last read they are that one's, and the next goes on from there.
//
// Absent: the cgroup's CPU time cannot be had here. The network's intake may be known all the same.
func (h *Host) Read(ctx context.Context, elapsed time.Duration) watchdog.Host {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := ctx.Err(); err != nil {
		// These files answer at once or not at all, so asking late is the only thing to refuse.
		h.used, h.received = watchdog.Maybe[time.Duration]{}, nil
		h.ownUsed = watchdog.Maybe[time.Duration]{}
		h.window, h.last = 0, watchdog.Host{}
		return watchdog.Host{State: watchdog.SourceFailed, Reason: fmt.Sprintf("read the pod's load: %v", err)}
	}
	if h.window += elapsed; elapsed > 0 && h.window < leastWindow && h.last.State == watchdog.SourceOK {
		return h.last
	}
	elapsed, h.window = h.window, 0
	out := watchdog.Host{State: watchdog.SourceOK}
	if err := h.cpu(&out, elapsed); err != nil {
		out.State, out.Reason = watchdog.SourceAbsent, fmt.Sprintf("read the pod's CPU time: %v", err)
		if h.found {
			out.State = watchdog.SourceFailed
		}
		h.used = watchdog.Maybe[time.Duration]{}
	}
	h.network(&out, elapsed)
	h.own(&out, elapsed)
	h.last = out
	return out
}

// Account is the file in which the kernel counts the pod's CPU time, as "/sys/fs/cgroup/cpu.stat", and the version of cgroups that
// it belongs to; empty and 0 before one was found.
func (h *Host) Account() (file string, version int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.account.path == "":
		return "", 0
	case strings.HasSuffix(h.account.path, cpuAcctFile):
		return h.account.path, 1
	}
	return h.account.path, 2
}

func (h *Host) cpu(out *watchdog.Host, elapsed time.Duration) error {
	if h.elsewhere {
		return errOtherContainer
	}
	if h.account.path == "" {
		account, err := findCPUAccount(h.root)
		h.elsewhere = errors.Is(err, errOtherContainer)
		if err != nil {
			return err
		}
		h.account, h.found = account, true
	}
	used, err := h.account.usage(h.root)
	if err != nil {
		h.account = cpuAccount{} // it may have moved: look again next time
		return err
	}
	if h.used.Known && used >= h.used.Value && elapsed > 0 {
		out.CPUCores = watchdog.Known((used - h.used.Value).Seconds() / elapsed.Seconds())
	}
	h.used = watchdog.Known(used)
	return nil
}

// own counts what we use ourselves, all threads of it.
func (h *Host) own(out *watchdog.Host, elapsed time.Duration) {
	before := h.ownUsed
	h.ownUsed = watchdog.Maybe[time.Duration]{}
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return
	}
	used := time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	if before.Known && used >= before.Value && elapsed > 0 {
		out.OwnCores = watchdog.Known((used - before.Value).Seconds() / elapsed.Seconds())
	}
	h.ownUsed = watchdog.Known(used)
}

// network sums what grew on the interfaces that both reads know; one that fell makes the window unknown.
func (h *Host) network(out *watchdog.Host, elapsed time.Duration) {
	now, err := receivedBytes(h.root)
	before := h.received
	h.received = now
	if err != nil || before == nil || elapsed <= 0 {
		return
	}
	var grown uint64
	for name, bytes := range now {
		was, known := before[name]
		if !known {
			continue // its history is not this window's
		}
		if bytes < was {
			return
		}
		grown += bytes - was
	}
	out.ReceivedBytesPerSecond = watchdog.Known(float64(grown) / elapsed.Seconds())
}
