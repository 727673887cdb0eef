package host

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// passiveOpens is the count of connections that this network namespace has accepted; unknown where it cannot be read.
func passiveOpens(root string) watchdog.Maybe[uint64] {
	page, err := readBounded(under(root, "/proc/self/net/snmp"), maxProcFile)
	if err != nil {
		return watchdog.Maybe[uint64]{}
	}
	return parsePassiveOpens(page)
}

// parsePassiveOpens reads /proc/net/snmp: two lines begin with "Tcp:", the names and then the values.
func parsePassiveOpens(page []byte) watchdog.Maybe[uint64] {
	var names []string
	for line := range strings.Lines(string(page)) {
		if !strings.HasPrefix(line, "Tcp:") {
			continue
		}
		fields := strings.Fields(line)
		if names == nil {
			names = fields
			continue
		}
		for i, name := range names {
			if name != "PassiveOpens" || i >= len(fields) {
				continue
			}
			if n, err := strconv.ParseUint(fields[i], 10, 64); err == nil {
				return watchdog.Known(n)
			}
		}
		break
	}
	return watchdog.Maybe[uint64]{}
}

// receivedBytes reads /proc/self/net/dev: the bytes that each interface has received, loopback excluded.
func receivedBytes(root string) (map[string]uint64, error) {
	page, err := readBounded(under(root, "/proc/self/net/dev"), maxProcFile)
	if err != nil {
		return nil, err
	}
	return parseReceivedBytes(page)
}

// parseReceivedBytes reads lines of "name: bytes packets …"; the two lines above them have no colon-ended name.
func parseReceivedBytes(page []byte) (map[string]uint64, error) {
	out := map[string]uint64{}
	for line := range bytes.Lines(page) {
		name, rest, found := bytes.Cut(line, []byte(":"))
		if !found {
			continue
		}
		fields := bytes.Fields(rest)
		key := string(bytes.TrimSpace(name))
		if key == "lo" {
			continue
		}
		if len(fields) == 0 {
			return nil, fmt.Errorf("no figures for interface %q", key)
		}
		n, err := strconv.ParseUint(string(fields[0]), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("bytes received on interface %q: %w", key, err)
		}
		out[key] = n
	}
	return out, nil
}
