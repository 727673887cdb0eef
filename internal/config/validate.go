package config

import (
	"fmt"
	"net"
	"path/filepath"
	"reflect"
	"strings"
	"time"
)

// validate checks what a parser of one value cannot see: bounds of single fields, paths, and settings that contradict
// each other. A variable that has a mistake already is not looked at again.
func (l *loader) validate() {
	l.checkDurations()
	l.checkGuard()
	l.checkName()
	l.checkPaths()
	l.checkIdleLimit()
	l.checkAddresses()
	l.checkPorts()
	l.checkSpend()
	l.checkStop()
	l.checkHooks()
}

// checkGuard: the use of a terminal that has been closed is forgotten after a day.
func (l *loader) checkGuard() {
	const guard = Prefix + "TERMINAL_GUARD"
	if l.cfg.TerminalGuard > 24*time.Hour && l.found.good(guard) {
		l.found.add(guard, l.set[guard], "is longer than a day, for which terminals are remembered; write at most 24h")
	}
}

// checkSpend: a cap in dollars needs to know what an hour costs.
func (l *loader) checkSpend() {
	const spend, price, key = Prefix + "MAX_SPEND_PER_DAY", Prefix + "PRICE", Prefix + injectedKey
	if l.cfg.MaxSpendPerDay == 0 || l.cfg.Price.Known || !l.found.good(spend, price, key, key+fileSuffix) {
		return
	}
	switch {
	case l.opts.RunpodPodID == "":
		l.found.add(spend, l.set[spend], "needs a price, and outside of RunPod no provider tells one; set "+price+", or unset this")
	case !l.cfg.RunpodAPIKey.IsSet():
		l.found.add(spend, l.set[spend], "needs a price, and without a key RunPod cannot be asked for it; set "+price+" or "+key+", or unset this")
	}
}

// checkAddresses: two servers cannot have one port.
func (l *loader) checkAddresses() {
	const ingest = Prefix + "INGEST_LISTEN"
	_, port, err := net.SplitHostPort(string(l.cfg.IngestListen))
	if _, other, _ := net.SplitHostPort(string(l.cfg.Listen)); err == nil && port == other && port != "0" && l.found.good(ingest) && l.found.good(Prefix+"LISTEN") {
		l.found.add(ingest, string(l.cfg.IngestListen), "has the port of "+Prefix+"LISTEN="+string(l.cfg.Listen)+"; give each a port of its own")
	}
}

func (l *loader) checkDurations() {
	v := reflect.ValueOf(l.cfg)
	for _, f := range fields {
		d, ok := v.Field(f.index).Interface().(time.Duration)
		if !ok || !l.found.good(f.Variable) {
			continue
		}
		value := l.set[f.Variable]
		switch {
		case d < 0:
			l.found.add(f.Variable, value, "is negative; the default is "+f.Default)
		case f.over && d <= f.least:
			l.found.add(f.Variable, value, fmt.Sprintf("must be above %s; the default is %s", shortZero(f.least.String()), f.Default))
		case d < f.least:
			l.found.add(f.Variable, value, fmt.Sprintf("must be at least %s; the default is %s", f.least, f.Default))
		}
	}
}

func (l *loader) checkName() {
	const name = Prefix + "NAME"
	if l.cfg.Name == "" {
		l.found.add(name, "", "has no default here, for neither a pod's id nor an owner nor a host name is known; set it")
		return
	}
	if text := nameFlaw(l.cfg.Name); text != "" {
		l.found.add(name, l.cfg.Name, text)
	}
}

func (l *loader) checkPaths() {
	c := &l.cfg
	const dir, startID, library = Prefix + "DIR", Prefix + "START_ID_FILE", Prefix + "NVML_LIBRARY"
	if text := pathFlaw(c.Dir); text != "" {
		l.found.add(dir, c.Dir, text)
	} else if c.Dir = filepath.Clean(c.Dir); c.Dir == "/" {
		l.found.add(dir, c.Dir, "is the root of the file system; name a folder in it")
	}
	switch text := pathFlaw(c.StartIDFile); {
	case text != "":
		l.found.add(startID, c.StartIDFile, text)
	case strings.HasSuffix(c.StartIDFile, "/"):
		l.found.add(startID, c.StartIDFile, "is a folder; name a file in it")
	default:
		c.StartIDFile = filepath.Clean(c.StartIDFile)
		if strings.HasPrefix(c.StartIDFile, volume+"/") && l.opts.IsMounted(volume) {
			l.found.add(startID, c.StartIDFile, "lies on the volume "+volume+", which outlives a stop, so that a resumed pod would "+
				"be taken for this one; name a file on the container's own disk, or unset it")
		}
	}
	if c.ControlSocket != "" {
		if text := socketFlaw(c.ControlSocket); text != "" {
			l.found.add(Prefix+"CONTROL_SOCKET", c.ControlSocket, text)
		} else {
			c.ControlSocket = filepath.Clean(c.ControlSocket)
		}
	}
	if text := libraryFlaw(c.NVMLLibrary); text != "" {
		l.found.add(library, c.NVMLLibrary, text)
	}
}

// checkIdleLimit finds limits that exclude each other.
func (l *loader) checkIdleLimit() {
	c := &l.cfg
	const limit, least, most = Prefix + "IDLE_LIMIT", Prefix + "IDLE_MIN", Prefix + "IDLE_MAX"
	if l.found.good(least, most) && c.IdleMax > 0 && !c.Explicit(least) {
		c.IdleMin = min(c.IdleMin, c.IdleMax) // a default gives way
	}
	if l.found.good(least, most) && c.IdleMax > 0 && c.IdleMin > c.IdleMax {
		l.found.add(most, l.set[most], fmt.Sprintf("is below %s (%s, %s); raise the one or lower the other",
			least, formatDuration(c.IdleMin), c.Origin(least)))
	}
	if !c.IdleLimit.Set || !l.found.good(limit) {
		return
	}
	var texts []string
	if c.InForce() == PolicyBreakEven { // a mistaken policy is none
		const policy = Prefix + "POLICY"
		texts = append(texts, fmt.Sprintf("is not used under %s=%s, which computes the limit; set %s=fixed, or unset %s",
			policy, c.Policy, policy, limit))
	}
	if l.found.good(Prefix + "CHECK_INTERVAL") {
		texts = append(texts, l.limitConflicts(c.IdleLimit.Resolve(c.CheckInterval))...)
	}
	for _, text := range texts {
		l.found.add(limit, l.set[limit], text)
	}
}

// limitConflicts holds an explicit limit against explicit bounds.
func (l *loader) limitConflicts(d time.Duration) (texts []string) {
	c := &l.cfg
	const least, most = Prefix + "IDLE_MIN", Prefix + "IDLE_MAX"
	meaning := ""
	if c.IdleLimit.Checks > 0 {
		meaning = fmt.Sprintf(" (%d checks are %s)", c.IdleLimit.Checks, formatDuration(d))
	}
	const remedy = "; change one of them, or unset the bound, which is for computed limits"
	if l.found.good(least) && c.Explicit(least) && d < c.IdleMin {
		texts = append(texts, fmt.Sprintf("is below %s=%s%s%s", least, formatDuration(c.IdleMin), meaning, remedy))
	}
	if l.found.good(most) && c.IdleMax > 0 && d > c.IdleMax {
		texts = append(texts, fmt.Sprintf("is above %s=%s%s%s", most, formatDuration(c.IdleMax), meaning, remedy))
	}
	return texts
}
