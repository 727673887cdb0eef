package serving

import (
	"math"

	"github.com/gpu-watchdog/gpu-watchdog/collector/vllm"
)

// perToken mends the time per output token. vLLM observes 0 for a request of one token, which has no such time: those are
// the output lengths of at most 1, and lie in the lowest bucket. Where the page has no histogram of it (before 0.11), the mean
// over tokens is decode time by tokens.
type perToken struct {
	// single is how many of the observations were of one token; uncounted that they could not be counted.
	single    float64
	uncounted bool
	// decode and tokens are the decode time of finished requests and their tokens after the first.
	decode, tokens float64
}

func (p *perToken) add(o perToken) {
	p.single += o.single
	p.uncounted = p.uncounted || o.uncounted
	p.decode += o.decode
	p.tokens += o.tokens
}

// learn takes what one engine did between two readings: families that were refused are empty. absent says that the page has no
// histogram of the time per output token.
func (p *perToken) learn(of *[vllm.NumFamilies]buckets, absent bool) {
	lengths, decode := &of[vllm.OutputTokens], &of[vllm.Decode]
	if of[vllm.PerOutputToken].count() > 0 {
		if ones := lengths.below(1); lengths.count() > 0 && ones.Low == ones.High {
			p.single += ones.Low
		} else {
			p.uncounted = true
		}
		return
	}
	if absent && decode.count() > 0 && lengths.count() == decode.count() && lengths.sum > lengths.count() {
		p.decode += decode.sum
		p.tokens += lengths.sum - lengths.count()
	}
}

// figure makes the figure of the time per output token.
func (p *perToken) figure(observed *buckets) Figure {
	if observed.count() == 0 {
		f := observed.figure()
		if p.tokens > 0 {
			f.Mean, f.Note = per(p.decode, p.tokens), "decode time by tokens: the server has no histogram of it"
		}
		return f
	}
	mended := buckets{bounds: observed.bounds, counts: make([]float64, len(observed.counts)), sum: observed.sum}
	// Two histograms of a page that was written while a request finished may be one apart.
	single := math.Min(p.single, observed.counts[0])
	for i, n := range observed.counts {
		mended.counts[i] = n - single
	}
	f := mended.figure()
	if p.uncounted && f.Note == "" {
		f.Note = "requests of one token count as 0 seconds"
	}
	return f
}
