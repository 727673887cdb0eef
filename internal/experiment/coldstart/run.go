package coldstart

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/secret"
)

// Config says what to start, how often, and what it costs.
type Config struct {
	// Argv is the command of the server, Env its whole environment ("NAME=value" each).
	Argv, Env []string
	// URL is where the server will be, Health the path that answers 200 once it is ready.
	URL, Health string
	APIKey      secret.Secret
	UserAgent   string
	// Cold and Warm are how many starts of each kind there shall be. They alternate, cold first, so that a drift of the machine
	// is not taken for a difference of the two.
	Cold, Warm int
	// Files are the files and folders that are dropped from the page cache before a cold start.
	Files []string
	// EmptyCaches gives the server's compilers folders of their own, which are empty at each cold start and as the start before
	// left them at each warm one.
	EmptyCaches bool
	// Spans gives the server an endpoint for its own spans of its start.
	Spans bool
	// LogDir is a folder for the server's output.
	LogDir string
	// Grace is how long a server may take to end before it is killed. Timeout bounds one request for tokens.
	Grace, Timeout time.Duration
	Pricing        Pricing
	// Progress hears what happens, for people; nil for nobody.
	Progress func(text string)
}

// ErrServed: something answers already where the server shall be.
var ErrServed = errors.New("something answers there already")

type experiment struct {
	Config
	// version is the server's own, once it has told it.
	version string
}

// Run starts the server as often as it shall, one start at a time, and leaves nothing running. It ends early with what it has
// when ctx ends, and when a start fails: the next would fail, too. The error says why, and the Report is good in any case.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	e := &experiment{Config: cfg}
	if e.Progress == nil {
		e.Progress = func(string) {}
	}
	r := &Report{Command: Shown(cfg.Argv), URL: cfg.URL, Pricing: cfg.Pricing, EmptyCaches: cfg.EmptyCaches, Files: cfg.Files, LogDir: cfg.LogDir, Starts: []Start{}}
	if e.EmptyCaches {
		defer func() { _ = os.RemoveAll(e.cacheDir()) }() // it lies in the folder for logs
	}
	var stopped error
	counts := map[Kind]int{}
	for _, kind := range plan(cfg.Cold, cfg.Warm) {
		if ctx.Err() != nil {
			stopped = context.Cause(ctx)
			break
		}
		if status := newHealth(e.URL + e.Health).status(ctx); status != 0 {
			stopped = fmt.Errorf("%s%s answers %d before the start: %w; end that server, or give this one another port", e.URL, e.Health, status, ErrServed)
			break
		}
		counts[kind]++
		e.Progress(fmt.Sprintf("%s start %d of %d", kind, counts[kind], map[Kind]int{Cold: cfg.Cold, Warm: cfg.Warm}[kind]))
		s := e.one(ctx, kind, counts[kind])
		r.Starts = append(r.Starts, s)
		if s.Error != "" {
			stopped = fmt.Errorf("%s start %d: %s", kind, s.Number, s.Error)
			break
		}
		e.Progress(fmt.Sprintf("%s start %d: ready after %.1f s", kind, s.Number, s.Ready.Value))
	}
	if stopped != nil {
		r.EndedEarly = stopped.Error()
	}
	r.Version = e.version
	r.conclude()
	return r, stopped
}

// plan alternates the kinds, cold first, until both are used up.
func plan(cold, warm int) (out []Kind) {
	for i := range max(cold, warm) {
		if i < cold {
			out = append(out, Cold)
		}
		if i < warm {
			out = append(out, Warm)
		}
	}
	return out
}

func (e *experiment) cacheDir() string { return filepath.Join(e.LogDir, "caches") }

// caches are the variables that give the server's compilers folders of ours, emptied where the start is a cold one.
func (e *experiment) caches(kind Kind) (env []string) {
	if !e.EmptyCaches {
		return nil
	}
	if kind == Cold {
		_ = os.RemoveAll(e.cacheDir()) // what is left shows in the times
	}
	for name, folder := range map[string]string{
		"VLLM_CACHE_ROOT": "vllm", "TORCHINDUCTOR_CACHE_DIR": "inductor", "TRITON_CACHE_DIR": "triton", "CUDA_CACHE_PATH": "cuda",
	} {
		env = append(env, name+"="+filepath.Join(e.cacheDir(), folder))
	}
	return env
}
