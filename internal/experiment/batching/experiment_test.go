package batching

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/load"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// pages is a server's page whose counters the test moves.
type pages func() string

func (p pages) Page(context.Context, string) ([]byte, string, error) {
	text := p()
	if text == "" {
		return nil, "", errors.New("no page")
	}
	return []byte(text), "text/plain", nil
}

// page is a page of one engine with these counters.
func page(tokens, steps, finished, lookedUp, hits, running int) string {
	var b strings.Builder
	for name, v := range map[string]int{
		"vllm:generation_tokens_total": tokens, "vllm:iteration_tokens_total_count": steps, "vllm:request_success_total": finished,
		"vllm:prefix_cache_queries_total": lookedUp, "vllm:prefix_cache_hits_total": hits, "vllm:num_requests_running": running,
	} {
		fmt.Fprintf(&b, "%s{engine=\"0\",model_name=\"a } b\"} %d.0\n", name, v)
	}
	return b.String()
}

func TestPlayTakesTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server{took: always(time.Second)}
		var told []string
		result, err := Play(t.Context(), Config{
			Asker: &s, Model: "m", Workload: prompts(3, 2), Repeats: 2, WarmUp: 3,
			Scenarios: []Scenario{{Kind: Sequential}, {Kind: Continuous, Concurrency: 3}},
			Progress: func(p Progress) {
				if p.Scenario != nil && p.Done == 0 {
					told = append(told, fmt.Sprint(p.Scenario.Name(), p.Repeat))
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		if want := "[A one at a time1 C 3 at a time1 A one at a time2 C 3 at a time2]"; fmt.Sprint(told) != want {
			t.Errorf("played %v", told)
		}
		if len(s.asked) != 3+4*3 {
			t.Errorf("asked %d times", len(s.asked))
		}
		salts := map[string]bool{}
		for _, q := range s.asked {
			salt, rest, _ := strings.Cut(q.Prompt, " ")
			if salts[salt] || rest != "a prompt" || q.CacheSalt != salt || !q.IgnoreEOS || q.Model != "m" || q.MaxTokens != 2 {
				t.Errorf("asked for %+v", q)
			}
			salts[salt] = true
		}
		summaries, err := result.Summaries(Objectives{})
		if err != nil || len(summaries) != 2 || len(summaries[0].Each) != 2 {
			t.Fatalf("%d summaries, %v", len(summaries), err)
		}
		for i, want := range []float64{3, 1} {
			if have := summaries[i].Mean.Of("duration"); have.Value != want {
				t.Errorf("%s took %v", summaries[i].Scenario.Name(), have)
			}
		}
	})
}

func TestPlayKeepsTheCacheWhereAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server{took: always(time.Second)}
		if _, err := Play(t.Context(), Config{Asker: &s, Workload: prompts(2, 2), KeepCache: true, StopAtEOS: true, Scenarios: []Scenario{{Kind: Sequential}}}); err != nil {
			t.Fatal(err)
		}
		for _, q := range s.asked {
			if q.Prompt != "a prompt" || q.CacheSalt != "" || q.IgnoreEOS {
				t.Errorf("asked for %+v", q)
			}
		}
	})
}

func TestPlayWithoutCacheSalt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server{took: always(time.Second), bad: func(_ int, q load.Request) error {
			if q.CacheSalt != "" {
				return &load.StatusError{Status: http.StatusBadRequest, Message: "Unrecognized request argument: cache_salt"}
			}
			return nil
		}}
		result, err := Play(t.Context(), Config{Asker: &s, Workload: prompts(2, 2), Scenarios: []Scenario{{Kind: Sequential}}})
		if err != nil || result.CacheSalt || len(s.asked) != 4 {
			t.Errorf("asked %d times, cache_salt %v: %v", len(s.asked), result.CacheSalt, err)
		}
	})
}

func TestPlayEndsEarlyWithWhatItHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := server{took: always(time.Second), bad: func(n int, _ load.Request) error {
			if n == 1+6+2 { // the warm-up, scenario A, two of scenario B
				return errAsked
			}
			return nil
		}}
		result, err := Play(t.Context(), Config{Asker: &s, Workload: prompts(6, 2), Scenarios: []Scenario{{Kind: Sequential}, {Kind: Static, Batch: 2}, {Kind: Continuous, Concurrency: 9}}})
		if !errors.Is(err, errAsked) || !strings.Contains(err.Error(), "B batches of 2, repeat 1") {
			t.Fatalf("have %v", err)
		}
		if n := len(result.Outcomes[0].Runs); n != 1 || len(result.Outcomes[1].Runs) != 1 || len(result.Outcomes[2].Runs) != 0 {
			t.Fatalf("have %+v", result.Outcomes)
		}
		if b := result.Outcomes[1].Runs[0]; b.Failed != 1 || len(b.Asked)-b.Failed < 2 || b.Missing != 6-len(b.Asked) {
			t.Errorf("%d asked, %d failed, %d missing", len(b.Asked), b.Failed, b.Missing)
		}
		r := Report{Result: result, Prompts: 6, Repeats: 1, Early: err.Error()}
		var text strings.Builder
		if err := r.Table(&text); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"A one at a time", "B batches of 2", "ENDED EARLY: B batches of 2, repeat 1: 1 of", "1 failed"} {
			if !strings.Contains(text.String(), want) {
				t.Errorf("without %q:\n%s", want, text.String())
			}
		}
		if strings.Contains(text.String(), "C 9") || strings.Contains(text.String(), "times the tokens") {
			t.Errorf("a conclusion from half an experiment:\n%s", text.String())
		}
	})
}

func TestWarmUpThatFails(t *testing.T) {
	s := server{took: always(0), bad: func(int, load.Request) error { return fmt.Errorf("x is %w", load.ErrUnreachable) }}
	result, err := Play(t.Context(), Config{Asker: &s, Workload: prompts(2, 2), Scenarios: []Scenario{{Kind: Sequential}}})
	if !errors.Is(err, load.ErrUnreachable) || len(result.Outcomes) != 0 {
		t.Errorf("have %+v, %v", result, err)
	}
}

// TestCachingIsCalledByItsName: what the server counts decides, not what was tried.
func TestCachingIsCalledByItsName(t *testing.T) {
	for _, c := range []struct {
		name       string
		keep       bool
		before     string
		after      string
		says, json string
	}{
		{"held off", false, page(0, 0, 0, 100, 40, 0), page(60, 30, 3, 200, 40, 0), "Prompt caching was held off: no prompt token", `"held_off": true`},
		{"not held off", false, page(0, 0, 0, 100, 40, 0), page(60, 30, 3, 200, 56, 0), "Prompt caching was NOT held off: 16 of 100 prompt tokens", `"held_off": false`},
		{"let in", true, page(0, 0, 0, 100, 40, 0), page(60, 30, 3, 200, 56, 0), "Prompt caching was let in: 16 prompt tokens", `"held_off": false`},
		{"no page", false, "", "", "does not tell how many tokens came from its cache", `"held_off": null`},
		{"started anew", false, page(0, 0, 0, 100, 40, 0), page(0, 0, 0, 0, 0, 0), "does not tell", `"held_off": null`},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := server{took: always(time.Millisecond)}
			at := pages(func() string {
				s.mu.Lock()
				defer s.mu.Unlock()
				if len(s.asked) < 2 {
					return c.before
				}
				return c.after
			})
			result, err := Play(t.Context(), Config{Asker: &s, Workload: prompts(3, 2), KeepCache: c.keep, Pages: at, Scenarios: []Scenario{{Kind: Sequential}}})
			if err != nil {
				t.Fatal(err)
			}
			r := Report{Result: result, Prompts: 3, Repeats: 1, KeepCache: c.keep}
			var table, asJSON strings.Builder
			if err := errors.Join(r.Table(&table), r.JSON(&asJSON)); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(table.String(), c.says) || !strings.Contains(asJSON.String(), c.json) {
				t.Errorf("want %q and %q:\n%s\n%s", c.says, c.json, table.String(), asJSON.String())
			}
		})
	}
}

func TestOthersAreNoticed(t *testing.T) {
	s := server{took: always(time.Millisecond)}
	at := pages(func() string {
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.asked) < 2 {
			return page(1000, 500, 10, 0, 0, 4)
		}
		return page(1060, 520, 10+3+2, 0, 0, 0)
	})
	result, err := Play(t.Context(), Config{Asker: &s, Workload: prompts(3, 2), Pages: at, Scenarios: []Scenario{{Kind: Sequential}}})
	if err != nil {
		t.Fatal(err)
	}
	seen := result.Outcomes[0].Runs[0].Seen
	if seen.TokensPerStep.Value != 3 || seen.Foreign.Value != 2 {
		t.Errorf("have %+v", seen)
	}
	notes := strings.Join((&Report{Result: result}).Notes(), "\n")
	for _, want := range []string{"4 requests of somebody else ran", "finished 2 requests that are not of the experiment"} {
		if !strings.Contains(notes, want) {
			t.Errorf("without %q: %s", want, notes)
		}
	}
}

// looks are the answers of a server and of a GPU, one after the other; the last one again and again.
type looks[T any] struct{ all []T }

func (l *looks[T]) Read(context.Context) T {
	first := l.all[0]
	if len(l.all) > 1 {
		l.all = l.all[1:]
	}
	return first
}

func TestWhatIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		running := func(n ...float64) watchdog.Server {
			s := watchdog.Server{Outcome: watchdog.OutcomeAnswered, EngineSeries: true}
			for _, v := range n {
				s.Engines = append(s.Engines, watchdog.Engine{Running: watchdog.Known(v), KVUsage: watchdog.Known(v / 100)})
			}
			return s
		}
		gpu := func(memory float64, samples ...uint8) watchdog.GPU {
			return watchdog.GPU{State: watchdog.SourceOK, Devices: []watchdog.Device{{State: watchdog.SourceOK, Samples: samples, SamplePeriod: time.Second, MemoryUsedBytes: watchdog.Known(memory)}}}
		}
		servers := looks[watchdog.Server]{[]watchdog.Server{running(4, 2), {Outcome: watchdog.OutcomeTimeout}, running(3, 3), running(0, 0)}}
		gpus := looks[watchdog.GPU]{[]watchdog.GPU{gpu(9, 100), gpu(1, 20, 40), gpu(3), {State: watchdog.SourceFailed, Reason: "lost"}, gpu(2, 60), gpu(2, 80)}}
		stop := watching(t.Context(), &servers, &gpus, time.Second)
		time.Sleep(4500 * time.Millisecond)
		seen := stop()
		// Looks at 1, 2, 3 and 4 s; the GPU also before the run, which does not count, and after it, which does.
		want := Seen{
			RunningMean: watchdog.Known(4.0), RunningMax: watchdog.Known(6.0), KVMax: watchdog.Known(0.04),
			Utilisation: watchdog.Known(50.0), UtilisationMax: watchdog.Known(80.0), MemoryMax: watchdog.Known(3.0),
		}
		if seen != want {
			t.Errorf("have %+v\nwant %+v", seen, want)
		}
	})
	t.Run("nothing", func(t *testing.T) {
		seen := watching(t.Context(), nil, &looks[watchdog.GPU]{[]watchdog.GPU{{State: watchdog.SourceAbsent, Reason: "no library"}}}, time.Hour)()
		if seen.Utilisation.Known || seen.MemoryMax.Known || seen.RunningMean.Known || seen.GPUWhy != "no library" || seen.ServerWhy == "" {
			t.Errorf("have %+v", seen)
		}
	})
}
