package config

import (
	"fmt"
	"slices"
)

// warn remarks on settings that are valid and may yet not do what was wanted.
func (l *loader) warn() {
	c := &l.cfg
	slices.Sort(c.warnings) // so far they have the order of the environment
	say := func(format string, args ...any) { c.warnings = append(c.warnings, fmt.Sprintf(format, args...)) }
	if !c.Listen.Loopback() {
		say("%sLISTEN=%s is open to whoever reaches that address: it can only be read, but by everyone there", Prefix, c.Listen)
	}
	if a := ListenAddress(c.IngestListen); a != "" && !a.Loopback() {
		say("%sINGEST_LISTEN=%s is open to the network, but only processes on this machine are answered there", Prefix, c.IngestListen)
	}
	if t := c.IdleThreshold; t.Mode == ThresholdFixed && t.Percent < 1 {
		say("%sIDLE_THRESHOLD=%s is a percentage, not a share: every sample of 1%% or more is work", Prefix, t)
	}
	if floor := 3 * c.CheckInterval; c.IdleLimit.Set && c.IdleLimit.Resolve(c.CheckInterval) < floor {
		say("%sIDLE_LIMIT=%s is shorter than three checks, which every stop takes: %s will pass", Prefix, c.IdleLimit, formatDuration(floor))
	}
	if c.InForce() == PolicyFixed {
		for _, bound := range []string{"IDLE_MIN", "IDLE_MAX"} {
			if c.Explicit(Prefix + bound) {
				say("%s%s bounds computed limits only and has no effect under %sPOLICY=%s", Prefix, bound, Prefix, c.InForce())
			}
		}
	}
	if c.Explicit(Prefix+"START_ID_FILE") && onVolume(c.StartIDFile, l.opts.IsMounted) {
		say("%sSTART_ID_FILE=%s lies on a mounted file system: if that outlives a stop of the pod, a resumed pod is taken for this one",
			Prefix, c.StartIDFile)
	}
	if remark := keepHoursRemark(c.KeepHours); remark != "" {
		say("%s", remark)
	}
	l.warnEvidence(say)
	l.warnLimits(say)
	l.warnStop(say)
}

// warnEvidence remarks on what is taken for work.
func (l *loader) warnEvidence(say func(format string, args ...any)) {
	c := &l.cfg
	for _, port := range c.serverPorts() {
		if slices.Contains(c.Ports, port) {
			say("%sPORTS has %d, the port of a server of %sVLLM_URLS, whose requests are counted already: with it scrapes and health checks are work, too",
				Prefix, port, Prefix)
		}
	}
	if len(c.VLLMURLs) == 0 && c.GPUs.None && len(c.Ports) == 0 && c.CPUBusy == 0 {
		say("nothing here can tell work: %sVLLM_URLS, %sGPUS and %sPORTS are none, and %sCPU_BUSY is 0", Prefix, Prefix, Prefix, Prefix)
	}
}

// warnLimits remarks on limits that stop the pod sooner than another setting lets one expect.
func (l *loader) warnLimits(say func(format string, args ...any)) {
	c := &l.cfg
	if c.BlindLimit > 0 && c.BlindLimit < c.BrokenLimit {
		say("%sBLIND_LIMIT=%s is shorter than %sBROKEN_LIMIT=%s, after which a source that does not answer is no longer waited for: the pod is stopped before that",
			Prefix, formatDuration(c.BlindLimit), Prefix, formatDuration(c.BrokenLimit))
	}
	if c.MaxRuntime > 0 && c.MaxRuntime <= c.MinRuntime {
		say("%sMAX_RUNTIME=%s stops the pod whatever it does, before %sMIN_RUNTIME=%s has passed", Prefix, formatDuration(c.MaxRuntime), Prefix, formatDuration(c.MinRuntime))
	}
	if c.MaxSpendPerDay > 0 && c.Price.Known && c.Price.Value == 0 {
		say("%sMAX_SPEND_PER_DAY=%s is never reached at %sPRICE=0", Prefix, c.MaxSpendPerDay, Prefix)
	}
}
