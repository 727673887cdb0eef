package watchdog

import (
	"fmt"
	"strings"
	"time"
)

// The codes of alarms.
const (
	AlarmSourceFailing = "source_failing"
	AlarmSourceDropped = "source_dropped"
	AlarmNeverReady    = "server_not_ready"
	AlarmServerDead    = "server_dead"
	AlarmNotVLLM       = "server_unreadable"
	AlarmGPUAlone      = "gpu_active_alone"
	AlarmStuck         = "requests_stuck"
	AlarmOneSource     = "evidence_single"
	AlarmUnproven      = "stop_unproven"
	AlarmRefused       = "stop_refused"
	AlarmReverted      = "stop_reverted"
	AlarmIdentity      = "identity_unknown"
	AlarmBlind         = "blind"
	AlarmProbes        = "regular_probes"
	AlarmPorts         = "ports_unseen"
)

// alarms lists what a person should look at now. The shell logs each when it is raised and again from time to time.
func (r *Rules) alarms(n State, s Snapshot, srv servers, w window) []Alarm {
	var out []Alarm
	raise := func(code, format string, args ...any) { out = append(out, Alarm{code, fmt.Sprintf(format, args...)}) }
	for _, src := range []struct {
		name   string
		track  Track
		reason string
	}{
		{"the GPU", n.GPU, s.GPU.Reason},
		{"the socket table", n.Sockets, s.Sockets.Reason},
	} {
		r.failing(raise, src.name, src.track, src.reason)
	}
	if r.CPUBusy > 0 {
		r.failing(raise, "the CPU", n.Host, s.Host.Reason)
	}
	for i, server := range n.Servers {
		r.failing(raise, server.URL, server.Track, s.Servers[i].Detail)
	}
	if len(srv.overdue) > 0 {
		raise(AlarmNeverReady, "%s has not been ready within STARTUP_TIMEOUT (%s): look at the server's log%s", strings.Join(srv.overdue, ", "), r.StartupTimeout, r.consequence(w))
	}
	if len(srv.foreign) > 0 {
		raise(AlarmNotVLLM, "%s answers, but not with vLLM's metrics: its requests can only be seen in the socket table; was vLLM started with --disable-log-stats, or is the URL another server's?", strings.Join(srv.foreign, ", "))
	}
	if len(srv.garbled) > 0 {
		// vLLM refuses connections until it is ready, so this is no usual start: a wrong address, or something before it.
		raise(AlarmNotVLLM, "%s cannot be read as vLLM: it counts as loading within STARTUP_TIMEOUT (%s); correct WATCHDOG_VLLM_URLS, or what answers there", strings.Join(srv.garbled, ", "), r.StartupTimeout)
	}
	if srv.down != "" {
		raise(AlarmServerDead, "%s: it was ready before; the pod costs money and serves nobody: restart the server, or stop the pod%s", srv.down, r.consequence(w))
	}
	if n.GPUAloneFor > 2*r.BrokenLimit {
		raise(AlarmGPUAlone, "for %s the GPU has been the only sign of work, while the server is quiet and nobody waits: somebody else's work on a shared GPU? WATCHDOG_GPUS=none takes the GPU out of the evidence", n.GPUAloneFor.Round(time.Second))
	}
	if n.StuckFor > 2*r.BrokenLimit {
		raise(AlarmStuck, "for %s requests have waited and nothing that the server counts has moved, though GPU or CPU are busy: if it answers nobody, it hangs, and should be restarted; this pod is not stopped for it", n.StuckFor.Round(time.Second))
	}
	if n.OneSourceFor >= minuteOfFailure {
		raise(AlarmOneSource, "evidence=single: only one source of evidence works here (%s); a second one makes a stop safer", describe(w.evidence))
	}
	if n.UnknownFor+s.Elapsed >= minuteOfFailure && w.activity == Unknown {
		raise(AlarmBlind, "for %s it has not been possible to say whether this pod works (%s: %s); it is not stopped, and costs money", (n.UnknownFor + s.Elapsed).Round(time.Second), w.because[0].Code, w.because[0].Detail)
	}
	if s.RevertedUntil.After(s.At) {
		raise(AlarmReverted, "%s: who wants this pod to run? gpu-watchdog stops nothing until %s, or until a request comes", s.Reverted, s.RevertedUntil.UTC().Format(time.RFC3339))
	}
	if ports := r.unseen(n); len(ports) > 0 {
		raise(AlarmPorts, "nobody has listened on %s within STARTUP_TIMEOUT (%s), as far as can be seen from here: correct WATCHDOG_PORTS, or start what is to listen there", portNames(ports), r.StartupTimeout)
	}
	if text := r.keptAwake(w.probes.Regular); text != "" {
		raise(AlarmProbes, "%s", text)
	}
	if s.StartID == "" {
		raise(AlarmIdentity, "the identity of this start is unknown, so nothing will be stopped: make WATCHDOG_START_ID_FILE a writable path on the container's own disk")
	}
	return out
}

// keptAwake names the regular probes that count as work, and says what to do about them; empty where there is none.
func (r *Rules) keptAwake(probes []RegularProbe) string {
	var texts []string
	for _, p := range probes {
		switch most := p.MaxTokens(); {
		case !most.Known:
			texts = append(texts, p.String()+": if that is a health check and no work, let it ask another port, as nothing tells its bytes from work")
		case most.Value > r.ProbeMaxTokens:
			texts = append(texts, fmt.Sprintf("%s: if that is a monitor, WATCHDOG_PROBE_MAX_TOKENS=%d lets the pod sleep beside it, or let it ask /health", p, most.Value))
		}
	}
	if len(texts) == 0 {
		return ""
	}
	return "this pod is kept awake: " + strings.Join(texts, "; ")
}

// consequence says what becomes of a pod that serves nobody.
func (r *Rules) consequence(w window) string {
	if w.activity != Broken {
		return "; this pod is not stopped for it"
	}
	return fmt.Sprintf("; it is stopped after %s in which nothing is done about it", r.brokenLimit(w.because[0].Code))
}

func (r *Rules) failing(raise func(string, string, ...any), name string, t Track, reason string) {
	switch {
	case t.dropped(r.BrokenLimit):
		raise(AlarmSourceDropped, "%s has not answered for %s (%s) and no longer counts", name, t.FailedFor.Round(time.Second), reason)
	case t.FailedFor > 0 && t.FailedFor >= minuteOfFailure:
		raise(AlarmSourceFailing, "%s has not answered for %s (%s)", name, t.FailedFor.Round(time.Second), reason)
	}
}

func describe(e Evidence) string {
	return fmt.Sprintf("vllm %s, gpu %s, sockets %s, host %s", e.VLLM, e.GPU, e.Sockets, e.Host)
}
