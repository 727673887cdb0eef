// Package webhook asks a program of the user's to stop this pod: a request to STOP_URL, signed as internal/post says, with what
// is to be done and why:
//
//	{"schema": 1, "id": "…", "action": "stop", "name": "…", "start_id": "…", "pod": "…", "reason": "threshold_reached",
//	 "detail": "…", "idle_seconds": 600, "threshold_seconds": 600, "break_even_seconds": 580, "price_usd_per_hour": 1.5,
//	 "requested_at": "2026-11-24T15:45:49Z", "sent_at": "2026-11-24T15:45:50Z"}
//
// where null is unknown, requested_at is when the stop was decided on, and every request has an id of its own. Whoever answers
// with 200 to 299 promises that the pod ends; all other answers are sorted as those of a provider are. The proof of the stop is
// our own end, here as everywhere, so a promise that is not kept shows.
//
// It must not import the loop, the rules beside their plain types, or the configuration.
package webhook
