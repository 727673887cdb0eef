package runpodtest

import (
	"net/http"
	"time"
)

// The calls of a pod that the server knows.
const (
	V2Read           Call = "v2_read"           // GET /v2/pods/{id}
	V2Action         Call = "v2_action"         // POST /v2/pods/{id}/action
	V2Delete         Call = "v2_delete"         // DELETE /v2/pods/{id}
	GraphQLRead      Call = "graphql_read"      // query pod
	GraphQLStop      Call = "graphql_stop"      // mutation podStop
	GraphQLTerminate Call = "graphql_terminate" // mutation podTerminate
)

// Call names one call.
type Call string

// The states of a pod, by RunPod's words.
const (
	Provisioning = "PROVISIONING"
	Starting     = "STARTING"
	Running      = "RUNNING"
	Exited       = "EXITED"
	Error        = "ERROR"
	Terminated   = "TERMINATED"
)

// Options say what the server plays. The zero value is one running pod with a volume disk of its own that any key may stop.
type Options struct {
	// PodID is "testpod" where empty.
	PodID string
	// APIKey is the only key that is let in; empty lets every key in, but not none.
	APIKey string
	// Status is the pod's state to begin with, RUNNING where empty.
	Status string
	// CostUSDPerHour is what the pod costs while it runs.
	CostUSDPerHour float64
	// Locked pods conflict with every stop. They can be terminated: RunPod's document speaks of stops and resets only.
	Locked bool
	// VolumeGB is the size of the pod's own volume disk, 20 where 0; a pod with less than 0 has no such disk.
	VolumeGB int
	// NetworkVolume is the id of a network volume that takes the place of the pod's own, if any.
	NetworkVolume string
	// NetworkNeverStops: a pod with a network volume can only be terminated, as it was everywhere until May 2026. The
	// words of the refusals are ours, since RunPod's are not known.
	NetworkNeverStops bool
	// Env is the pod's environment, which RunPod shows to whoever may read the pod.
	Env map[string]string
	// Refused calls answer that the key may not do this: 403 in REST, Unauthorized under a 200 in GraphQL.
	Refused []Call
	// NeverStops accepts every stop and termination and changes nothing.
	NeverStops bool
	// OnStop is called once for each stop or termination that took effect, after its answer was sent. It runs within the handler:
	// it must return soon, and must not call Close.
	OnStop func()
}

// Fault is an answer that the script puts in place of the right one.
type Fault struct {
	// Delay comes before the answer, the right one too where Status is 0.
	Delay time.Duration
	// Status, Header and Body are the answer; Status 0 means the right one.
	Status int
	Header http.Header
	Body   string
	// Hang never answers, until the client goes away or the server is closed.
	Hang bool
	// Drop cuts the connection without an answer.
	Drop bool
	// Forever keeps the fault for all later calls; otherwise it serves one.
	Forever bool
}

// HTML is the fault of a proxy's or firewall's error page.
func HTML(status int, title string) Fault {
	return Fault{
		Status: status,
		Header: http.Header{"Content-Type": {"text/html; charset=utf-8"}},
		Body:   "<!DOCTYPE html>\n<html><head><title>" + title + "</title></head><body>" + title + "</body></html>\n",
	}
}

// TooManyRequests is a 429 with the header Retry-After, where retryAfter is not empty.
func TooManyRequests(retryAfter string) Fault {
	f := problemFault(http.StatusTooManyRequests, "rate limit exceeded for the minute window")
	if retryAfter != "" {
		f.Header.Set("Retry-After", retryAfter)
	}
	return f
}

// Problem is an error in REST v2's form.
func Problem(status int, detail string) Fault { return problemFault(status, detail) }

// Request is one request that the server got.
type Request struct {
	// Call is empty for what the server does not know.
	Call   Call
	Method string
	// Path and Query are parts of the address as it was asked for.
	Path, Query string
	Header      http.Header
	Body        []byte
	// Status is what was answered, 0 for nothing.
	Status int
}
