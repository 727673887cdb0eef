package runpod

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
)

// Permission says what is known of our right to stop the pod.
type Permission string

// The permissions, as /status prints them.
const (
	// PermissionUnproven: only a stop that happened could tell. A read that works proves nothing, and neither does one
	// that is refused: keys of pods are known that may not read and yet may stop.
	PermissionUnproven Permission = "unproven"
	// PermissionProven is for those who have seen a stop accepted; Describe never says it.
	PermissionProven Permission = "proven"
	// PermissionRefused: the pod is locked, so the provider refuses every stop; or we refuse to terminate it ourselves,
	// since data would be lost.
	PermissionRefused Permission = "refused"
)

// ErrReadRefused is in the error of Describe where a key was refused (401, 403, Unauthorized).
var ErrReadRefused = errors.New("the key may not read the pod")

// ReadError is one way to read the pod that failed; the error of Describe wraps those of both ways.
type ReadError struct {
	// Source is "v2" or "graphql".
	Source string
	// Answer is what it got, sorted like the answers to a stop.
	Answer stopper.Answer
}

func (e *ReadError) Error() string {
	s := "read " + e.Source + ": " + e.Answer.Kind.String()
	if e.Answer.Status != 0 {
		s += fmt.Sprintf(" (HTTP %d)", e.Answer.Status)
	}
	return s + ": " + e.Answer.Detail
}

// Is makes ErrReadRefused true of denied reads.
func (e *ReadError) Is(target error) bool {
	return target == ErrReadRefused && e.Answer.Kind == stopper.Denied
}

// ReadAgainAfter is the longest wait that the provider asked for in an error of Describe; 0 where it did not.
func ReadAgainAfter(err error) time.Duration {
	var (
		failed *describeError
		wait   time.Duration
	)
	if errors.As(err, &failed) {
		for _, read := range failed.reads {
			wait = max(wait, read.Answer.RetryAfter)
		}
	}
	return wait
}

// describeError is that of a Describe in which no way to read worked.
type describeError struct {
	podID string
	reads []*ReadError
}

func (e *describeError) Error() string {
	words := make([]string, len(e.reads))
	for i, read := range e.reads {
		words[i] = read.Error()
	}
	return "describe pod " + e.podID + ": " + strings.Join(words, "; ")
}

// Unwrap gives the errors of each way.
func (e *describeError) Unwrap() []error {
	all := make([]error, len(e.reads))
	for i, read := range e.reads {
		all[i] = read
	}
	return all
}

// v2Pod holds the fields of a Pod that are needed, and no other: its environment is full of secrets. The tests hold
// the names and types against RunPod's OpenAPI document.
type v2Pod struct {
	ID     loosely[string] `json:"id"`
	Status loosely[string] `json:"status"`
	Cost   price           `json:"cost"`
	Locked loosely[bool]   `json:"locked"`
	Mounts mounts          `json:"mounts"`
}

// reading is what was read of a pod, within this package.
type reading struct {
	watchdog.Pod
	// storage is unknown where nothing told it, as GraphQL does not unless it is asked.
	storage watchdog.Maybe[storage]
}

// Describe reads price, lock and status of the pod by REST v2, and what that does not tell by GraphQL. Fields that
// neither tells are unknown. With ActionTerminate it also tells in Refused where data would be lost. An error means that neither could be read; it wraps a ReadError for each.
func (c *Client) Describe(ctx context.Context) (watchdog.Pod, Permission, error) {
	pod, err := c.describe(ctx)
	if err != nil {
		return watchdog.Pod{}, PermissionUnproven, err
	}
	pod.Refused = c.foreseen(ctx, pod)
	return pod.Pod, permission(pod.Pod), nil
}

func (c *Client) describe(ctx context.Context) (reading, error) {
	pod, first := c.readV2(ctx)
	if first == nil && (pod.PriceUSDPerHour.Known || pod.Status != statusRunning) {
		return pod, nil
	}
	found, answer := c.graphql(ctx, podQuery, func(d graphqlData) loosely[graphqlPod] { return d.Pod })
	if answer.Kind != stopper.Accepted {
		if first == nil {
			return pod, nil
		}
		second := &ReadError{Source: "graphql", Answer: answer}
		return reading{}, &describeError{podID: c.podID, reads: []*ReadError{first, second}}
	}
	pod.PriceUSDPerHour = found.CostPerHr.Maybe
	if first != nil {
		pod.Status = c.clean(found.DesiredStatus.Value)
	}
	return pod, nil
}

func permission(pod watchdog.Pod) Permission {
	if pod.Locked.Or(false) || pod.Refused != "" {
		return PermissionRefused
	}
	return PermissionUnproven
}

func (c *Client) readV2(ctx context.Context) (reading, *ReadError) {
	r, err := c.send(ctx, http.MethodGet, c.podURL(), nil)
	if err != nil {
		return reading{}, &ReadError{Source: "v2", Answer: stopper.Answer{Detail: err.Error()}}
	}
	pod, answer := c.sortV2Read(r)
	if answer.Kind != stopper.Accepted {
		return reading{}, &ReadError{Source: "v2", Answer: answer}
	}
	return pod, nil
}

// sortV2Read reads a Pod from an answer; Accepted only where it is ours.
func (c *Client) sortV2Read(r response) (reading, stopper.Answer) {
	if r.status < 200 || r.status > 299 {
		return reading{}, c.refusal(r)
	}
	a := stopper.Answer{Kind: stopper.Failed, Status: r.status}
	var pod v2Pod
	switch {
	case r.status != http.StatusOK:
		a.Detail = fmt.Sprintf("unexpected status %d", r.status)
	case isHTML(r):
		a.Detail = c.clean("not RunPod's API: " + explain(r))
	case json.Unmarshal(r.body, &pod) != nil:
		a.Detail = "an answer that is no JSON"
	case !pod.ID.Known:
		a.Detail = "no pod in the answer"
	case pod.ID.Value != c.podID:
		a.Kind, a.Detail = stopper.Invalid, c.clean("the answer is about another pod: "+pod.ID.Value)
	default:
		a.Kind = stopper.Accepted
		return reading{
			Pod:     watchdog.Pod{PriceUSDPerHour: pod.Cost.Maybe, Locked: pod.Locked.Maybe, Status: c.clean(pod.Status.Value)},
			storage: pod.Mounts.Maybe,
		}, a
	}
	return reading{}, a
}
