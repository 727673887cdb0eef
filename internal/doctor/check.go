package doctor

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/gpu-watchdog/gpu-watchdog/internal/secret"
)

// Verdict is what came of a check.
type Verdict string

// The verdicts, from the best to the worst.
const (
	// OK: as it should be.
	OK Verdict = "ok"
	// Note: nothing is wrong, and there is something to know.
	Note Verdict = "note"
	// Warning: the watchdog will work, and less well than it could.
	Warning Verdict = "warning"
	// Failed: something that the watchdog needs is not there, or it will not do what was asked of it.
	Failed Verdict = "failed"
)

// weight puts the verdicts in their order; a word that is none is the worst.
func (v Verdict) weight() int {
	for i, known := range []Verdict{OK, Note, Warning} {
		if v == known {
			return i
		}
	}
	return 3
}

// Finding is what one check has found out.
type Finding struct {
	// Name is the check's, the same in every version. Several findings may have the same: one for each server, say.
	Name    string  `json:"name"`
	Verdict Verdict `json:"verdict"`
	// Detail is what was found, on one line.
	Detail string `json:"detail"`
	// Remedy says what to do; empty where there is nothing to do.
	Remedy string `json:"remedy"`

	section string
	// mistaken: a setting is wrong. refused: a stop that was asked for would not be carried out.
	mistaken, refused bool
	// way is what a rehearsal of a stop came to.
	way way
}

// way says whether one of the ways to stop the pod would do.
type way int

const (
	noWay way = iota // it is no rehearsal
	would
	wouldNot
)

// check is one thing to look at.
type check struct {
	section, name string
	// look returns when ctx ends at the latest, or is left behind.
	look func(ctx context.Context) []Finding
}

const (
	// checkMost bounds one check; all run side by side. leaveAfter is how long one that does not keep to that is waited for beyond it.
	checkMost  = 8 * time.Second
	leaveAfter = 500 * time.Millisecond
)

// examine runs all checks side by side and returns their findings in the order of the checks. A check that panics, or that does not
// come back, is a finding, and no other is the worse for it.
func examine(ctx context.Context, checks []check, most time.Duration) []Finding {
	results := make([][]Finding, len(checks))
	var all sync.WaitGroup
	for i, c := range checks {
		all.Go(func() { results[i] = c.run(ctx, most) })
	}
	all.Wait()
	var out []Finding
	for i, found := range results {
		for _, f := range found {
			if f.Name == "" {
				f.Name = checks[i].name
			}
			f.section = checks[i].section
			out = append(out, f)
		}
	}
	return out
}

// run bounds one check. What it runs in may outlive it: a driver or a disk that hangs cannot be told to end, and the process is about
// to.
func (c check) run(ctx context.Context, most time.Duration) []Finding {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	done := make(chan []Finding, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- []Finding{{Verdict: Failed, Detail: fmt.Sprintf("this check itself went wrong: %v", p), Remedy: "please report it; the other checks are not affected"}}
			}
		}()
		done <- c.look(ctx)
	}()
	late := time.NewTimer(most + leaveAfter)
	defer late.Stop()
	select {
	case found := <-done:
		return found
	case <-late.C:
		return []Finding{{Verdict: Failed, Detail: fmt.Sprintf("no answer within %s: something below it hangs (a driver, a disk)", span(most)), Remedy: "see whether the machine is healthy: dmesg, df, nvidia-smi"}}
	}
}

// mostText bounds a detail and a remedy, in runes: what is longer is a page that somebody answered with.
const mostText = 700

// cleaner makes foreign text fit to be shown.
type cleaner struct{ secrets []secret.Secret }

// clean leaves out what is secret, and everything that a terminal could take for an order.
func (c cleaner) clean(text string) string {
	const shortest = 6 // a shorter one is a word that may stand anywhere
	for _, s := range c.secrets {
		if hidden := s.Reveal(); len(hidden) >= shortest {
			text = strings.ReplaceAll(text, hidden, secret.Mask)
		}
	}
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\n', r == '\t':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == unicode.ReplacementChar:
			return '?'
		}
		return r
	}, strings.ReplaceAll(strings.TrimSpace(text), "\n", "; "))
	if runes := []rune(text); len(runes) > mostText {
		text = string(runes[:mostText-1]) + "…"
	}
	return text
}
