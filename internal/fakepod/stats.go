package fakepod

import "time"

// stats is what one engine has counted, by vLLM's families.
type stats struct {
	prompt, generation, success, prefixQueries uint64
	running, waiting                           int

	firstToken, interToken, perToken          *histogram
	queue, prefill, decode, inference, latest *histogram
	steps, promptTokens, generatedTokens      *histogram
}

func newStats() stats {
	latency := []float64{0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680}
	between := []float64{0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80}
	tokens := []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000}
	return stats{
		firstToken: newHistogram(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560),
		interToken: newHistogram(between...), perToken: newHistogram(between...),
		queue: newHistogram(latency...), prefill: newHistogram(latency...), decode: newHistogram(latency...),
		inference: newHistogram(latency...), latest: newHistogram(latency...),
		steps:        newHistogram(1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384),
		promptTokens: newHistogram(tokens...), generatedTokens: newHistogram(tokens...),
	}
}

// begin counts a request's first token; its prompt is counted with it.
func (s *stats) begin(promptTokens int, after time.Duration) {
	s.prompt += uint64(promptTokens)
	s.prefixQueries += uint64(promptTokens)
	s.generation++
	s.firstToken.observe(after.Seconds())
	s.steps.observe(float64(promptTokens))
}

// token counts each later token.
func (s *stats) token(after time.Duration) {
	s.generation++
	s.interToken.observe(after.Seconds())
	s.steps.observe(1)
}

// finish counts a request that came to its end; one that the client cut is counted nowhere.
func (s *stats) finish(promptTokens, tokens int, queued, prefill, decode time.Duration) {
	s.success++
	s.queue.observe(queued.Seconds())
	s.prefill.observe(prefill.Seconds())
	s.decode.observe(decode.Seconds())
	s.inference.observe((prefill + decode).Seconds())
	s.latest.observe((queued + prefill + decode).Seconds())
	s.promptTokens.observe(float64(promptTokens))
	s.generatedTokens.observe(float64(tokens))
	if tokens > 1 {
		s.perToken.observe(decode.Seconds() / float64(tokens-1))
	}
}
