package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/test/e2e/internal/stage"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/runpod/runpodtest"
)

// config is what the script hands over.
type config struct {
	venv, model, work, watchdog string
	port                        int
	// tracking: the server is started with --enable-server-load-tracking.
	tracking bool
}

// The acts of one watchdog follow each other.
var acts = []stage.Act[*play]{
	{Name: "start", About: "the server starts, and how long that took is measured", Run: (*play).begin},
	{Name: "first-request", About: "the first request, whose kernels compile", Run: under("first", (*play).firstRequest)},
	{Name: "streams", About: "long streams, four at once", Run: under("first", (*play).streams)},
	{Name: "bursts", About: "requests of one token, further apart than looks and closer than the limit", Run: under("first", (*play).bursts)},
	{Name: "aborted", About: "requests that their clients cut", Run: under("first", (*play).aborted)},
	{Name: "idle", About: "nobody but scrapers and health checks", Run: under("first", (*play).idle)},
	{Name: "next-start", About: "the pod is started again", Run: under("second", (*play).nextStart)},
	{Name: "warning", About: "work while a stop is announced", Run: under("second", (*play).warning)},
	{Name: "overtaken", About: "work after RunPod has accepted the stop", Run: under("second", (*play).overtaken)},
	{Name: "pause", About: "the server pauses with a request in flight", Run: under("third", (*play).pause)},
	{Name: "hang", About: "the engine hangs, its client leaves, and it goes on", Run: under("third", (*play).hang)},
	{Name: "death", About: "the engine is killed", Run: under("third", (*play).death)},
}

// play is what is on the stage.
type play struct {
	config config
	report *stage.Report
	pod    stage.Pod
	// server is nil until the first act that needs it; ready is when it was.
	server  *stage.Server
	ready   time.Time
	client  client
	w       *watched
	scraper *exec.Cmd
}

// provider is the RunPod of each run of the watchdog.
var providers = map[string]runpodtest.Options{
	"first":  {},
	"second": {NeverStops: true},
	"third":  {},
}

// begin plays the start, which alone needs a watchdog before there is a server.
func (p *play) begin(ctx context.Context) error {
	if err := p.enter("first"); err != nil {
		return err
	}
	return p.start(ctx)
}

// under plays an act with a server, under that run of the watchdog.
func under(watchdog string, act func(*play, context.Context) error) func(*play, context.Context) error {
	return func(p *play, ctx context.Context) error {
		if p.server == nil {
			if err := p.serve(ctx); err != nil {
				return err
			}
		}
		if err := p.enter(watchdog); err != nil {
			return err
		}
		return act(p, ctx)
	}
}

// enter sees to it that this run of the watchdog is on the stage.
func (p *play) enter(watchdog string) error {
	if p.w != nil && p.w.name == watchdog {
		return nil
	}
	if err := p.leave(); err != nil {
		return err
	}
	// The first two runs share a volume, as two starts of one pod do.
	volume := "volume"
	if watchdog == "third" {
		volume = "volume-third"
	}
	w, err := startWatchdog(p.config, p.pod, watchdog, volume, providers[watchdog])
	p.w = w
	return err
}

// serve starts the server and the third side, and waits until it is ready.
func (p *play) serve(ctx context.Context) error {
	kernels := stage.Kernels(p.config.work) // an empty one: the first request has its kernels to compile
	if err := os.RemoveAll(kernels); err != nil {
		return err
	}
	c := stage.ServerConfig{Venv: p.config.venv, Model: p.config.model, Work: p.config.work, Port: p.config.port, Wrap: p.pod.Of}
	if p.config.tracking {
		c.Args = []string{"--enable-server-load-tracking"}
	}
	server, err := stage.StartServer(c)
	p.server = server
	if err != nil {
		return err
	}
	p.client = newClient(server.URL)
	if p.scraper, err = startScraper(server.URL); err != nil {
		return err
	}
	p.ready, err = server.AwaitReady(ctx)
	return err
}

// leave ends the present watchdog, which must do so properly.
func (p *play) leave() error {
	if p.w == nil {
		return nil
	}
	w := p.w
	p.w = nil
	select {
	case <-w.done: // killed by its act
		return nil
	default:
	}
	if code := w.end(); code != 0 {
		return fmt.Errorf("the watchdog %s ended with %d after SIGTERM", w.name, code)
	}
	return nil
}

// close takes everything off the stage.
func (p *play) close() error {
	err := p.leave()
	if p.scraper != nil {
		_ = p.scraper.Process.Signal(syscall.SIGTERM) // an error is that it has ended
		_ = p.scraper.Wait()
	}
	if p.server != nil {
		if stopping := p.server.Stop(); err == nil {
			err = stopping
		}
	}
	p.pod.Remove()
	return err
}
