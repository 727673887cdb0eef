package host

import (
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
)

// ServedPorts returns the ports of those URLs that lead to this machine, sorted, each once: the host is localhost, a
// loopback or unspecified address, an address of one of our interfaces, or our own host name. No name is looked up; a
// URL that cannot be read or leads elsewhere has no port here.
func ServedPorts(urls []string) []uint16 {
	var ports []uint16
	for _, raw := range urls {
		if port, ok := servedPort(raw, isOurs); ok {
			ports = append(ports, port)
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

func servedPort(raw string, ours func(netip.Addr) bool) (uint16, bool) {
	raw = strings.TrimSpace(raw)
	if !strings.Contains(raw, "://") {
		raw = "http://" + raw
	}
	u, err := url.Parse(raw)
	if err != nil {
		return 0, false
	}
	text := u.Port()
	if text == "" {
		text = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil || port == 0 {
		return 0, false
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return uint16(port), true
	}
	if name, err := os.Hostname(); err == nil && host == strings.ToLower(name) {
		return uint16(port), true
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return 0, false
	}
	address = address.Unmap().WithZone("")
	return uint16(port), address.IsLoopback() || address.IsUnspecified() || ours(address)
}

// isOurs says whether one of our interfaces has the address.
func isOurs(address netip.Addr) bool {
	interfaces, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, i := range interfaces {
		if prefix, err := netip.ParsePrefix(i.String()); err == nil && prefix.Addr().Unmap().WithZone("") == address {
			return true
		}
	}
	return false
}
