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
}
