package runpod

import (
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maxWait bounds what a provider may ask us to wait: an idle pod must not be forgotten because of one header.
const maxWait = 10 * time.Minute

// askedToWait is the longest of what the headers Retry-After (RFC 9110: seconds, or a date) and RateLimit (the reset t
// of the windows that are used up) ask for, within 0 and maxWait; 0 where they say nothing.
func askedToWait(h http.Header, now time.Time) time.Duration {
	wait := retryAfter(h.Get("Retry-After"), h.Get("Date"), now)
	for _, line := range h.Values("RateLimit") {
		wait = max(wait, rateLimitReset(line))
	}
	return wait
}

func retryAfter(value, date string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if at, err := http.ParseTime(value); err == nil {
		// The sender's own clock, where it tells it: ours may be off.
		if sent, err := http.ParseTime(date); err == nil {
			now = sent
		}
		return clampWait(at.Sub(now).Seconds())
	}
	return parseSeconds(value)
}

// rateLimitReset reads a list like `"minute";r=0;t=12, "hour";r=2800;t=1812`: remaining requests and seconds until the
// window begins anew.
func rateLimitReset(line string) time.Duration {
	var wait time.Duration
	for window := range strings.SplitSeq(line, ",") {
		usedUp, reset := true, time.Duration(0)
		for parameter := range strings.SplitSeq(window, ";") {
			name, value, _ := strings.Cut(strings.TrimSpace(parameter), "=")
			switch name {
			case "r":
				usedUp = value == "0"
			case "t":
				reset = parseSeconds(value)
			}
		}
		if usedUp {
			wait = max(wait, reset)
		}
	}
	return wait
}

func parseSeconds(text string) time.Duration {
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil && !math.IsInf(seconds, 1) {
		return 0
	}
	return clampWait(seconds)
}

func clampWait(seconds float64) time.Duration {
	if !(seconds > 0) { // NaN too
		return 0
	}
	return time.Duration(min(seconds, maxWait.Seconds()) * float64(time.Second))
}
