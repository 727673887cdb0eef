package host

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

const (
	// maxFiles bounds the open files of one process that are looked through for a server's socket.
	maxFiles = 4096
	// maxListeners bounds what is read of the table of sockets, which begins with the listening ones: some 1,700 lines.
	maxListeners = 256 << 10
)

// crowds finds who hangs on those terminals on which something has happened.
func (t *Terminals) crowds(ctx context.Context, device string, moved map[int]motion) (map[int]crowd, error) {
	if !t.privileged && hidesProcesses(t.root) {
		return nil, errors.New("/proc is mounted with hidepid, so that nobody can be told to use a terminal: run gpu-watchdog as root, or mount /proc without it")
	}
	out := map[int]crowd{}
	err := t.eachProcess(ctx, func(p ttyProcess) {
		if _, has := moved[p.tty]; has && t.shares(p.pid, device) {
			out[p.tty] = append(out[p.tty], p)
		}
	})
	if err != nil {
		return nil, err
	}
	own := ""
	if stat, err := readBounded(under(t.root, "/proc/self/stat"), maxProcFile); err == nil {
		if p, err := parseTTYProcess(string(stat)); err == nil {
			own = p.name // the supervisor is another process of the same program
		}
	}
	var sockets map[string]bool
	for number, c := range out {
		slices.SortFunc(c, func(a, b ttyProcess) int { return a.pid - b.pid })
		if !moved[number].wrote {
			continue
		}
		if sockets == nil {
			sockets = listeners(t.root, t.ports)
		}
		for i := range c {
			c[i].ours = c[i].pid == t.self || own != "" && c[i].name == own
			c[i].serves = isServerName(c[i].name) || len(sockets) > 0 && holds(t.root, c[i].pid, sockets)
		}
	}
	return out, nil
}

// eachProcess yields all processes that can be seen. One that ends meanwhile is left out; one that cannot be read is an error.
func (t *Terminals) eachProcess(ctx context.Context, yield func(ttyProcess)) error {
	dir, err := os.Open(under(t.root, "/proc"))
	if err != nil {
		return err
	}
	defer dir.Close()
	for {
		names, err := dir.Readdirnames(256)
		for _, name := range names {
			if _, err := strconv.ParseUint(name, 10, 32); err != nil {
				continue
			}
			path := under(t.root, "/proc/"+name+"/stat")
			stat, err := readBounded(path, maxProcFile)
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
				continue
			}
			if err != nil {
				return err
			}
			p, err := parseTTYProcess(string(stat))
			if err != nil {
				return fmt.Errorf("read %s: %w", path, err)
			}
			yield(p)
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("list /proc: %w", err)
		case ctx.Err() != nil:
			return ctx.Err()
		}
	}
}

// shares says whether a process has the same terminals mounted as we. In a process namespace that several containers share, the
// numbers of terminals are each container's own. Where it cannot be told, they are the same: then at worst a pod runs on.
func (t *Terminals) shares(pid int, device string) bool {
	page, err := readBounded(under(t.root, fmt.Sprintf("/proc/%d/mountinfo", pid)), maxProcFile)
	if err != nil {
		return true
	}
	others := false
	for _, m := range parseMounts(string(page)) {
		if m.kind == "devpts" {
			if m.device == device {
				return true
			}
			others = true
		}
	}
	return !others
}

// hidesProcesses says whether /proc shows only a user's own processes.
func hidesProcesses(root string) bool {
	page, err := readBounded(under(root, "/proc/self/mountinfo"), maxProcFile)
	if err != nil {
		return false
	}
	hides := false
	for line := range strings.Lines(string(page)) {
		before, after, _ := strings.Cut(line, " - ")
		fields, behind := strings.Fields(before), strings.Fields(after)
		if len(fields) < 5 || fields[4] != "/proc" || len(behind) < 3 || behind[0] != "proc" {
			continue
		}
		hides = false // the last mount covers those before it
		for option := range strings.SplitSeq(behind[2], ",") {
			if value, found := strings.CutPrefix(option, "hidepid="); found {
				hides = value != "0" && value != "off"
			}
		}
	}
	return hides
}

// listeners are the sockets that listen on the served ports, as /proc/PID/fd names them. What cannot be read has none.
func listeners(root string, ports []uint16) map[string]bool {
	out := map[string]bool{}
	if len(ports) == 0 {
		return out
	}
	for _, table := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		f, err := os.Open(under(root, table))
		if err != nil {
			continue
		}
		page, _ := io.ReadAll(io.LimitReader(f, maxListeners)) // what came before an error is true
		f.Close()
		for line := range strings.Lines(string(page)) {
			if !strings.HasSuffix(line, "\n") {
				break // cut off
			}
			if port, inode, ok := parseListener(line); ok && slices.Contains(ports, port) {
				out["socket:["+inode+"]"] = true
			}
		}
	}
	return out
}

// parseListener reads a line of /proc/net/tcp: number, local address, peer, state, queues, timers, retransmits, user, timeout, inode.
func parseListener(line string) (port uint16, inode string, ok bool) {
	fields := strings.Fields(line)
	if len(fields) < 10 || fields[3] != "0A" {
		return 0, "", false
	}
	_, hex, found := strings.Cut(fields[1], ":")
	n, err := strconv.ParseUint(hex, 16, 16)
	if !found || err != nil {
		return 0, "", false
	}
	if _, err := strconv.ParseUint(fields[9], 10, 64); err != nil || fields[9] == "0" {
		return 0, "", false // 0: nobody holds it any more
	}
	return uint16(n), fields[9], true
}

// holds says whether a process has one of these sockets open. Another user's files cannot be seen: then it says no.
func holds(root string, pid int, sockets map[string]bool) bool {
	folder := under(root, fmt.Sprintf("/proc/%d/fd", pid))
	dir, err := os.Open(folder)
	if err != nil {
		return false
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(maxFiles)
	return slices.ContainsFunc(names, func(name string) bool {
		link, err := os.Readlink(folder + "/" + name)
		return err == nil && sockets[link]
	})
}
