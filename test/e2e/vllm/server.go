package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// modelName is the name under which the model is served.
	modelName = "tiny"
	// readyMost is how long a server may take to get ready on a slow machine.
	readyMost = 5 * time.Minute
	// stopGrace is how long a server may take to end by itself.
	stopGrace = 10 * time.Second
)

// server is a real vLLM.
type server struct {
	url  string
	log  string
	cmd  *exec.Cmd
	done chan struct{}
	// began is when its process was started.
	began time.Time
}

// startServer starts vLLM on the CPU with the limits of a laptop, in a session of its own. It is not ready yet.
func startServer(c config, p pod) (*server, error) {
	argv := []string{filepath.Join(c.venv, "bin", "vllm"), "serve", c.model, "--served-model-name", modelName,
		"--host", "127.0.0.1", "--port", strconv.Itoa(c.port), "--max-model-len", "4096", "--max-num-seqs", "4", "--enforce-eager"}
	if c.tracking {
		argv = append(argv, "--enable-server-load-tracking")
	}
	argv = p.of(argv...)
	s := &server{url: fmt.Sprintf("http://127.0.0.1:%d", c.port), log: filepath.Join(c.work, "vllm.log"), done: make(chan struct{})}
	if s.answers(context.Background()) {
		return nil, fmt.Errorf("port %d is served already: set PORT to a free one", c.port)
	}
	out, err := os.Create(s.log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cache := filepath.Join(c.work, "kernels") // an empty one: the first request has its kernels to compile
	if err := os.RemoveAll(cache); err != nil {
		return nil, err
	}
	s.cmd = exec.Command(argv[0], argv[1:]...)
	s.cmd.Stdout, s.cmd.Stderr = out, out
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	s.cmd.Env = append(os.Environ(),
		"PATH="+filepath.Join(c.venv, "bin")+":"+os.Getenv("PATH"),
		"TORCHINDUCTOR_CACHE_DIR="+cache,
		"VLLM_SERVER_DEV_MODE=1", // /pause
		"VLLM_TARGET_DEVICE=cpu", "VLLM_CPU_KVCACHE_SPACE=1", "VLLM_CPU_OMP_THREADS_BIND=nobind", "OMP_NUM_THREADS=1",
		"VLLM_WORKER_MULTIPROC_METHOD=spawn", "VLLM_HOST_IP=127.0.0.1", "HOST_IP=127.0.0.1", "GLOO_SOCKET_IFNAME=lo",
		"HF_HUB_OFFLINE=1", "TRANSFORMERS_OFFLINE=1", "VLLM_NO_USAGE_STATS=1", "DO_NOT_TRACK=1")
	s.began = time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start vLLM: %w", err)
	}
	go func() {
		defer close(s.done)
		_ = s.cmd.Wait() // how it ends is part of the play
	}()
	pid := strconv.Itoa(s.cmd.Process.Pid)
	return s, os.WriteFile(filepath.Join(c.work, "server.pid"), []byte(pid+"\n"), 0o600)
}

var healthClient = &http.Client{Timeout: time.Second}

func (s *server) answers(ctx context.Context) bool {
	return s.status(ctx, "/health") == http.StatusOK
}

// status asks for a page by GET and returns the answer's status, 0 where there was none.
func (s *server) status(ctx context.Context, path string) int {
	return ask(ctx, healthClient, http.MethodGet, s.url+path)
}

// post sends an empty POST.
func (s *server) post(ctx context.Context, path string) int {
	return ask(ctx, healthClient, http.MethodPost, s.url+path)
}

func ask(ctx context.Context, client *http.Client, method, url string) int {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return 0
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// awaitReady waits for the first 200 of /health and says when it came, to a twentieth of a second.
func (s *server) awaitReady(ctx context.Context) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, readyMost)
	defer cancel()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		if s.answers(ctx) {
			return time.Now(), nil
		}
		select {
		case <-ctx.Done():
			return time.Time{}, fmt.Errorf("vLLM is not ready: %w; the end of %s:\n%s", ctx.Err(), s.log, tail(s.log))
		case <-s.done:
			return time.Time{}, fmt.Errorf("vLLM ended; the end of %s:\n%s", s.log, tail(s.log))
		case <-ticker.C:
		}
	}
}

func tail(file string) string {
	page, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(page)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

// engine is the process that computes.
func (s *server) engine() (int, error) { return processNamed(s.cmd.Process.Pid, "EngineCore") }

// stop ends the server and all its processes, and waits for it.
func (s *server) stop() error {
	all := descendants(s.cmd.Process.Pid)
	signalAll(all, syscall.SIGCONT)
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // an error is that it has ended
	left := func() (pids []int) {
		for _, pid := range all {
			if alive(pid) {
				pids = append(pids, pid)
			}
		}
		return pids
	}
	for deadline := time.Now().Add(stopGrace); len(left()) > 0 && time.Now().Before(deadline); {
		rest(context.Background(), 100*time.Millisecond)
	}
	signalAll(left(), syscall.SIGKILL)
	select {
	case <-s.done:
		return nil
	case <-time.After(stopGrace):
		return errors.New("vLLM's process does not end")
	}
}
