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

// act is one part of the play.
type act struct {
	name, about string
	// watchdog names the run of the watchdog that the act needs; acts of the same one follow each other under it.
	watchdog string
	run      func(p *play, ctx context.Context) error
}

var acts = []act{
	{"start", "the server starts, and how long that took is measured", "first", (*play).start},
	{"first-request", "the first request, whose kernels compile", "first", (*play).firstRequest},
	{"streams", "long streams, four at once", "first", (*play).streams},
	{"bursts", "requests of one token, further apart than looks and closer than the limit", "first", (*play).bursts},
	{"aborted", "requests that their clients cut", "first", (*play).aborted},
	{"idle", "nobody but scrapers and health checks", "first", (*play).idle},
	{"next-start", "the pod is started again", "second", (*play).nextStart},
	{"warning", "work while a stop is announced", "second", (*play).warning},
	{"overtaken", "work after RunPod has accepted the stop", "second", (*play).overtaken},
	{"pause", "the server pauses with a request in flight", "third", (*play).pause},
	{"hang", "the engine hangs, its client leaves, and it goes on", "third", (*play).hang},
	{"death", "the engine is killed", "third", (*play).death},
}

// play is what is on the stage.
type play struct {
	config config
	report *stage.Report
	pod    pod
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

// perform plays one act with what it needs.
func (p *play) perform(ctx context.Context, a act) error {
	if p.w == nil || p.w.name != a.watchdog {
		if err := p.leave(); err != nil {
			return err
		}
		// The first two runs share a volume, as two starts of one pod do.
		volume := "volume"
		if a.watchdog == "third" {
			volume = "volume-third"
		}
		if p.server == nil && a.name != "start" {
			if err := p.serve(ctx); err != nil {
				return err
			}
		}
		w, err := startWatchdog(p.config, p.pod, a.watchdog, volume, providers[a.watchdog])
		p.w = w
		if err != nil {
			return err
		}
	}
	return a.run(p, ctx)
}

// serve starts the server and the third side, and waits until it is ready.
func (p *play) serve(ctx context.Context) error {
	kernels := stage.Kernels(p.config.work) // an empty one: the first request has its kernels to compile
	if err := os.RemoveAll(kernels); err != nil {
		return err
	}
	c := stage.ServerConfig{Venv: p.config.venv, Model: p.config.model, Work: p.config.work, Port: p.config.port, Wrap: p.pod.of}
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
	p.pod.remove()
	return err
}
