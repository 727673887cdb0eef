package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// FuzzLoad takes lines of an environment. Whatever they are, the result is a configuration within its documented
// ranges that reads back from its own table, or an *Error with at least one problem; no output shows the planted
// secret; and memory stays in proportion to the input.
func FuzzLoad(f *testing.F) {
	f.Add(strings.Join(with(), "\n"))
	f.Add("")
	f.Add("WATCHDOG_IDLE_LIMIT=1")
	for short, row := range rows {
		for _, r := range row.ok {
			f.Add(Prefix + short + "=" + r.value)
		}
		for _, r := range row.bad {
			if len(r.value) < 1000 {
				f.Add(Prefix + short + "=" + r.value)
			}
		}
	}
	f.Add("WATCHDOG_POLICY=fixed\nWATCHDOG_IDLE_LIMIT=7\nWATCHDOG_IDLE_MIN=1m\nWATCHDOG_RUNPOD_API_KEY_FILE=/run/secrets/two")
	f.Add("WATCHDOG_RUNPOD_API_KEY_FILE=/run/secrets/key\nWATCHDOG_DRYRUN=1\nWATCHDOG_=\nWATCHDOG_WAKE=auto\n=\nRUNPOD_API_KEY=x y")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "PLANTED7") || len(text) > 1<<16 {
			t.Skip()
		}
		const hidden = "\nWATCHDOG_STOP_URL=https://h.example/" + planted + "\nWATCHDOG_NOTIFY_URL=https://u:" + planted + "@h.example/x" +
			"\nWATCHDOG_STOP_COMMAND=sh -c " + planted + "\nWATCHDOG_WEBHOOK_SECRET=" + planted
		for _, secret := range []string{key + "=" + planted, key + "=" + planted + hidden, key + "=" + planted + "\n" + planted, keyFile + "=/run/secrets/key", keyFile + "=/run/secrets/two"} {
			lines := append(strings.Split(secret, "\n"), strings.Split(text, "\n")...) // the first of a name counts
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			c, err := Load(lines, options())
			runtime.ReadMemStats(&after)
			if used, most := after.TotalAlloc-before.TotalAlloc, uint64(4<<20+400*len(text)); used > most {
				t.Fatalf("%d bytes of input took %d bytes of memory, want at most %d", len(text), used, most)
			}
			if err == nil {
				inRange(t, c)
				readsBack(t, c)
				continue
			}
			var e *Error
			if !errors.As(err, &e) || len(e.Problems) == 0 {
				t.Fatalf("a strange error: %v", err)
			}
			if strings.Contains(err.Error(), "PLANTED7") {
				t.Fatalf("the error shows the secret: %v", err)
			}
			for _, p := range e.Problems {
				if p.Variable == "" || p.Text == "" || len(p.String()) > 1500 {
					t.Fatalf("a problem of %d bytes: %.300q", len(p.String()), p.String())
				}
			}
		}
	})
}

// inRange says the documented ranges once more, independently of the code that holds them.
func inRange(t *testing.T, c Config) {
	t.Helper()
	holds := func(ok bool, what string, v any) {
		t.Helper()
		if !ok {
			t.Errorf("%s is %v", what, v)
		}
	}
	const year = 8760 * time.Hour
	for what, d := range map[string]time.Duration{"IDLE_MIN": c.IdleMin, "IDLE_MAX": c.IdleMax, "MIN_RUNTIME": c.MinRuntime, "WARN_BEFORE": c.WarnBefore, "COLD_START_UNSEEN": c.ColdStartUnseen, "BLIND_LIMIT": c.BlindLimit, "MAX_RUNTIME": c.MaxRuntime} {
		holds(d >= 0 && d <= year, what, d)
	}
	for what, d := range map[string]time.Duration{"STARTUP_TIMEOUT": c.StartupTimeout, "BROKEN_LIMIT": c.BrokenLimit, "COLD_START": c.ColdStart, "IDLE_LIMIT": c.IdleLimit.Resolve(c.CheckInterval)} {
		holds(d > 0 && d <= year, what, d)
	}
	holds(c.CheckInterval >= 100*time.Millisecond && c.CheckInterval <= year, "CHECK_INTERVAL", c.CheckInterval)
	holds(c.IdleMax == 0 || c.IdleMin <= c.IdleMax, "IDLE_MAX", c.IdleMax)
	if c.IdleLimit.Set {
		holds(c.InForce() == PolicyFixed || c.InForce() == PolicySeed, "POLICY", c.Policy)
		holds(c.IdleMax == 0 || c.IdleLimit.Resolve(c.CheckInterval) <= c.IdleMax, "IDLE_LIMIT", c.IdleLimit)
	}
	for what, usd := range map[string]float64{"PRICE": c.Price.Or(0), "STORAGE_RUNNING": c.StorageRunning, "STORAGE_STOPPED": c.StorageStopped, "penalty": c.ColdStartPenalty.USD, "factor": c.ColdStartPenalty.Factor} {
		holds(usd >= 0 && usd <= 1000 && !math.Signbit(usd), what, usd) // NaN fails both
	}
	th := c.IdleThreshold
	holds((th.Mode == ThresholdFixed) == (th.Percent > 0) && th.Percent <= 100 && th.Mode != "", "IDLE_THRESHOLD", th)
	for _, u := range append([]string{string(c.RunpodAPIURL), string(c.RunpodGraphQLURL)}, c.VLLMURLs...) {
		p, err := url.Parse(u)
		holds(err == nil && p.User == nil && p.RawQuery == "" && p.Fragment == "" && p.Hostname() != "" && !strings.HasSuffix(u, "/"), "URL", u)
	}
	for _, u := range []APIURL{c.RunpodAPIURL, c.RunpodGraphQLURL} {
		p, _ := url.Parse(string(u))
		holds(p.Scheme == "https" || isLoopback(p.Hostname()), "API", u)
	}
	g := c.GPUs
	holds(g.All && !g.None && g.List == nil || g.None && !g.All && g.List == nil || !g.All && !g.None && len(g.List) > 0, "GPUS", g)
	holds(c.Name != "" && c.Name != "." && c.Name != ".." && len(c.Name) <= 128 && !strings.ContainsAny(c.Name, "/\x00\n "), "NAME", c.Name)
	holds(strings.HasPrefix(c.Dir, "/") && c.Dir != "/" && strings.HasPrefix(c.StartIDFile, "/"), "DIR", c.Dir)
	holds(c.NVMLLibrary != "" && c.Listen != "" && c.LogLevel != "" && c.LogFormat != "" && c.Policy != "", "a word", c.Policy)
	holds(c.TerminalGuard >= 0 && c.TerminalGuard <= 24*time.Hour, "TERMINAL_GUARD", c.TerminalGuard)
	holds(c.CPUBusy >= 0 && c.CPUBusy <= 4096 && !math.Signbit(float64(c.CPUBusy)), "CPU_BUSY", c.CPUBusy)
	holds(c.MaxSpendPerDay >= 0 && c.MaxSpendPerDay <= 24000 && (c.MaxSpendPerDay == 0 || c.Price.Known), "MAX_SPEND_PER_DAY", c.MaxSpendPerDay)
	holds(c.ProbeMaxTokens >= 0 && c.ProbeMaxTokens <= 100_000, "PROBE_MAX_TOKENS", c.ProbeMaxTokens)
	for i, p := range c.Ports {
		_, listen, _ := net.SplitHostPort(string(c.Listen))
		holds(p > 0 && !slices.Contains(c.Ports[:i], p) && fmt.Sprint(p) != listen, "PORTS", c.Ports)
	}
	for i, target := range c.Stop {
		known := map[string]bool{"runpod": true, "kubernetes": true, "webhook": c.StopURL.IsSet(), "command": len(c.StopCommand.Argv()) > 0}
		holds(known[target] && !slices.Contains(c.Stop[:i], target), "STOP", c.Stop)
	}
	holds(c.StopAction == "stop" || c.StopAction == "terminate" || c.StopAction == "terminate-and-lose-data", "STOP_ACTION", c.StopAction)
	kind, name, _ := strings.Cut(string(c.KubernetesTarget), "/")
	holds(c.KubernetesTarget == "" || kind != "" && name != "" && kind == strings.ToLower(kind) && !strings.ContainsAny(name, "/ "), "KUBERNETES_TARGET", c.KubernetesTarget)
	holds(c.ControlSocket == "" || strings.HasPrefix(c.ControlSocket, "/") && c.ControlSocket != "/" && len(c.ControlSocket) <= 107, "CONTROL_SOCKET", c.ControlSocket)
	for _, h := range []HookURL{c.StopURL, c.NotifyURL} {
		u, err := url.Parse(h.Reveal())
		holds(!h.IsSet() || err == nil && u.Hostname() != "" && (u.Scheme == "https" || u.Scheme == "http"), "hook", h)
	}
	holds(c.RunpodAPIKey.IsSet(), "key", c.RunpodAPIKey)
}

// readsBack feeds a table to Load again, and looks for the secret in it.
func readsBack(t *testing.T, c Config) {
	t.Helper()
	for _, r := range c.Table() {
		if strings.Contains(r.Value+r.Default, "PLANTED7") {
			t.Fatalf("the table shows the secret: %v", r)
		}
	}
	for _, w := range c.Warnings() {
		if strings.Contains(w, "PLANTED7") {
			t.Fatalf("a warning shows the secret: %s", w)
		}
	}
	again, err := Load(rebuilt(c), options())
	if err != nil {
		t.Fatalf("the table %q does not read back: %v", rebuilt(c), err)
	}
	if c.Hash() != again.Hash() {
		t.Fatalf("the table %q reads back as %q", rebuilt(c), rebuilt(again))
	}
}
