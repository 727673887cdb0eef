//go:build linux

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/bench/internal/process"
	"github.com/gpu-watchdog/gpu-watchdog/bench/internal/scrape"
	"github.com/gpu-watchdog/gpu-watchdog/collector/nvml/standin"
)

const (
	startMost = 4 * time.Minute
	runMost   = 15 * time.Minute
	// gpus is how many the stand-in has.
	gpus = 8
	// settle is how long the watchdog may take until it reads the server.
	settle = 6 * time.Second
	model  = "tiny"
	// gpuPercent is what each says.
	gpuPercent = 60
)

// load is what one run asks of the server.
type load struct {
	prompts, together, input, output int
}

// server is a real vLLM, and what is needed to load and to watch it.
type server struct {
	options
	env     []string
	address string
	library string
	script  *standin.Script
	*process.Process
}

// serve starts vLLM on the CPU, with settings small enough for a laptop.
func serve(ctx context.Context, o options) (*server, error) {
	s := &server{options: o, env: []string{
		"PATH=" + filepath.Join(o.venv, "bin") + ":" + os.Getenv("PATH"), "HOME=" + o.dir,
		"HF_HUB_OFFLINE=1", "TRANSFORMERS_OFFLINE=1", "VLLM_NO_USAGE_STATS=1", "DO_NOT_TRACK=1", "VLLM_TARGET_DEVICE=cpu",
		"VLLM_CPU_KVCACHE_SPACE=1", "VLLM_CPU_OMP_THREADS_BIND=nobind", "OMP_NUM_THREADS=1", "VLLM_WORKER_MULTIPROC_METHOD=spawn",
		"VLLM_HOST_IP=127.0.0.1", "HOST_IP=127.0.0.1", "GLOO_SOCKET_IFNAME=lo",
	}}
	var err error
	if s.library, err = standin.Build(o.dir); err != nil {
		return nil, err
	}
	s.script = standin.NewScript(filepath.Join(o.dir, "nvml"), gpus)
	for i := range s.script.GPUs { // a GPU under this load is at work, and the watchdog then asks the server less often
		s.script.GPUs[i].SetLevel(time.Now(), gpuPercent)
	}
	if err := s.script.Write(); err != nil {
		return nil, err
	}
	if s.address, err = process.FreeAddress(ctx); err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(s.address)
	if err != nil {
		return nil, err
	}
	if s.Process, err = process.Start(filepath.Join(o.dir, "vllm.log"), s.env, filepath.Join(o.venv, "bin", "vllm"), "serve", o.model,
		"--served-model-name", model, "--host", host, "--port", port, "--max-model-len", "4096", "--max-num-seqs", "4",
		"--enforce-eager", "--enable-server-load-tracking"); err != nil {
		return nil, err
	}
	starting, cancel := context.WithTimeout(ctx, startMost)
	defer cancel()
	if err := s.Wait(starting, func() error { _, err := scrape.Page(starting, "http://"+s.address+"/health"); return err }); err != nil {
		s.close()
		return nil, fmt.Errorf("%w; its log is in %s", err, o.dir)
	}
	return s, nil
}

func (s *server) close() { _ = s.Stop() }

// defaultInterval is the distance of two looks of a watchdog that nobody told otherwise.
const defaultInterval = 5 * time.Second

// measure makes one pair: a run of the benchmark, during which the watchdog runs and pauses in turn.
func (s *server) measure(ctx context.Context, name string, prompts int, w *process.Process, first bool) (pair, error) {
	ctx, cancel := context.WithTimeout(ctx, runMost)
	defer cancel()
	host, port, err := net.SplitHostPort(s.address)
	if err != nil {
		return pair{}, err
	}
	p, err := process.Start(filepath.Join(s.dir, name+".log"), s.env, filepath.Join(s.client, "bin", "vllm"), "bench", "serve",
		"--backend", "openai", "--host", host, "--port", port, "--endpoint", "/v1/completions", "--model", model, "--tokenizer", s.model,
		"--dataset-name", "random", "--random-input-len", fmt.Sprint(s.load.input), "--random-output-len", fmt.Sprint(s.load.output),
		"--num-prompts", fmt.Sprint(prompts), "--request-rate", "inf", "--max-concurrency", fmt.Sprint(s.load.together), "--seed", "1", "--ignore-eos",
		"--percentile-metrics", "ttft,tpot,itl", "--metric-percentiles", "50,95,99", "--save-result", "--save-detailed", "--result-dir", s.dir,
		"--result-filename", name+".json", "--disable-tqdm")
	if err != nil {
		return pair{}, err
	}
	defer p.Stop() //nolint:errcheck // it has ended, or its end does not matter any more
	turns, err := takeTurns(ctx, w, p.Ended(), s.turn, first)
	if err != nil {
		return pair{}, fmt.Errorf("run %s: %w", name, err)
	}
	return result(filepath.Join(s.dir, name+".json"), prompts, turns)
}

// watch starts the watchdog as it runs in a pod: its own defaults, and what it would do is only said.
func (s *server) watch(ctx context.Context) (*process.Process, error) {
	listen, err := process.FreeAddress(ctx)
	if err != nil {
		return nil, err
	}
	w, err := process.Start(filepath.Join(s.dir, "watchdog.log"), []string{
		"WATCHDOG_DRY_RUN=true", "WATCHDOG_PRICE=1.50", "WATCHDOG_NAME=bench", "WATCHDOG_DIR=" + filepath.Join(s.dir, "memory"),
		"WATCHDOG_VLLM_URLS=http://" + s.address, "WATCHDOG_LISTEN=" + listen, "WATCHDOG_NVML_LIBRARY=" + s.library, s.script.Env(),
		"WATCHDOG_CHECK_INTERVAL=" + (2 * defaultInterval).String(), // all its looks fall into the half of the time in which it runs
	}, s.watchdog, "run")
	if err != nil {
		return nil, err
	}
	ready, cancel := context.WithTimeout(ctx, settle)
	defer cancel()
	err = w.Wait(ready, func() error {
		up, err := scrape.Sample(ready, "http://"+listen+"/metrics", `gpu_watchdog_source_up{source="vllm"}`)
		if err == nil && up != 1 {
			err = fmt.Errorf("it does not read vLLM")
		}
		return err
	})
	if err != nil {
		_ = w.Stop()
		return nil, err
	}
	return w, nil
}
