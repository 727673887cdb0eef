package config

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Ports are TCP ports, 1 to 65535, each once, in the order in which they were given.
type Ports []uint16

func (p Ports) String() string {
	if len(p) == 0 {
		return none
	}
	parts := make([]string, len(p))
	for i, port := range p {
		parts[i] = strconv.Itoa(int(port))
	}
	return strings.Join(parts, ",")
}

const none = "none"

func parsePorts(s string) (any, error) {
	if s == none {
		return Ports(nil), nil
	}
	ports, err := eachOnce(s, "port", parsePort)
	return Ports(ports), err
}

// parsePort reads one port; or it says what is wrong.
func parsePort(s string) (uint16, string) {
	n, err := strconv.ParseUint(s, 10, 16)
	if err == nil && n > 0 && strconv.FormatUint(n, 10) == s {
		return uint16(n), ""
	}
	if s == none {
		return 0, "stands alone; write none, or the ports"
	}
	if _, port, err := net.SplitHostPort(s); err == nil && isPort(port, false) {
		return 0, "has a host, and a port is watched whatever the address; did you mean " + port + "?"
	}
	if from, to, isRange := strings.Cut(s, "-"); isRange && isPort(from, false) && isPort(to, false) {
		return 0, "is a range; name each port: " + from + "," + to
	}
	return 0, "is no TCP port; a port is a number from 1 to 65535"
}

// checkPorts: what comes to our own pages is no work, or reading them would keep the pod awake.
func (l *loader) checkPorts() {
	if !l.found.good(Prefix + "PORTS") {
		return
	}
	for _, own := range []struct{ variable, address, what string }{
		{Prefix + "LISTEN", string(l.cfg.Listen), "reading the page or /metrics"},
		{Prefix + "INGEST_LISTEN", string(l.cfg.IngestListen), "sending spans and rows"},
	} {
		_, text, err := net.SplitHostPort(own.address)
		port, flaw := parsePort(text)
		if err == nil && flaw == "" && slices.Contains(l.cfg.Ports, port) && l.found.good(own.variable) {
			l.found.add(Prefix+"PORTS", text, fmt.Sprintf("is the watchdog's own port, of %s=%s: %s would count as work there and keep the pod awake; take it out",
				own.variable, own.address, own.what))
		}
	}
}

// serverPorts are the ports of those servers of VLLM_URLS that are named as being on this machine.
func (c Config) serverPorts() Ports {
	var ports Ports
	for _, s := range c.VLLMURLs {
		u, err := url.Parse(s)
		if err != nil || !isLoopback(u.Hostname()) {
			continue
		}
		_, text, err := net.SplitHostPort(hostPort(u))
		if port, flaw := parsePort(text); err == nil && flaw == "" {
			ports = append(ports, port)
		}
	}
	return ports
}
