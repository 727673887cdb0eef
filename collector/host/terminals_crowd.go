package host

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ptyMajor is the device number of the programs' ends of pseudo terminals.
const ptyMajor = 136

// ttyProcess is one process, as far as it says who uses a terminal.
type ttyProcess struct {
	pid, group, session int
	// tty is the number of its controlling terminal, -1 where that is no pseudo terminal.
	tty int
	// front is the process group in the foreground of that terminal, -1 where there is none.
	front int
	state byte
	name  string
	// serves: it is a server's; ours: it is the watchdog's.
	serves, ours bool
}

// crowd are the processes on one terminal, in the order of their numbers.
type crowd []ttyProcess

// front names the program that reads what is typed.
func (c crowd) front() string {
	for _, is := range []func(p ttyProcess) bool{
		func(p ttyProcess) bool { return p.pid == p.front },
		func(p ttyProcess) bool { return p.group == p.front && p.alive() },
		func(p ttyProcess) bool { return p.pid == p.session },
		func(ttyProcess) bool { return true },
	} {
		if i := slices.IndexFunc(c, is); i >= 0 {
			return c[i].name
		}
	}
	return ""
}

// writer names a program whose output on this terminal is a use of it, or nothing. Which of several programs has written is not
// known: one that may have done so is enough, and a server that may have is enough to say nothing.
func (c crowd) writer(console bool) string {
	first := slices.IndexFunc(c, func(p ttyProcess) bool { return p.pid == 1 })
	console = console || first >= 0
	if slices.ContainsFunc(c, func(p ttyProcess) bool { return p.serves || p.ours }) {
		return ""
	}
	if console && (first < 0 || !isShell(c[first].name) || c[first].front == c[first].group) {
		return ""
	}
	name := ""
	for _, p := range c {
		switch {
		case !p.mayWrite():
		case p.group == p.front:
			return p.name
		case !console:
			name = cmp.Or(name, p.name)
		}
	}
	return name
}

// mayWrite says whether output may be this program's, and says that something is done here.
func (p ttyProcess) mayWrite() bool {
	// The shell of a login only answers what is typed. One below it may be a script.
	return p.alive() && p.state != 'T' && !(p.pid == p.session && isShell(p.name)) && !onlyShows(p.name)
}

// alive: neither ended nor about to.
func (p ttyProcess) alive() bool { return p.state != 'Z' && p.state != 'X' && p.state != 'x' }

func isShell(name string) bool {
	return slices.Contains([]string{"sh", "ash", "bash", "busybox", "csh", "dash", "fish", "ksh", "login", "mksh", "nu", "tcsh", "xonsh", "zsh"}, name)
}

// onlyShows names programs whose output says nothing about what people do. They write for as long as their window is left open.
//
// The first ones pass on what happens on another terminal of this container, where it is seen by itself, and tmux draws a clock.
// The others show what goes on elsewhere. What is typed into any of them counts.
func onlyShows(name string) bool {
	return strings.HasPrefix(name, "tmux") || slices.Contains([]string{
		"abduco", "dtach", "dvtm", "screen", "script", "su", "sudo", "zellij",
		"atop", "bmon", "bpytop", "btop", "dmesg", "dstat", "glances", "gpustat", "htop", "iftop", "iostat", "iotop", "journalctl", "less",
		"mpstat", "nload", "nvidia-smi", "nvitop", "nvtop", "pidstat", "sar", "tail", "top", "vmstat", "watch",
	}, name)
}

// isServerName knows vLLM's processes by the names that they give themselves: so also before they listen, and where the files of
// another user's process cannot be seen. The kernel keeps 15 characters.
func isServerName(name string) bool { return name == "vllm" || strings.HasPrefix(name, "VLLM::") }

// parseTTYProcess reads /proc/PID/stat. Field 2 is the command's name in parentheses and may hold blanks and parentheses itself.
func parseTTYProcess(stat string) (ttyProcess, error) {
	begin, end := strings.IndexByte(stat, '('), strings.LastIndexByte(stat, ')')
	if begin < 0 || end < begin {
		return ttyProcess{}, errors.New("no command's name")
	}
	p := ttyProcess{name: programName(stat[begin+1 : end])}
	fields := strings.Fields(stat[end+1:])
	if len(fields) < 6 || len(fields[0]) != 1 {
		return ttyProcess{}, fmt.Errorf("%d fields behind the command's name", len(fields))
	}
	p.state = fields[0][0]
	var tty int
	for _, field := range []struct {
		text string
		into *int
	}{
		{strings.TrimSpace(stat[:begin]), &p.pid}, {fields[2], &p.group}, {fields[3], &p.session},
		{fields[4], &tty}, {fields[5], &p.front},
	} {
		n, err := strconv.ParseInt(field.text, 10, 32)
		if err != nil {
			return ttyProcess{}, err
		}
		*field.into = int(n)
	}
	p.tty = ptyNumber(uint32(tty))
	return p, nil
}

// ptyNumber takes a device number apart as the kernel puts it together: 8 bits of the minor number, 12 of the major one, 12 more of
// the minor one.
func ptyNumber(device uint32) int {
	if device>>8&0xfff != ptyMajor {
		return -1
	}
	return int(device&0xff | device>>12&0xfff00)
}

// programName makes a name that a process has given itself fit for a log: no line breaks or the like.
func programName(comm string) string {
	const enough = 64 // the kernel keeps 15, and may write each as an escape of four
	return strings.Map(func(r rune) rune {
		if r != ' ' && unprintable(r) {
			return '?'
		}
		return r
	}, comm[:min(len(comm), enough)])
}
