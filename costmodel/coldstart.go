package costmodel

import (
	"slices"
	"time"
)

// StartKind tells the three kinds of start apart. Only PodStart says what a stop will cost.
type StartKind string

// The kinds of start.
const (
	// PodStart: a new identity, so the pod was started or resumed.
	PodStart StartKind = "pod_start"
	// ContainerRestart: the same identity under a new first process.
	ContainerRestart StartKind = "container_restart"
	// ServerRestart: only the server began again.
	ServerRestart StartKind = "server_restart"
)

// Start is one measured start.
type Start struct {
	Kind StartKind `json:"kind"`
	// At is when the server was ready.
	At time.Time `json:"at"`
	// Ready is the time from the container's start, or from the first refusal that we saw, to the first /health 200.
	Ready time.Duration `json:"ready_ns"`
	// FirstToken is what the first token took beyond the usual, 0 until it is known.
	FirstToken time.Duration `json:"first_token_ns"`
}

const (
	keepStarts  = 8 // samples in the estimate; older ones describe another image or model
	priorWeight = 2 // the prior counts as two samples
)

// ColdStart estimates C: the 75th percentile (linear interpolation between order statistics) of the last eight pod
// starts, each lengthened by unseen (what cannot be seen from inside: the queue, the pull of the image), with the prior
// counting as two samples. samples is how many measured starts went into it.
func ColdStart(prior, unseen time.Duration, starts []Start) (c time.Duration, samples int) {
	values := make([]time.Duration, 0, keepStarts+priorWeight)
	for _, s := range slices.Backward(starts) {
		if s.Kind == PodStart && len(values) < keepStarts {
			values = append(values, s.Ready+s.FirstToken+unseen)
		}
	}
	samples = len(values)
	for range priorWeight {
		values = append(values, prior)
	}
	slices.Sort(values)
	// rank = 0.75·(n − 1), kept in quarters so that no float decides.
	quarters := 3 * (len(values) - 1)
	i, rest := quarters/4, time.Duration(quarters%4)
	c = values[i]
	if rest > 0 {
		c += (values[i+1] - values[i]) * rest / 4
	}
	return c, samples
}

// KeepStarts drops starts that no estimate will use again: of each kind the newest eight stay.
func KeepStarts(starts []Start) []Start {
	kept := make([]Start, 0, len(starts))
	count := map[StartKind]int{}
	for _, s := range slices.Backward(starts) {
		if count[s.Kind]++; count[s.Kind] <= keepStarts {
			kept = append(kept, s)
		}
	}
	slices.Reverse(kept)
	return kept
}
