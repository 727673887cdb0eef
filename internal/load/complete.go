package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Request is one completion to be asked for.
type Request struct {
	Model, Prompt string
	// MaxTokens is at least 1.
	MaxTokens int
	// IgnoreEOS lets the server go on to MaxTokens (vLLM's own field).
	IgnoreEOS bool
	// CacheSalt keeps the prefix cache of this request apart from all others (vLLM's own field); empty sends none.
	CacheSalt string
	// EachChunk asks for the tokens of each chunk (continuous_usage_stats).
	EachChunk bool
	// ID is sent as X-Request-Id; empty sends none.
	ID string
}

const (
	completionsPath = "/v1/completions"
	// endMost is how long the end of an answer may take after its [DONE].
	endMost = time.Second
)

// body is the request as JSON; fields of vLLM alone are left out where they say nothing.
func (q Request) body() ([]byte, error) {
	type options struct {
		IncludeUsage bool `json:"include_usage"`
		EachChunk    bool `json:"continuous_usage_stats,omitempty"`
	}
	return json.Marshal(struct {
		Model     string  `json:"model"`
		Prompt    string  `json:"prompt"`
		MaxTokens int     `json:"max_tokens"`
		Stream    bool    `json:"stream"`
		Options   options `json:"stream_options"`
		IgnoreEOS bool    `json:"ignore_eos,omitempty"`
		CacheSalt string  `json:"cache_salt,omitempty"`
	}{q.Model, q.Prompt, q.MaxTokens, true, options{true, q.EachChunk}, q.IgnoreEOS, q.CacheSalt})
}

// Complete asks for one completion and reads its stream to the end. It returns at the client's deadline at the latest, and as soon
// as ctx ends.
func (c *Client) Complete(ctx context.Context, q Request) (r Record) {
	ctx, cancel := context.WithTimeout(ctx, c.deadline)
	defer cancel()
	r.Start = time.Now()
	if q.MaxTokens < 1 {
		r.Err = fmt.Errorf("a completion of %d tokens cannot be asked for: ask for 1 or more", q.MaxTokens)
		return r
	}
	body, err := q.body()
	if err != nil {
		r.Err = fmt.Errorf("%s: %w", completionsPath, err)
		return r
	}
	ask, err := c.request(ctx, http.MethodPost, completionsPath, bytes.NewReader(body))
	if err != nil {
		r.Err = err
		return r
	}
	ask.Header.Set("Content-Type", "application/json")
	if q.ID != "" {
		ask.Header.Set("X-Request-Id", q.ID)
	}
	r.Start = time.Now()
	resp, err := c.http.Do(ask)
	if err != nil {
		r.Elapsed = time.Since(r.Start)
		r.Err = c.failure(ctx, completionsPath, err)
		return r
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		r.Err = refusal(completionsPath, resp)
		r.Elapsed = time.Since(r.Start)
		return r
	}
	s := stream{record: &r, from: newEvents(resp.Body), each: q.EachChunk, most: 2*q.MaxTokens + 64}
	err = s.read()
	r.Elapsed = time.Since(r.Start)
	var said *StatusError
	switch {
	case errors.As(err, &said), errors.Is(err, ErrTooMuch):
		r.Err = fmt.Errorf("%s: %w", completionsPath, err)
	case err != nil:
		r.Err = c.failure(ctx, completionsPath, err)
	default:
		r.Err = s.verdict()
		// Read to its end, the connection can be used again. A server that keeps it open gets no more of our time.
		patience := time.AfterFunc(endMost, cancel)
		_, _ = io.CopyN(io.Discard, s.from.from, answerLimit)
		patience.Stop()
	}
	return r
}

// stream reads the chunks of one completion into a record.
type stream struct {
	record *Record
	from   *events
	each   bool
	// most is how many chunks may come.
	most int

	chunks  int
	last    time.Time
	counted int
	usage   bool
	muddled bool
}

// chunk is what is read of one.
type chunk struct {
	Choices []struct {
		FinishReason *string `json:"finish_reason"`
	} `json:"choices"`
	Usage *struct {
		PromptTokens int `json:"prompt_tokens"`
		OutputTokens int `json:"completion_tokens"`
		Details      *struct {
			Cached *int `json:"cached_tokens"`
		} `json:"prompt_tokens_details"`
	} `json:"usage"`
	Error  json.RawMessage `json:"error"`
	Object string          `json:"object"`
}

// read reads to [DONE]. A stream that ends without it was cut: io.ErrUnexpectedEOF.
func (s *stream) read() error {
	for {
		data, err := s.from.next()
		now := time.Now()
		if errors.Is(err, io.EOF) {
			return io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
		switch string(data) {
		case "[DONE]":
			return nil
		case "":
			continue
		}
		var c chunk
		if err := json.Unmarshal(data, &c); err != nil {
			return &StatusError{Message: "a chunk that is not one: " + short(string(data))}
		}
		if err := s.take(now, &c, data); err != nil {
			return err
		}
	}
}

// take takes one chunk that came at now.
func (s *stream) take(now time.Time, c *chunk, data []byte) error {
	if len(c.Error) > 0 && string(c.Error) != "null" || c.Object == "error" {
		return inWords(data)
	}
	r := s.record
	if len(c.Choices) > 0 {
		if s.chunks++; s.chunks > s.most {
			return fmt.Errorf("%w: more than %d chunks", ErrTooMuch, s.most)
		}
		if s.chunks == 1 {
			r.TTFT = now.Sub(r.Start)
		} else {
			r.ITLs = append(r.ITLs, now.Sub(s.last))
		}
		s.last, r.Latency = now, now.Sub(r.Start)
		if why := c.Choices[0].FinishReason; why != nil {
			r.FinishReason = short(*why)
		}
		if s.each {
			s.count(c)
		}
	}
	if u := c.Usage; u != nil && (len(c.Choices) == 0 || s.each) {
		s.usage = true
		r.PromptTokens, r.OutputTokens = max(0, u.PromptTokens), max(0, u.OutputTokens)
		if u.Details != nil && u.Details.Cached != nil {
			r.CachedTokens = watchdog.Known(max(0, *u.Details.Cached))
		}
	}
	return nil
}

// count notes how many tokens a chunk brought.
func (s *stream) count(c *chunk) {
	if c.Usage == nil || c.Usage.OutputTokens < s.counted {
		s.muddled = true
		return
	}
	s.record.ChunkTokens = append(s.record.ChunkTokens, c.Usage.OutputTokens-s.counted)
	s.counted = c.Usage.OutputTokens
}

// verdict judges a stream that came to its end.
func (s *stream) verdict() error {
	r := s.record
	if s.muddled || s.counted != r.OutputTokens {
		r.ChunkTokens = nil
	}
	switch {
	case r.FinishReason == "abort", r.FinishReason == "error":
		return ErrAborted
	case s.chunks == 0:
		return ErrEmpty
	case !s.usage || r.OutputTokens == 0:
		return ErrNoUsage
	}
	return nil
}
