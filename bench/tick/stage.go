//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/bench/internal/process"
	"github.com/gpu-watchdog/gpu-watchdog/bench/internal/scrape"
	"github.com/gpu-watchdog/gpu-watchdog/collector/nvml/standin"
)

// gpus is how many the stand-in has.
const gpus = 8

// stage is what stands on the machine during a phase: the servers that are watched, and those who watch them.
type stage struct {
	dir     string
	library string
	script  *standin.Script
	all     []*process.Process
	rows    []*row
}

// row is one program that is measured.
type row struct {
	name string
	*process.Process
	// scrape is the address that the scraper reads each interval; empty for none.
	scrape string
	// ticks tells how many rounds the program has done; nil where the scraper's rounds are its own.
	ticks func(context.Context) (int, error)
	// scrapes counts the scraper's rounds.
	scrapes int

	cpu    time.Duration // within the window
	memory process.Memory
	rounds float64
}

// perTick is the processor time of one round.
func (r *row) perTick() time.Duration { return time.Duration(float64(r.cpu) / r.rounds) }

func raise(ctx context.Context, p programs, dir string, interval time.Duration) (_ *stage, err error) {
	s := &stage{dir: dir}
	defer func() {
		if err != nil {
			s.lower()
		}
	}()
	if s.library, err = standin.Build(dir); err != nil {
		return nil, err
	}
	s.script = standin.NewScript(filepath.Join(dir, "nvml"), gpus)
	if err := s.script.Write(); err != nil {
		return nil, err
	}
	for _, scraped := range []bool{false, true} {
		if err := s.watchdog(ctx, p, interval, scraped); err != nil {
			return nil, err
		}
		// The watchers' ticks should not fall on the same moment.
		if err := pause(ctx, interval/4); err != nil {
			return nil, err
		}
	}
	if err := s.poller(ctx, p, interval); err != nil {
		return nil, err
	}
	return s, s.nodeExporter(ctx, p)
}

func (s *stage) lower() {
	for _, p := range s.all {
		_ = p.Stop()
	}
}

func (s *stage) start(name string, env []string, program string, args ...string) (*process.Process, error) {
	p, err := process.Start(filepath.Join(s.dir, name+".log"), append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir}, env...), program, args...)
	if err == nil {
		s.all = append(s.all, p)
	}
	return p, err
}

// serve starts a vLLM of its own for one watcher: a pod has one watcher, and who looks on is seen by the others.
func (s *stage) serve(ctx context.Context, p programs, name string) (url string, err error) {
	address, err := process.FreeAddress(ctx)
	if err != nil {
		return "", err
	}
	url = "http://" + address
	server, err := s.start(name+"-page", nil, p.page, "-recorded", p.recorded, "-listen", address)
	if err != nil {
		return "", err
	}
	return url, server.Wait(ctx, func() error { return scrape.Up(ctx, url+"/health") })
}

// watchdog starts one with real settings; what it would do is only said.
func (s *stage) watchdog(ctx context.Context, p programs, interval time.Duration, scraped bool) error {
	address, err := process.FreeAddress(ctx)
	if err != nil {
		return err
	}
	r := &row{name: "gpu-watchdog"}
	metrics := "http://" + address + "/metrics"
	if scraped {
		r.name, r.scrape = "gpu-watchdog, scraped", metrics
	}
	name := strings.ReplaceAll(r.name, ", ", "-")
	server, err := s.serve(ctx, p, name)
	if err != nil {
		return err
	}
	r.Process, err = s.start(name, []string{
		"WATCHDOG_DRY_RUN=true", "WATCHDOG_PRICE=1.50", "WATCHDOG_NAME=" + name, "WATCHDOG_DIR=" + filepath.Join(s.dir, "memory"),
		"WATCHDOG_CHECK_INTERVAL=" + interval.String(), "WATCHDOG_VLLM_URLS=" + server, "WATCHDOG_LISTEN=" + address, "WATCHDOG_INGEST_LISTEN=127.0.0.1:0",
		"WATCHDOG_NVML_LIBRARY=" + s.library, s.script.Env(), "WATCHDOG_LOG_FORMAT=console",
	}, p.watchdog, "run")
	if err != nil {
		return err
	}
	r.ticks = func(ctx context.Context) (int, error) { return scrape.Sample(ctx, metrics, "gpu_watchdog_ticks_total") }
	s.rows = append(s.rows, r)
	return r.Wait(ctx, func() error {
		// It must see all that it is measured with.
		for _, source := range []string{"vllm", "gpu", "sockets", "host"} {
			if n, err := scrape.Sample(ctx, metrics, fmt.Sprintf("gpu_watchdog_source_up{source=%q}", source)); err != nil {
				return err
			} else if n != 1 {
				return fmt.Errorf("source %s is not up", source)
			}
		}
		return nil
	})
}

func (s *stage) poller(ctx context.Context, p programs, interval time.Duration) (err error) {
	r := &row{name: "Python poller"}
	server, err := s.serve(ctx, p, "poller")
	if err != nil {
		return err
	}
	if r.Process, err = s.start("poller", []string{s.script.Env()}, p.python, p.poller,
		fmt.Sprint(interval.Seconds()), server, s.library); err != nil {
		return err
	}
	// Its only output is a line a tick.
	r.ticks = func(context.Context) (int, error) {
		b, err := os.ReadFile(filepath.Join(s.dir, "poller.log"))
		return strings.Count(string(b), "\n"), err
	}
	s.rows = append(s.rows, r)
	return r.Wait(ctx, func() error {
		n, err := r.ticks(ctx)
		if err == nil && n == 0 {
			err = errors.New("no line yet")
		}
		return err
	})
}

func (s *stage) nodeExporter(ctx context.Context, p programs) error {
	address, err := process.FreeAddress(ctx)
	if err != nil {
		return err
	}
	r := &row{name: "node-exporter, scraped", scrape: "http://" + address + "/metrics"}
	if r.Process, err = s.start("node-exporter", nil, p.nodeExporter, "--web.listen-address="+address, "--log.level=error"); err != nil {
		return err
	}
	s.rows = append(s.rows, r)
	return r.Wait(ctx, func() error { _, err := scrape.Page(ctx, r.scrape); return err })
}
