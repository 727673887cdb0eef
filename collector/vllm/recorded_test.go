package vllm

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Pages of real servers, each read at a moment whose truth was known (testdata/README.md).
func TestRecordedPages(t *testing.T) {
	unknown := watchdog.Maybe[float64]{}
	type want struct {
		engines          int
		engine, http     bool
		running, waiting watchdog.Maybe[float64]
		prompt, first    watchdog.Maybe[float64]
		finished, posted watchdog.Maybe[float64]
		started, awake   bool
	}
	unasked := want{1, true, true, known(0), known(0), known(0), known(0), known(0), known(0), true, true}
	busy := want{1, true, true, known(2), known(1), known(82), known(2), known(0), known(0), true, true}
	idle := want{1, true, true, known(0), known(0), known(123), known(3), known(3), known(3), true, true}
	aborted := want{1, true, true, known(0), known(0), known(164), known(4), known(3), known(4), true, true}
	several := func(w want) want { w.started = false; return w } // API servers: no start stamp
	gaugeless := several(unasked)
	gaugeless.running, gaugeless.waiting = unknown, unknown
	silent := func(posted float64) want {
		return want{http: true, posted: known(posted), started: true}
	}
	for name, w := range map[string]want{
		"0.12.0-no-request-yet":         unasked,
		"0.12.0-busy":                   busy,
		"0.12.0-idle":                   idle,
		"0.12.0-aborted":                aborted,
		"0.32.0-no-request-yet":         unasked,
		"0.32.0-busy":                   busy,
		"0.32.0-idle":                   idle,
		"0.32.0-aborted":                aborted,
		"0.32.0-api2-no-request-yet":    gaugeless,
		"0.32.0-api2-busy":              several(busy),
		"0.32.0-api2-idle":              several(idle),
		"0.32.0-api2-aborted":           several(aborted),
		"0.32.0-nostats-no-request-yet": silent(0),
		"0.32.0-nostats-busy":           silent(0),
		"0.32.0-nostats-idle":           silent(3),
		"0.32.0-nostats-aborted":        silent(4),
	} {
		t.Run(name, func(t *testing.T) {
			body, ok := recordedPages(t)[name]
			if !ok {
				t.Fatal("there is no such page")
			}
			page, err := ParsePage(body, textType)
			if err != nil {
				t.Fatal(err)
			}
			got := want{engines: len(page.Engines), engine: page.EngineSeries, http: page.HTTPSeries, posted: page.HTTPRequests, started: page.StartedAt > 1.7e9}
			if len(page.Engines) > 0 {
				e := page.Engines[0]
				got.running, got.waiting, got.awake = e.Running, e.Waiting, e.Awake.Or(false)
				got.prompt, got.first = e.Counters[watchdog.PromptTokens], e.Counters[watchdog.FirstTokens]
				got.finished = e.Counters[watchdog.FinishedRequests]
				for c, v := range e.Counters {
					if !v.Known {
						t.Errorf("counter %d is unknown", c)
					}
				}
			}
			if diff := cmp.Diff(w, got, cmp.AllowUnexported(want{})); diff != "" {
				t.Error(diff)
			}
			all, err := referenceSeries(body, false)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(referenceEngines(all), stripped(page)); diff != "" {
				t.Errorf("the plain parser reads other engines: %s", diff)
			}
		})
	}
	if n := len(recordedPages(t)); n != 16 {
		t.Errorf("%d pages are recorded; each needs a row", n)
	}
}

// A recorded page that ends anywhere within a line is half a page.
func TestEveryCutWithinALineIsSeen(t *testing.T) {
	body := firstLines(recordedPages(t)["0.32.0-busy"], 6<<10)
	for n := 1; n < len(body); n++ {
		if body[n-1] == '\n' {
			continue
		}
		if _, err := ParsePage(body[:n], textType); err == nil {
			t.Fatalf("cut after %d bytes, in %q, it was read", n, body[bytes.LastIndexByte(body[:n], '\n')+1:n])
		}
	}
}
