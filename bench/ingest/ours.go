//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/bench/internal/process"
	"github.com/gpu-watchdog/gpu-watchdog/bench/internal/scrape"
)

const (
	// settle is how long the watchdog has before the first window, and between two.
	settle = 10 * time.Second
	// scrapeEvery is how often /metrics is read meanwhile; a look at /status, as a person takes it, comes with each tenth.
	scrapeEvery = time.Second
	// lateMost is how long after the last export its rows may be counted.
	lateMost = 10 * time.Second
)

// watchdog is one that runs, and where it is reached.
type watchdog struct {
	*process.Process
	url, ingest, database string
}

// watch starts one beside a server, or none.
func watch(ctx context.Context, o options, name, server string) (*watchdog, error) {
	listen, err := process.FreeAddress(ctx)
	if err != nil {
		return nil, err
	}
	ingest, err := process.FreeAddress(ctx)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(o.dir, "kept-"+name)
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	w := &watchdog{url: "http://" + listen, ingest: ingest, database: filepath.Join(dir, name, "telemetry.db")}
	w.Process, err = process.Start(filepath.Join(o.dir, name+".log"), []string{
		"WATCHDOG_DRY_RUN=true", "WATCHDOG_PRICE=1.50", "WATCHDOG_NAME=" + name, "WATCHDOG_DIR=" + dir,
		"WATCHDOG_VLLM_URLS=" + server, "WATCHDOG_LISTEN=" + listen, "WATCHDOG_INGEST_LISTEN=" + ingest,
		"WATCHDOG_NVML_LIBRARY=" + filepath.Join(o.dir, "no-such-library.so"), "WATCHDOG_LOG_FORMAT=json",
	}, o.watchdog, "run")
	if err != nil {
		return nil, err
	}
	ready, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	err = w.Wait(ready, func() error {
		if server == "none" {
			return scrape.Up(ready, w.url+"/healthz")
		}
		up, err := scrape.Sample(ready, w.url+"/metrics", `gpu_watchdog_source_up{source="vllm"}`)
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

// rows are the requests that it has counted, each of them safe on disk.
func (w *watchdog) rows(ctx context.Context) (n int, err error) {
	for _, grade := range []string{"met", "missed", "undecided"} {
		of, err := scrape.Sample(ctx, w.url+"/metrics", fmt.Sprintf("gpu_watchdog_requests_graded_total{sla=%q}", grade))
		if err != nil {
			return 0, err
		}
		n += of
	}
	return n, nil
}

// used is what a phase took.
type used struct {
	cpu, wall time.Duration
	memory    process.Memory
}

// cores is the share of one processor.
func (u used) cores() float64 { return u.cpu.Seconds() / u.wall.Seconds() }

// ours measures the watchdog without and with spans.
func ours(ctx context.Context, o options, out io.Writer) (ok bool, err error) {
	address, err := process.FreeAddress(ctx)
	if err != nil {
		return false, err
	}
	page, err := process.Start(filepath.Join(o.dir, "page.log"), nil, o.page, "-recorded", o.recorded, "-listen", address)
	if err != nil {
		return false, err
	}
	defer page.Stop() //nolint:errcheck // it ends by our signal
	if err := page.Wait(ctx, func() error { return scrape.Up(ctx, "http://"+address+"/health") }); err != nil {
		return false, err
	}
	w, err := watch(ctx, o, "ingest", "http://"+address)
	if err != nil {
		return false, err
	}
	defer w.Stop() //nolint:errcheck // it ends by our signal

	if err := pause(ctx, settle); err != nil {
		return false, err
	}
	idle, err := w.measure(ctx, o.lasts, nil)
	if err != nil {
		return false, err
	}
	s, err := newSender(w.ingest, o.rate, o.delay)
	if err != nil {
		return false, err
	}
	defer s.close()
	fmt.Fprintf(out, "%g spans/s in messages of %d of %d bytes over gRPC; each phase %s; /metrics is read each second; load before %s\n", o.rate, s.batch, s.bytes, o.lasts, process.Load())
	fmt.Fprintf(out, "%-22s %10s %12s %12s %12s\n", "", "cores", "resident kB", "private kB", "highest kB")
	row := func(name string, u used) {
		fmt.Fprintf(out, "%-22s %10.4f %12d %12d %12d\n", name, u.cores(), u.memory.Resident>>10, u.memory.Anonymous>>10, u.memory.Peak>>10)
	}
	row("no spans", idle)
	busy, err := w.measure(ctx, o.lasts, s.run)
	if err != nil {
		return false, err
	}
	row("spans", busy)
	kept, late, err := w.await(ctx, s.acknowledged)
	if err != nil {
		return false, err
	}
	if err := pause(ctx, settle); err != nil {
		return false, err
	}
	after, err := w.measure(ctx, settle, nil)
	if err != nil {
		return false, err
	}
	row("no spans again", after)
	size := int64(0)
	for _, ending := range []string{"", "-wal"} {
		if f, err := os.Stat(w.database + ending); err == nil {
			size += f.Size()
		}
	}
	perSpan := (busy.cpu - time.Duration(idle.cores()*float64(busy.wall))) / time.Duration(max(1, s.acknowledged))
	fmt.Fprintf(out, "%d spans were acknowledged at %.1f/s, %d are counted %s later; %s of CPU each beyond idling, acknowledged after %.1f ms in the mean, %.1f ms at most; %d bytes of file each\n",
		s.acknowledged, float64(s.acknowledged)/busy.wall.Seconds(), kept, late.Round(time.Millisecond), perSpan.Round(100*time.Nanosecond), s.meanMS(), s.worst.Seconds()*1e3, size/int64(max(1, s.acknowledged)))
	most := float64(after.memory.Peak) / (1 << 20)
	ok = most <= o.limitMiB && kept == s.acknowledged
	word := "PASS"
	if !ok {
		word = "FAIL"
	}
	fmt.Fprintf(out, "%s at most %.1f MiB were resident, %.0f are allowed; %d of %d spans were lost\n", word, most, o.limitMiB, s.acknowledged-kept, s.acknowledged)
	return ok, nil
}

// measure reads what the watchdog uses while load runs, or while nothing does, and scrapes it meanwhile.
func (w *watchdog) measure(ctx context.Context, lasts time.Duration, load func(context.Context) error) (u used, err error) {
	ctx, cancel := context.WithTimeout(ctx, lasts)
	defer cancel()
	began := time.Now()
	before, err := w.CPU()
	if err != nil {
		return u, err
	}
	loaded := make(chan error, 1)
	go func() {
		if load == nil {
			<-ctx.Done()
			loaded <- nil
			return
		}
		loaded <- load(ctx)
	}()
	ticker := time.NewTicker(scrapeEvery)
	defer ticker.Stop()
	for n := 0; ; n++ {
		select {
		case err := <-loaded:
			if err != nil {
				return u, err
			}
			after, err := w.CPU()
			if err != nil {
				return u, fmt.Errorf("gpu-watchdog has ended: %w", err)
			}
			u.cpu, u.wall = after-before, time.Since(began)
			u.memory, err = w.Memory()
			return u, err
		case <-ticker.C:
		}
		path := "/metrics"
		if n%10 == 0 {
			path = "/status"
		}
		if _, err := scrape.Page(ctx, w.url+path); err != nil && ctx.Err() == nil {
			cancel()
			return u, errors.Join(err, <-loaded)
		}
	}
}

// await waits until so many rows are counted.
func (w *watchdog) await(ctx context.Context, count int) (kept int, late time.Duration, err error) {
	began := time.Now()
	for {
		kept, err = w.rows(ctx)
		late = time.Since(began)
		if err != nil || kept >= count || late > lateMost {
			return kept, late, err
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return kept, late, err
		}
	}
}
