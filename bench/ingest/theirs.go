//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/bench/internal/process"
	"github.com/gpu-watchdog/gpu-watchdog/bench/internal/scrape"
)

const (
	startMost = 5 * time.Minute
	model     = "tiny"
	// tokens of each answer: few, so that what each request costs by itself shows.
	tokens = 8
	// flush is how long after a turn the exporter has sent everything, with the delay that it gets here.
	flush = 2 * time.Second
)

// server is a real vLLM, whose process is its API server; the engine is a process of its own.
type server struct {
	*process.Process
	url string
}

// serve starts vLLM on the CPU, with tracing to an endpoint where it is not empty.
func serve(ctx context.Context, o options, name, endpoint string) (*server, error) {
	address, err := process.FreeAddress(ctx)
	if err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	args := []string{"serve", o.model, "--served-model-name", model, "--host", host, "--port", port, "--max-model-len", "4096", "--max-num-seqs", fmt.Sprint(o.together), "--enforce-eager"}
	if endpoint != "" {
		args = append(args, "--otlp-traces-endpoint", endpoint)
	}
	s := &server{url: "http://" + address}
	s.Process, err = process.Start(filepath.Join(o.dir, name+".log"), []string{
		"PATH=" + filepath.Join(o.venv, "bin") + ":" + os.Getenv("PATH"), "HOME=" + o.dir,
		"HF_HUB_OFFLINE=1", "TRANSFORMERS_OFFLINE=1", "VLLM_NO_USAGE_STATS=1", "DO_NOT_TRACK=1", "VLLM_TARGET_DEVICE=cpu",
		"VLLM_CPU_KVCACHE_SPACE=1", "VLLM_CPU_OMP_THREADS_BIND=nobind", "OMP_NUM_THREADS=1", "VLLM_WORKER_MULTIPROC_METHOD=spawn",
		"VLLM_HOST_IP=127.0.0.1", "HOST_IP=127.0.0.1", "GLOO_SOCKET_IFNAME=lo", "OTEL_TRACES_SAMPLER=always_on", "OTEL_BSP_SCHEDULE_DELAY=500",
	}, filepath.Join(o.venv, "bin", "vllm"), args...)
	if err != nil {
		return nil, err
	}
	starting, cancel := context.WithTimeout(ctx, startMost)
	defer cancel()
	if err := s.Wait(starting, func() error { return scrape.Up(starting, s.url+"/health") }); err != nil {
		_ = s.Stop()
		return nil, fmt.Errorf("%w; its log is in %s", err, o.dir)
	}
	return s, nil
}

// turn is what a server's part of a pair was like.
type turn struct {
	// perRequest is the API server's processor time in ms, rate the requests a second.
	perRequest, rate float64
}

// theirs measures the API server's processor time with and without tracing, in turns that are paired.
func theirs(ctx context.Context, o options, out io.Writer) error {
	plain, err := serve(ctx, o, "vllm-plain", "")
	if err != nil {
		return err
	}
	defer plain.Stop() //nolint:errcheck // it ends by our signal
	// It watches no server: its looks would be in what that server costs.
	w, err := watch(ctx, o, "traced", "none")
	if err != nil {
		return err
	}
	defer w.Stop() //nolint:errcheck // it ends by our signal
	traced, err := serve(ctx, o, "vllm-traced", "http://"+w.ingest)
	if err != nil {
		return err
	}
	defer traced.Stop()                          //nolint:errcheck // it ends by our signal
	for _, s := range []*server{plain, traced} { // warm-up
		if _, err := s.turn(ctx, o); err != nil {
			return err
		}
	}
	before, err := w.rows(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "vLLM's API server: turns of %d requests of %d tokens, %d together, one server after the other; load before %s\n", o.requests, tokens, o.together, process.Load())
	fmt.Fprintf(out, "%4s %24s %24s %12s\n", "pair", "plain, ms/request (1/s)", "traced, ms/request (1/s)", "difference")
	var differences, without []float64
	for i := range o.pairs {
		order := []*server{plain, traced}
		if i%2 == 1 {
			slices.Reverse(order)
		}
		took := map[*server]turn{}
		for _, s := range order {
			if took[s], err = s.turn(ctx, o); err != nil {
				return err
			}
		}
		a, b := took[plain], took[traced]
		differences, without = append(differences, b.perRequest-a.perRequest), append(without, a.perRequest)
		fmt.Fprintf(out, "%4d %16.3f (%5.1f) %16.3f (%5.1f) %9.3f ms\n", i+1, a.perRequest, a.rate, b.perRequest, b.rate, b.perRequest-a.perRequest)
	}
	kept, _, err := w.await(ctx, before+o.pairs*o.requests)
	if err != nil {
		return err
	}
	slices.Sort(differences)
	slices.Sort(without)
	median := differences[len(differences)/2]
	fmt.Fprintf(out, "median difference %+.3f ms of the API server's CPU for a request (from %+.3f to %+.3f), %+.1f %%; %d of %d spans became rows\n",
		median, differences[0], differences[len(differences)-1], 100*median/without[len(without)/2], kept-before, o.pairs*o.requests)
	if kept-before != o.pairs*o.requests {
		return fmt.Errorf("%d requests were traced and %d became rows", o.pairs*o.requests, kept-before)
	}
	return nil
}

// turn sends the requests of one turn and reads what they cost, the sending of their spans included.
func (s *server) turn(ctx context.Context, o options) (t turn, err error) {
	before, err := s.CPU()
	if err != nil {
		return t, err
	}
	began := time.Now()
	left := make(chan struct{}, o.requests)
	for range o.requests {
		left <- struct{}{}
	}
	close(left)
	failed := make(chan error, o.together)
	var clients sync.WaitGroup
	for range o.together {
		clients.Go(func() {
			for range left {
				if err := s.complete(ctx); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	clients.Wait()
	t.rate = float64(o.requests) / time.Since(began).Seconds()
	select {
	case err := <-failed:
		return t, err
	default:
	}
	if err := pause(ctx, flush); err != nil {
		return t, err
	}
	after, err := s.CPU()
	t.perRequest = (after - before).Seconds() * 1e3 / float64(o.requests)
	return t, err
}

var client = http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 16}}

func (s *server) complete(ctx context.Context) error {
	body, err := json.Marshal(map[string]any{"model": model, "prompt": "say something about nothing", "max_tokens": tokens, "ignore_eos": true})
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/v1/completions", bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("a completion: %s: %.200s", answer.Status, text)
	}
	return err
}
