package config

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// ThresholdMode says how the GPU's threshold is found.
type ThresholdMode string

// The modes.
const (
	ThresholdAuto    ThresholdMode = "auto"
	ThresholdDynamic ThresholdMode = "dynamic"
	ThresholdFixed   ThresholdMode = "fixed"
)

// IdleThreshold is the GPU utilisation that counts as work.
type IdleThreshold struct {
	Mode ThresholdMode
	// Percent is above 0 and at most 100 under ThresholdFixed, else 0.
	Percent float64
}

func (t IdleThreshold) String() string {
	if t.Mode == ThresholdFixed {
		return formatNumber(t.Percent) + "%"
	}
	return string(t.Mode)
}

func parseIdleThreshold(s string) (any, error) {
	switch mode := ThresholdMode(s); mode {
	case ThresholdAuto, ThresholdDynamic:
		return IdleThreshold{Mode: mode}, nil
	}
	p, ok := parseDecimal(strings.TrimSuffix(s, "%"))
	switch {
	case !ok:
		if meant := nearest(s, []string{string(ThresholdAuto), string(ThresholdDynamic)}); meant != "" {
			return nil, wrong(s, "is no threshold; did you mean %s?", meant)
		}
		return nil, wrong(s, "is no threshold; write a percentage such as 7, or auto, or dynamic")
	case p <= 0:
		return nil, wrong(s, "would call every sample work; write a percentage above 0, or auto, or dynamic")
	case p > 100:
		return nil, wrong(s, "is more than 100 percent, so that nothing would be work; write a percentage up to 100, or auto, or dynamic")
	}
	return IdleThreshold{Mode: ThresholdFixed, Percent: p}, nil
}

// IdleLimit is an idle time, or a number of checks.
type IdleLimit struct {
	// Set: somebody chose it; else it is the default.
	Set bool
	// Duration is above 0 where Checks is 0.
	Duration time.Duration
	// Checks is above 0 where the limit was given as a number of checks.
	Checks int
}

// Resolve returns the idle time that the limit means with decisions so far apart.
func (l IdleLimit) Resolve(checkInterval time.Duration) time.Duration {
	if l.Checks == 0 {
		return l.Duration
	}
	if checkInterval > 0 && time.Duration(l.Checks) > longestDuration/checkInterval {
		return longestDuration
	}
	return time.Duration(l.Checks) * checkInterval
}

func (l IdleLimit) String() string {
	if l.Checks > 0 {
		return strconv.Itoa(l.Checks)
	}
	return formatDuration(l.Duration)
}

// mostChecks is a year of checks at the shortest interval.
const mostChecks = int(longestDuration / (100 * time.Millisecond))

func parseIdleLimit(s string) (any, error) {
	if n, err := strconv.Atoi(s); err == nil {
		switch {
		case n < 1:
			return nil, wrong(s, "would stop a working pod; write at least 1 check, or a duration such as 10m")
		case n > mostChecks:
			return nil, wrong(s, "is more than a year of checks; write a number of checks, or a duration such as 10m")
		}
		return IdleLimit{Checks: n}, nil
	}
	v, err := parseDuration(s)
	var bare bareNumber
	if errors.As(err, &bare) {
		return nil, wrong(s, "is no whole number of checks, and a duration needs a unit; write checks such as 12, or a duration such as 10m")
	}
	if err != nil {
		return nil, err
	}
	if d := v.(time.Duration); d > 0 {
		return IdleLimit{Duration: d}, nil
	}
	return nil, wrong(s, "is not above 0 and would stop a working pod; write a duration such as 10m")
}
