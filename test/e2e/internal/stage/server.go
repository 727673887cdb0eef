package stage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
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
	// ModelName is the name under which the model is served.
	ModelName = "tiny"
	// readyMost is how long a server may take to get ready on a slow machine.
	readyMost = 10 * time.Minute
	// stopGrace is how long a server may take to end by itself.
	stopGrace = 10 * time.Second
)

// ServerConfig says which vLLM is started, and how.
type ServerConfig struct {
	// Venv is the environment with vLLM, Model the model's folder. Work keeps the log, the compiled kernels and server.pid.
	Venv, Model, Work string
	Port              int
	// Args and Env are further flags and variables.
	Args, Env []string
	// Log is its log's name in Work; empty for vllm.log.
	Log string
	// Wrap makes the command that is started of that of the server; nil leaves it.
	Wrap func(argv ...string) []string
}

// Server is a real vLLM.
type Server struct {
	URL string
	// Began is when its process was started.
	Began time.Time

	log  string
	cmd  *exec.Cmd
	done chan struct{}
}

// Environment is that of any program of vLLM on the CPU, with compiled kernels in a folder of their own.
func Environment(venv, kernels string) []string {
	return append(os.Environ(),
		"PATH="+filepath.Join(venv, "bin")+":"+os.Getenv("PATH"),
		"TORCHINDUCTOR_CACHE_DIR="+kernels,
		"VLLM_SERVER_DEV_MODE=1", // /pause
		"VLLM_TARGET_DEVICE=cpu", "VLLM_CPU_KVCACHE_SPACE=1", "VLLM_CPU_OMP_THREADS_BIND=nobind", "OMP_NUM_THREADS=1",
		"VLLM_WORKER_MULTIPROC_METHOD=spawn", "VLLM_HOST_IP=127.0.0.1", "HOST_IP=127.0.0.1", "GLOO_SOCKET_IFNAME=lo",
		"HF_HUB_OFFLINE=1", "TRANSFORMERS_OFFLINE=1", "VLLM_NO_USAGE_STATS=1", "DO_NOT_TRACK=1")
}

// Command starts vLLM with the limits of a laptop.
func Command(venv, model, port string) []string {
	return []string{filepath.Join(venv, "bin", "vllm"), "serve", model, "--served-model-name", ModelName,
		"--host", "127.0.0.1", "--port", port, "--max-model-len", "4096", "--max-num-seqs", "4", "--enforce-eager"}
}

// Kernels is the folder of compiled kernels below a working folder.
func Kernels(work string) string { return filepath.Join(work, "kernels") }

// StartServer starts vLLM on the CPU with the limits of a laptop, in a process group of its own. It is not ready yet.
func StartServer(c ServerConfig) (*Server, error) {
	argv := append(Command(c.Venv, c.Model, strconv.Itoa(c.Port)), c.Args...)
	if c.Wrap != nil {
		argv = c.Wrap(argv...)
	}
	s := &Server{URL: fmt.Sprintf("http://127.0.0.1:%d", c.Port), log: filepath.Join(c.Work, cmp.Or(c.Log, "vllm.log")), done: make(chan struct{})}
	if s.answers(context.Background()) {
		return nil, fmt.Errorf("port %d is served already: set PORT to a free one", c.Port)
	}
	out, err := os.Create(s.log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	s.cmd = exec.Command(argv[0], argv[1:]...)
	s.cmd.Stdout, s.cmd.Stderr = out, out
	// A group, so that all of it can be ended at once, and no session: kernels that share their time out by session let the server
	// and its client stall each other for a tenth of a second where there are two cores.
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.cmd.Env = append(Environment(c.Venv, Kernels(c.Work)), c.Env...)
	s.Began = time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start vLLM: %w", err)
	}
	go func() {
		defer close(s.done)
		_ = s.cmd.Wait() // how it ends is part of the play
	}()
	pid := strconv.Itoa(s.cmd.Process.Pid)
	return s, os.WriteFile(filepath.Join(c.Work, "server.pid"), []byte(pid+"\n"), 0o600)
}

var healthClient = &http.Client{Timeout: time.Second}

func (s *Server) answers(ctx context.Context) bool {
	return s.Status(ctx, "/health") == http.StatusOK
}

// Status asks for a page by GET and returns the answer's status, 0 where there was none.
func (s *Server) Status(ctx context.Context, path string) int {
	return ask(ctx, http.MethodGet, s.URL+path)
}

// Post sends an empty POST.
func (s *Server) Post(ctx context.Context, path string) int {
	return ask(ctx, http.MethodPost, s.URL+path)
}

func ask(ctx context.Context, method, url string) int {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return 0
	}
	resp, err := healthClient.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

// Page reads a page, empty where there is none.
func Page(ctx context.Context, url string) string {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return ""
	}
	resp, err := healthClient.Do(req)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
	if err != nil {
		return ""
	}
	return string(page)
}

// AwaitReady waits for the first 200 of /health and says when it came, to a twentieth of a second.
func (s *Server) AwaitReady(ctx context.Context) (time.Time, error) {
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
			return time.Time{}, fmt.Errorf("vLLM is not ready: %w; the end of %s:\n%s", ctx.Err(), s.log, Tail(s.log))
		case <-s.done:
			return time.Time{}, fmt.Errorf("vLLM ended; the end of %s:\n%s", s.log, Tail(s.log))
		case <-ticker.C:
		}
	}
}

// Whole is the text of a file, or why there is none.
func Whole(file string) string {
	page, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	return string(page)
}

// Tail is the end of a file.
func Tail(file string) string {
	lines := strings.Split(strings.TrimSpace(Whole(file)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

// Engine is the process that computes.
func (s *Server) Engine() (int, error) { return ProcessNamed(s.cmd.Process.Pid, "EngineCore") }

// Stop ends the server and all its processes, and waits for it.
func (s *Server) Stop() error {
	all := Descendants(s.cmd.Process.Pid)
	signalAll(all, syscall.SIGCONT)
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // an error is that it has ended
	left := func() (pids []int) {
		for _, pid := range all {
			if Alive(pid) {
				pids = append(pids, pid)
			}
		}
		return pids
	}
	Until(context.Background(), stopGrace, func() bool { return len(left()) == 0 })
	signalAll(left(), syscall.SIGKILL)
	select {
	case <-s.done:
		return nil
	case <-time.After(stopGrace):
		return errors.New("vLLM's process does not end")
	}
}

// Version asks an environment for its vLLM's.
func Version(ctx context.Context, venv string) string {
	out, err := exec.CommandContext(ctx, filepath.Join(venv, "bin", "python"), "-c", "import importlib.metadata as m; print('vLLM', m.version('vllm'))").Output()
	if err != nil {
		return "vLLM of unknown version"
	}
	return strings.TrimSpace(string(out))
}

// Log is the file of what the server says.
func (s *Server) Log() string { return s.log }
