package supervisor

import (
	"strings"

	"github.com/gpu-watchdog/gpu-watchdog/internal/supervisor/link"
)

// forServer is the environment of the server: ours without our settings, and without the key that can stop this pod, with
// which RunPod fills every pod. systemd's own WATCHDOG_USEC and WATCHDOG_PID are not ours.
func forServer(environ []string) []string {
	out := make([]string, 0, len(environ))
	for _, e := range environ {
		name, _, _ := strings.Cut(e, "=")
		switch {
		case name == "WATCHDOG_USEC", name == "WATCHDOG_PID":
		case strings.HasPrefix(name, "WATCHDOG_"), name == "RUNPOD_API_KEY", name == link.Variable:
			continue
		}
		out = append(out, e)
	}
	return out
}

// shortestSecret: what is shorter hides nothing, and would blot out half a line.
const shortestSecret = 8

// secretsOf are the values that must not be repeated in what the server wrote: those of variables whose name says so, and of
// options on the command line.
func secretsOf(environ, argv []string) (out [][]byte) {
	add := func(v string) {
		if len(v) >= shortestSecret {
			out = append(out, []byte(wellFormed(v))) // as the lines are that it is looked for in
		}
	}
	for _, e := range environ {
		if name, value, _ := strings.Cut(e, "="); sounds(name) {
			add(value)
		}
	}
	for i, a := range argv {
		name, value, with := strings.Cut(a, "=")
		if !strings.HasPrefix(name, "-") || !sounds(name) {
			continue
		}
		switch {
		case with:
			add(value)
		case i+1 < len(argv):
			add(argv[i+1])
		}
	}
	return out
}

// sounds says that a name sounds like that of a secret.
func sounds(name string) bool {
	name = strings.ToUpper(name)
	for _, word := range [...]string{"KEY", "TOKEN", "SECRET", "PASSW", "CREDENTIAL"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}
