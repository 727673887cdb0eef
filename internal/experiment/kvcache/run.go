package kvcache

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/load"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Config says what to ask for, and how often.
type Config struct {
	Client *load.Client
	// Model is the name to ask for; empty for the first that the server offers.
	Model  string
	Prompt string
	// Lengths are the output lengths in tokens, at least two different ones.
	Lengths []int
	// Repeats is how many requests of each length are measured, WarmUps how many of the shortest come before and do not count.
	Repeats, WarmUps int
	// Tolerance is how much TPOT may change and still be called constant, in percent.
	Tolerance float64
	// GPUMemory reads how many bytes of the GPUs' memory are in use, all together; nil where nobody can tell.
	GPUMemory func(ctx context.Context) watchdog.Maybe[float64]
	// Progress hears how many of the requests are done; nil for nobody.
	Progress func(done, all int)
}

// What an error of Run wraps.
var (
	// ErrTooLong: a length does not fit into the model's context beside the prompt.
	ErrTooLong = errors.New("too long for the model")
	// ErrLength: the server gave another number of tokens than was asked for.
	ErrLength = errors.New("another number of tokens than asked for")
)

// failuresMost is how many requests in a row may fail before the experiment ends.
const failuresMost = 3

// Sample is one measured request. Times are in milliseconds.
type Sample struct {
	// Length is the output that was asked for, Round the round of the request, from 1.
	Length       int     `json:"asked_tokens"`
	Round        int     `json:"round"`
	PromptTokens int     `json:"prompt_tokens"`
	OutputTokens int     `json:"output_tokens"`
	Chunks       int     `json:"chunks"`
	TTFT         float64 `json:"ttft_ms"`
	// Decode is from the first chunk to the last, TPOT = Decode ÷ (tokens − 1).
	Decode float64 `json:"decode_ms"`
	TPOT   float64 `json:"tpot_ms"`
	// Error says that it failed, and is no sample.
	Error string `json:"error,omitempty"`

	chunkGaps, tokenGaps []float64
}

// experiment is one run.
type experiment struct {
	Config
	report *Report
	done   int
}

// Run measures. It ends early with what it has when ctx ends and after failuresMost failures in a row; the error says why, and the
// Report is good in any case.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	e := &experiment{Config: cfg, report: &Report{URL: cfg.Client.URL(), Repeats: cfg.Repeats, Lengths: []Length{}, Samples: []Sample{}}}
	e.Lengths = slices.Compact(slices.Sorted(slices.Values(cfg.Lengths)))
	if e.Progress == nil {
		e.Progress = func(int, int) {}
	}
	err := e.run(ctx)
	if err != nil {
		e.report.EndedEarly = err.Error()
	}
	e.report.conclude(e.Lengths, e.Tolerance)
	return e.report, err
}

func (e *experiment) run(ctx context.Context) error {
	offered, err := e.introduce(ctx)
	if err != nil {
		return err
	}
	for range e.WarmUps {
		s := e.one(ctx, e.Lengths[0], 0)
		if s.Error != "" {
			return fmt.Errorf("warm up: %w", s.failure())
		}
		if err := e.fits(offered, s.PromptTokens); err != nil {
			return err
		}
		e.tick()
	}
	if err := e.probe(ctx); err != nil {
		return err
	}
	failures := 0
	for round := range e.Repeats {
		for _, length := range order(e.Lengths, round) {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			s := e.one(ctx, length, round+1)
			if ctx.Err() != nil && s.Error != "" {
				return context.Cause(ctx)
			}
			e.report.Samples = append(e.report.Samples, s)
			e.tick()
			if s.Error == "" {
				failures = 0
				continue
			}
			if failures++; failures == failuresMost {
				return fmt.Errorf("%d requests in a row failed, the last of them: %w", failures, s.failure())
			}
		}
	}
	return nil
}

// order is that of a round: every second runs backwards, so that a steady drift meets all lengths alike, and each pair of rounds
// begins with another length.
func order(lengths []int, round int) []int {
	at := round / 2 % len(lengths)
	out := slices.Concat(lengths[at:], lengths[:at])
	if round%2 == 1 {
		slices.Reverse(out)
	}
	return out
}

func (e *experiment) all() int { return e.WarmUps + len(e.Lengths)*(1+e.Repeats) }

func (e *experiment) tick() {
	e.done++
	e.Progress(e.done, e.all())
}

// fits errs on lengths that the model's context has no room for.
func (e *experiment) fits(offered offer, promptTokens int) error {
	e.report.PromptTokens = promptTokens
	longest := e.Lengths[len(e.Lengths)-1]
	if most := offered.MaxTokens; most > 0 && promptTokens+longest > most {
		return fmt.Errorf("%d output tokens behind a prompt of %d are %w, which holds %d: ask for fewer (--lengths), or give a shorter prompt (--prompt-file)",
			longest, promptTokens, ErrTooLong, most)
	}
	return nil
}

// one asks for one completion and holds its length against what was asked for.
func (e *experiment) one(ctx context.Context, length, round int) Sample {
	r := e.Client.Complete(ctx, e.request(length))
	s := Sample{
		Length: length, Round: round, PromptTokens: r.PromptTokens, OutputTokens: r.OutputTokens, TTFT: ms(r.TTFT), Decode: ms(r.Latency - r.TTFT),
	}
	if r.TTFT > 0 {
		s.Chunks = 1 + len(r.ITLs)
	}
	tpot := r.TPOT()
	switch {
	case r.Err != nil:
		s.Error = r.Err.Error()
	case r.OutputTokens != length:
		s.Error = fmt.Sprintf("%v: %d, not %d (finish reason %q); does the server know ignore_eos?", ErrLength, r.OutputTokens, length, r.FinishReason)
	case !tpot.Known:
		s.Error = "a single token has no time between tokens"
	default:
		s.TPOT = 1000 * tpot.Value
		for _, gap := range r.ITLs {
			s.chunkGaps = append(s.chunkGaps, ms(gap))
		}
		s.tokenGaps = tokenGaps(&r)
	}
	return s
}

func (e *experiment) request(length int) load.Request {
	return load.Request{Model: e.Model, Prompt: e.Prompt, MaxTokens: length, IgnoreEOS: true, EachChunk: true}
}

func (s Sample) failure() error { return errors.New(s.Error) }

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
