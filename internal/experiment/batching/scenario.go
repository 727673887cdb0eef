package batching

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"time"
)

// Kind is one of the three ways to hand a workload to a server.
type Kind uint8

// The kinds, by the letters of the experiment.
const (
	Sequential Kind = iota // A: one request at a time
	Static                 // B: batches; the next begins when the last of the one before has ended
	Continuous             // C: the server mixes what is there
)

func (k Kind) String() string { return [...]string{"sequential", "static", "continuous"}[k] }

// Scenario is a kind with its setting.
type Scenario struct {
	Kind Kind
	// Batch is the size of a static batch.
	Batch int
	// Concurrency is how many requests of a continuous scenario are under way at most; 0 where Rate sets the pace.
	Concurrency int
	// Rate is how many requests begin in a second, at random moments (a Poisson process), however many are under way.
	Rate float64
}

// Name says it to people.
func (s Scenario) Name() string {
	switch {
	case s.Kind == Sequential:
		return "A one at a time"
	case s.Kind == Static:
		return fmt.Sprintf("B batches of %d", s.Batch)
	case s.Rate > 0:
		return "C " + strconv.FormatFloat(s.Rate, 'g', -1, 64) + " a second"
	}
	return fmt.Sprintf("C %d at a time", s.Concurrency)
}

// limit is how many requests may be under way, 0 for any number.
func (s Scenario) limit() int {
	switch {
	case s.Kind == Sequential:
		return 1
	case s.Kind == Static:
		return s.Batch
	case s.Rate > 0:
		return 0
	}
	return s.Concurrency
}

// arrivals are the moments, since the beginning, in which n requests begin at a rate: exponential gaps, stretched so that the last
// one begins after n ÷ rate seconds, as vLLM's benchmark does to take the luck of a seed out of the throughput.
func arrivals(n int, rate float64, seed uint64) []time.Duration {
	random := rand.New(rand.NewPCG(seed, 1))
	at, sum := make([]float64, n), 0.0
	for i := range at {
		sum += random.ExpFloat64() / rate
		at[i] = sum
	}
	out := make([]time.Duration, n)
	for i := range at {
		seconds := at[i] * (float64(n) / rate) / sum
		if !(seconds < math.MaxInt64/1e9) {
			seconds = 0
		}
		out[i] = time.Duration(math.Round(seconds * 1e9))
	}
	return out
}
