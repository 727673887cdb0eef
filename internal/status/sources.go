package status

import (
	"net/url"
	"slices"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/loop"
)

// The words for a source's state, the same as the decision line's evidence.
const (
	stateOK      = "ok"
	stateAbsent  = "absent"
	stateFailed  = "failed"
	stateDropped = "dropped"
)

func sources(v *loop.View, now time.Time) Sources {
	snap, evidence := v.Snapshot, v.Decision.Evidence
	out := Sources{
		VLLM:    []Server{},
		GPU:     []GPU{},
		Sockets: Sockets{State: text(evidence.Sockets), Ports: []uint16{}},
		Host:    Host{State: text(evidence.Host), CPUCores: finite(v.Decision.CPUCores), Terminals: snap.People.TerminalsOpen},
	}
	for _, s := range snap.Servers {
		out.VLLM = append(out.VLLM, Server{
			URL:         withoutSecrets(s.URL),
			State:       serverState(s, evidence.VLLM),
			Version:     text(s.Version),
			LastSuccess: instant(v.Servers[s.URL]),
		})
	}
	for _, d := range snap.GPU.Devices {
		out.GPU = append(out.GPU, GPU{
			UUID:         text(d.UUID),
			Name:         text(d.Name),
			State:        deviceState(d.State, evidence.GPU),
			PercentMax:   percentMax(d),
			FloorPercent: finite(v.Floors[d.UUID]),
		})
	}
	if len(out.GPU) == 0 && evidence.GPU != "" {
		out.GPU = append(out.GPU, GPU{State: evidence.GPU})
	}
	out.Sockets.Ports = append(out.Sockets.Ports, v.Identity.Ports...)
	if peer, age, ok := lastBytes(snap.Sockets.Connections); ok {
		out.Sockets.LastPeer = text(peer)
		out.Sockets.LastBytes = seconds(age + max(0, now.Sub(v.Decision.At)))
	} else {
		out.Sockets.LastPeer = text(v.Decision.Peer)
	}
	return out
}

// serverState words one server's last reading. The evidence of the decision covers all servers together: it tells only
// for those that do not answer whether they still count.
func serverState(s watchdog.Server, all string) string {
	if s.Ready() || s.Outcome == watchdog.OutcomeSkipped {
		return stateOK
	}
	if all == stateAbsent || all == stateDropped {
		return all
	}
	return stateFailed
}

func deviceState(s watchdog.SourceState, all string) string {
	switch s {
	case watchdog.SourceOK, watchdog.SourceSkipped:
		return stateOK
	case watchdog.SourceAbsent:
		return stateAbsent
	}
	if all == stateDropped || all == stateAbsent {
		return all
	}
	return stateFailed
}

// percentMax is the highest utilisation that was seen of a device in the last window.
func percentMax(d watchdog.Device) watchdog.Maybe[float64] {
	out := watchdog.Maybe[float64]{}
	if d.State != watchdog.SourceOK {
		return out
	}
	out = finite(d.Rate)
	if len(d.Samples) > 0 {
		out = watchdog.Known(max(out.Or(0), float64(slices.Max(d.Samples))))
	}
	return out
}

// lastBytes finds the connection on which bytes moved last. A connection that has sent nothing yet counts its silence
// from its birth, so only a direction with bytes is asked.
func lastBytes(connections []watchdog.Connection) (peer string, age time.Duration, ok bool) {
	for _, c := range connections {
		for _, way := range []struct {
			bytes uint64
			since time.Duration
		}{{c.Received, c.SinceReceived}, {c.Sent, c.SinceSent}} {
			if way.bytes > 0 && (!ok || way.since < age) {
				peer, age, ok = c.Peer, way.since, true
			}
		}
	}
	return peer, age, ok
}

// withoutSecrets takes user info and query out of a URL.
func withoutSecrets(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "(a URL that cannot be read)"
	}
	u.User, u.RawQuery, u.Fragment, u.RawFragment = nil, "", "", ""
	u.ForceQuery = false
	return u.String()
}
