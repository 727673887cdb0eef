package main

import "strings"

// Deviations that a page cannot help: what one reading of one server does not know. The sockets and the GPU stand in
// for it. Each is named once, with its reason, and counted in the summary.
const (
	noStats  = "--disable-log-stats: nothing but http_requests_total counts, and that at the end of an answer"
	ownCalls = "POST /sleep, /wake_up, /pause, /resume: the recorder's own call counts as a request"
)

// allowedVerdict says why a state's verdict may differ from the truth; empty where it may not.
func allowedVerdict(version, label, state string) string {
	switch {
	case label == "nologstats" && (strings.HasPrefix(state, "c") || strings.HasPrefix(state, "e0")):
		return noStats
	}
	return ""
}

// allowedStill says why an event may have moved no counter.
func allowedStill(version, label, state, what string) string {
	switch {
	case label == "nologstats" && what == "the first chunk":
		return noStats
	}
	return ""
}

// ownCall says that the recorder itself posted to the server since the state before. The one /resume was not noted.
func (s *state) ownCall() bool { return s.Post != nil || strings.HasSuffix(s.State, "after-resume") }
