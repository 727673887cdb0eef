package doctor

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/host"
	"github.com/gpu-watchdog/gpu-watchdog/collector/vllm"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// slowPage is how long a page may take before somebody should know.
const slowPage = 500 * time.Millisecond

func (e *examination) noServer(context.Context) []Finding {
	if e.Config.GPUs.None && len(e.Config.Ports) == 0 && e.Config.CPUBusy == 0 {
		return []Finding{{Verdict: Failed, Detail: "WATCHDOG_VLLM_URLS, WATCHDOG_GPUS and WATCHDOG_PORTS are none, and WATCHDOG_CPU_BUSY is 0: nothing here can tell work from idleness",
			Remedy: "unset WATCHDOG_GPUS, or name the server's port in WATCHDOG_PORTS"}}
	}
	return []Finding{{Verdict: Note, Detail: "WATCHDOG_VLLM_URLS is none: no server is asked whether it works, so only GPU, CPU and ports tell"}}
}

// server reads one server twice: the second time is what a look costs once the connection stands.
func (e *examination) server(ctx context.Context, url string) []Finding {
	client, err := vllm.New(vllm.Config{URL: url, UserAgent: e.Agent})
	if err != nil {
		return []Finding{{Verdict: Failed, Detail: err.Error(), Remedy: "correct WATCHDOG_VLLM_URLS"}}
	}
	defer client.Close()
	s := client.Read(ctx)
	if again := client.Read(ctx); s.Outcome == watchdog.OutcomeAnswered && again.Outcome == watchdog.OutcomeAnswered {
		s = again
	}
	return []Finding{judgeServer(s)}
}

// judgeServer puts one reading into words.
func judgeServer(s watchdog.Server) Finding {
	const elsewhere = "if it listens elsewhere, set WATCHDOG_VLLM_URLS; `none` if there is no such server"
	f := Finding{Verdict: OK}
	switch {
	case s.Health == watchdog.HealthDead:
		f.Verdict, f.Detail = Failed, s.URL+": /health answers 503: its engine is dead, and no request will be answered any more"
		f.Remedy = "start the server again; its log says what it died of"
		return f
	case s.Outcome == watchdog.OutcomeRefused:
		f.Verdict, f.Detail = Warning, s.URL+": nobody listens there: the server is not started, or still loading its model"
		f.Remedy = "start it, and ask again; " + elsewhere
		return f
	case s.Outcome == watchdog.OutcomeTimeout:
		f.Verdict, f.Detail = Failed, s.URL+": "+s.Detail
		f.Remedy = "a server that does not answer is never taken for idle, so this pod would run on; see whether it hangs; " + elsewhere
		return f
	case s.Outcome != watchdog.OutcomeAnswered:
		f.Verdict, f.Detail = Failed, s.URL+": "+s.Detail
		f.Remedy = "a server that cannot be read is never taken for idle, so this pod would run on; " + elsewhere
		return f
	}
	name := "vLLM"
	if s.Version != "" {
		name += " " + s.Version
	}
	if !s.EngineSeries {
		f.Verdict, f.Detail = Warning, fmt.Sprintf("%s: %s", s.URL, s.Detail)
		f.Remedy = "start vLLM without --disable-log-stats: without its counters, only finished HTTP requests, sockets and GPU tell work"
		if !s.HTTPSeries {
			f.Verdict, f.Remedy = Failed, "nothing on that page tells work, so this pod would run on; "+elsewhere
		}
		return f
	}
	f.Detail = fmt.Sprintf("%s: %s, %s; %s; its page was read in %s", s.URL, name, engines(s), load(s), span(s.Took))
	switch {
	case s.Health != watchdog.HealthOK:
		f.Verdict, f.Detail = Warning, f.Detail+"; "+s.Detail
		f.Remedy = "see whether it is healthy: curl " + s.URL + "/health"
	case s.Took >= slowPage:
		f.Verdict, f.Remedy = Warning, "a look gives up after 2s: see whether the server is short of CPU"
	}
	return f
}

// engines says what the engines do now.
func engines(s watchdog.Server) string {
	if len(s.Engines) == 0 {
		return "no request yet"
	}
	running, waiting, asleep, unknown := 0.0, 0.0, 0, false
	for _, e := range s.Engines {
		running, waiting = running+e.Running.Value, waiting+e.Waiting.Value
		unknown = unknown || !e.Running.Known
		if e.Awake.Known && !e.Awake.Value {
			asleep++
		}
	}
	out := count(len(s.Engines), "engine", "engines")
	if unknown {
		out += " without a gauge of running requests yet"
	} else {
		out += fmt.Sprintf(", %.0f running and %.0f waiting", running, waiting)
	}
	if asleep > 0 {
		out += fmt.Sprintf(", %d asleep", asleep)
	}
	return out
}

// load says what /load tells. 0 is also what it says where the server does not count, so that cannot be told from quiet.
func load(s watchdog.Server) string {
	running := 0.0
	for _, e := range s.Engines {
		running += e.Running.Value
	}
	switch {
	case !s.Load.Known:
		return "it has no /load"
	case s.Load.Value > 0:
		return fmt.Sprintf("/load counts (%.0f now)", s.Load.Value)
	case running > 0:
		return "/load does not count: add --enable-server-load-tracking, which tells of a request before any gauge does"
	}
	return "/load says 0, as it also does without --enable-server-load-tracking"
}

// sockets tells whether the kernel shows who is connected.
func (e *examination) sockets(ctx context.Context) []Finding {
	if len(e.Ports) == 0 {
		return []Finding{{Verdict: Note, Detail: "no server of WATCHDOG_VLLM_URLS is on this machine, and WATCHDOG_PORTS is none: no connections are looked at"}}
	}
	table := host.NewSockets(host.SocketConfig{Ports: e.Ports})
	defer func() { _ = table.Close() }() // it was only read
	return []Finding{judgeSockets(table.Read(ctx), e.Ports)}
}

func judgeSockets(s watchdog.Sockets, served []uint16) Finding {
	missing := slices.DeleteFunc(slices.Clone(served), func(p uint16) bool { return slices.Contains(s.Listening, p) })
	switch {
	case s.State == watchdog.SourceFailed:
		return Finding{Verdict: Warning, Detail: s.Reason, Remedy: "ask again; if it stays, requests that are computed for long can only be seen by vLLM's own gauges"}
	case s.State == watchdog.SourceAbsent && strings.Contains(s.Reason, "no listener"):
		return Finding{Verdict: Note, Detail: "the kernel answers, and nobody listens on " + ports(served) + " in this network namespace yet",
			Remedy: "nothing, if the server is not started yet; else run gpu-watchdog in the server's pod or container"}
	case s.State != watchdog.SourceOK:
		return Finding{Verdict: Warning, Detail: s.Reason, Remedy: "allow sock_diag (netlink) to this container: it needs no capability, but sandboxes such as gVisor lack it"}
	}
	f := Finding{Verdict: OK, Detail: "the kernel shows who is connected to " + ports(s.Listening)}
	if len(missing) > 0 {
		f.Verdict, f.Detail = Warning, f.Detail+"; nobody listens on "+ports(missing)
		f.Remedy = "start what serves there, or take the port out of WATCHDOG_VLLM_URLS and WATCHDOG_PORTS"
	}
	return f
}

const elsewhere = "the server's is in another container, and cannot be seen from this one"

// cpu measures the pod's load over the time that other checks take anyway.
func (e *examination) cpu(ctx context.Context) []Finding {
	if e.Sidecar {
		f := Finding{Verdict: Note, Detail: elsewhere + ": CPU is no evidence here"}
		if e.Config.CPUBusy > 0 {
			f.Verdict, f.Remedy = Warning, "WATCHDOG_CPU_BUSY has no effect here: share the process namespace (shareProcessNamespace), or run in the server's container"
		}
		return []Finding{f}
	}
	h := host.NewHost(host.HostConfig{})
	h.Read(ctx, 0)
	began := time.Now()
	if !wait(ctx, time.Second) {
		return []Finding{{Verdict: Warning, Detail: "the machine did not leave a second to measure in"}}
	}
	r := h.Read(ctx, time.Since(began))
	file, version := h.Account()
	return []Finding{judgeCPU(r, watchdog.CPULoad(r.CPUCores, r.OwnCores), file, version, float64(e.Config.CPUBusy))}
}

func judgeCPU(r watchdog.Host, cores watchdog.Maybe[float64], file string, version int, busy float64) Finding {
	if r.State != watchdog.SourceOK || !cores.Known {
		f := Finding{Verdict: Note, Detail: r.Reason, Remedy: "nothing, where a vLLM server is watched: CPU only confirms what it says"}
		if r.Reason == "" {
			f.Detail = "the pod's CPU time could not be measured within a second"
		}
		if busy > 0 {
			f.Verdict, f.Remedy = Warning, "WATCHDOG_CPU_BUSY has no effect until the CPU time can be read: mount /sys/fs/cgroup read-only"
		}
		return f
	}
	return Finding{Verdict: OK, Detail: fmt.Sprintf("%.1f cores in use now, by %s (cgroup v%d)", cores.Value, file, version)}
}

// wait says whether so much time passed before ctx ended.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// terminals tells whether somebody works here by hand.
func (e *examination) terminals(ctx context.Context) []Finding {
	switch {
	case e.Config.TerminalGuard == 0:
		return []Finding{{Verdict: Note, Detail: "WATCHDOG_TERMINAL_GUARD is 0: this pod is stopped even while somebody types in it"}}
	case e.Sidecar:
		return []Finding{{Verdict: Note, Detail: elsewhere + ": a terminal in use does not keep this pod", Remedy: "`gpu-watchdog hold 2h` keeps it while you work in it"}}
	}
	return []Finding{judgeTerminals(host.NewTerminals(host.TerminalConfig{Ports: e.Ports}).Read(ctx), e.Config.TerminalGuard)}
}

func judgeTerminals(r host.TerminalReading, guard time.Duration) Finding {
	if r.State != watchdog.SourceOK {
		return Finding{Verdict: Note, Detail: "terminals cannot be seen: " + r.Reason, Remedy: "`gpu-watchdog hold 2h` keeps this pod while you work in it"}
	}
	f := Finding{Verdict: OK, Detail: fmt.Sprintf("%s open, none of them used lately", count(r.Open, "terminal", "terminals"))}
	if r.Open == 0 {
		f.Detail = "none is open"
	}
	if len(r.Uses) > 0 {
		last := r.Uses[0]
		f.Detail = fmt.Sprintf("%s open; %s was used %s ago", count(r.Open, "terminal", "terminals"), last.Name, span(last.Ago))
		if last.Program != "" {
			f.Detail += " (" + last.Program + ")"
		}
	}
	f.Detail += fmt.Sprintf("; one that is used keeps this pod for %s", span(guard))
	return f
}
