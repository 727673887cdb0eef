package main

import (
	"testing"

	"github.com/gpu-watchdog/gpu-watchdog/collector/vllm"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

func TestThePageIsOneThatTheWatchdogReads(t *testing.T) {
	p, err := readPage("../../collector/vllm/testdata/0.32.0-idle.metrics.gz")
	if err != nil {
		t.Fatal(err)
	}
	// Of ten pages the last two show work: the eight before are equal in all that counts.
	tokens := make([]float64, 20)
	running := make([]float64, 20)
	for n := range tokens {
		body := p.at(state(uint64(n), 2, 10))
		if len(body) < least || len(body) > most {
			t.Fatalf("page %d is %d bytes long", n, len(body))
		}
		page, err := vllm.ParsePage(body, "text/plain")
		if err != nil || !page.EngineSeries || len(page.Engines) != 1 {
			t.Fatalf("page %d: %+v, %v", n, page, err)
		}
		tokens[n], running[n] = page.Engines[0].Counters[watchdog.GenerationTokens].Value, page.Engines[0].Running.Value
	}
	for n := 1; n < len(tokens); n++ {
		atWork := n%10 >= 8
		if (tokens[n]-tokens[n-1] == tokensAtWork) != atWork || (tokens[n] == tokens[n-1]) == atWork || (running[n] == 1) != atWork {
			t.Errorf("page %d shows %v tokens after %v and %v running; at work: %v", n, tokens[n], tokens[n-1], running[n], atWork)
		}
	}
}

func TestAPageThatIsNotTheOneMeantIsRefused(t *testing.T) {
	if _, err := newPage([]byte("up 1\n")); err == nil {
		t.Error("a page of 5 bytes was taken")
	}
	if _, err := readPage("page.go"); err == nil {
		t.Error("a file that is not packed was taken")
	}
}
