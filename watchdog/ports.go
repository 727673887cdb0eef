package watchdog

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// PortState is what is remembered of one port of PORTS that is not a server's.
type PortState struct {
	Port uint16 `json:"port"`
	// Listening: it had a listener at the last look that could tell. Seen: it had one since this start of the pod.
	Listening bool `json:"listening"`
	Seen      bool `json:"seen"`
	// Waited is how long a listener was waited for, before there was one.
	Waited time.Duration `json:"waited_ns"`
	// StillFor is how long its connections have been owed an answer while nothing moved.
	StillFor time.Duration `json:"still_ns"`
}

// ports follows the ports of PORTS. A port that is a vLLM's, too, stays that vLLM's, whose page explains what goes on there.
func (r *Rules) ports(p []PortState, s Snapshot) []PortState {
	if len(r.Ports) == 0 {
		return nil
	}
	next := make([]PortState, 0, len(r.Ports))
	for _, port := range r.Ports {
		servers := slices.ContainsFunc(s.Servers, func(srv Server) bool { return srv.Port == port })
		if port == 0 || servers || slices.ContainsFunc(next, func(n PortState) bool { return n.Port == port }) {
			continue
		}
		n := portState(p, port)
		if s.Sockets.State == SourceOK || s.Sockets.State == SourceAbsent {
			n.Listening = s.Sockets.State == SourceOK && slices.Contains(s.Sockets.Listening, port)
		}
		if n.Seen = n.Seen || n.Listening; !n.Seen {
			n.Waited += s.Elapsed
		}
		next = append(next, n)
	}
	return next
}

func portState(p []PortState, port uint16) PortState {
	for _, s := range p {
		if s.Port == port {
			return s
		}
	}
	return PortState{Port: port}
}

// listens: a server that is not vLLM listens on a port of PORTS.
func (n State) listens() bool {
	return slices.ContainsFunc(n.Ports, func(p PortState) bool { return p.Listening })
}

// awaited says on which ports of PORTS the pod's server is still to come; empty once any has, or none is waited for any more.
func (r *Rules) awaited(n State, srv servers) string {
	seen := slices.ContainsFunc(n.Ports, func(p PortState) bool { return p.Seen })
	waits := slices.ContainsFunc(n.Ports, func(p PortState) bool { return p.Waited < r.StartupTimeout })
	if seen || !waits || srv.alive+srv.skipped > 0 {
		return ""
	}
	return "nobody listens yet on " + portNames(n.Ports)
}

// unseen are the ports of PORTS that nobody has listened on within STARTUP_TIMEOUT.
func (r *Rules) unseen(n State) []PortState {
	return slices.DeleteFunc(slices.Clone(n.Ports), func(p PortState) bool { return p.Seen || p.Waited < r.StartupTimeout })
}

func portNames(ports []PortState) string {
	names := make([]string, len(ports))
	for i, p := range ports {
		names[i] = fmt.Sprint(p.Port)
	}
	noun := "port "
	if len(ports) > 1 {
		noun = "ports "
	}
	return noun + strings.Join(names, ", ")
}

// table says that the socket table speaks of requests in place of the servers' pages. It can where a port of a vLLM has its listener
// here; with PORTS alone only where no vLLM may be serving out of its sight.
func table(n State, s Snapshot, t traffic) bool {
	if !t.quiet || s.Sockets.State != SourceOK {
		return false
	}
	hidden := false
	for i, server := range n.Servers {
		if slices.Contains(s.Sockets.Listening, s.Servers[i].Port) {
			return true
		}
		hidden = hidden || server.Ready && !server.Down
	}
	return len(n.Servers) == 0 || n.listens() && !hidden
}
