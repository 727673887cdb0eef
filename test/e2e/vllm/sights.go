package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/test/e2e/internal/stage"
)

// sight is what /status said at one moment.
type sight struct {
	at  time.Time
	err error

	Activity string  `json:"activity"`
	Verdict  string  `json:"verdict"`
	Reason   string  `json:"reason"`
	Idle     float64 `json:"idle_seconds"`
	Reasons  []struct {
		Code   string `json:"code"`
		Detail string `json:"detail"`
	} `json:"reasons"`
	Warnings []string `json:"warnings"`
}

func look(ctx context.Context, c *http.Client, url string) (s sight) {
	defer func() { s.at = time.Now() }()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return sight{err: err}
	}
	resp, err := c.Do(req)
	if err != nil {
		return sight{err: err}
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		return sight{err: err}
	}
	return s
}

// names says whether any of the codes is among the reasons.
func (s sight) names(codes ...string) bool {
	for _, r := range s.Reasons {
		if slices.Contains(codes, r.Code) {
			return true
		}
	}
	return false
}

// detail is the detail of the first reason with this code.
func (s sight) detail(code string) string {
	for _, r := range s.Reasons {
		if r.Code == code {
			return r.Detail
		}
	}
	return ""
}

func (s sight) String() string {
	if s.err != nil {
		return "no answer: " + s.err.Error()
	}
	codes := make([]string, len(s.Reasons))
	for i, r := range s.Reasons {
		codes[i] = r.Code
	}
	return fmt.Sprintf("%s %s [%s] idle %.1f s", s.Verdict, s.Activity, strings.Join(codes, " "), s.Idle)
}

// between returns what was seen in a stretch of time.
func (w *watched) between(from, to time.Time) (out []sight) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.sights {
		if s.at.After(from) && !s.at.After(to) {
			out = append(out, s)
		}
	}
	return out
}

// until waits for a sight of which want is true, and returns it.
func (w *watched) until(ctx context.Context, most time.Duration, want func(sight) bool) (sight, bool) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	from := time.Now()
	for {
		for _, s := range w.between(from, time.Now()) {
			if s.err == nil && want(s) {
				return s, true
			}
		}
		select {
		case <-ctx.Done():
			return sight{}, false
		case <-w.done:
			return sight{}, false
		default:
		}
		stage.Rest(ctx, 50*time.Millisecond)
	}
}

// tally counts the states that were seen, the most frequent first.
func tally(sights []sight) string {
	count := map[string]int{}
	for _, s := range sights {
		word := "no answer"
		if s.err == nil {
			word = s.Verdict + " " + s.Activity + "/" + s.Reason
		}
		count[word]++
	}
	words := slices.SortedFunc(maps.Keys(count), func(a, b string) int { return count[b] - count[a] })
	for i, word := range words {
		words[i] = fmt.Sprintf("%d × %s", count[word], word)
	}
	return fmt.Sprintf("%d looks at /status: %s", len(sights), strings.Join(words, ", "))
}

// all says whether want is true of every sight; first is the first of which it is not. A machine that stands still for a while
// answers nothing, so up to half may be missing.
func all(sights []sight, want func(sight) bool) (bool, sight) {
	missing := 0
	for _, s := range sights {
		switch {
		case s.err != nil:
			if missing++; 2*missing > len(sights) {
				return false, s
			}
		case !want(s):
			return false, s
		}
	}
	return len(sights) > 0, sight{}
}

// longestIdle is the highest idle clock that was seen, in seconds.
func longestIdle(sights []sight) (idle float64) {
	for _, s := range sights {
		idle = max(idle, s.Idle)
	}
	return idle
}
