//go:build linux

// Command plateau measures what gpu-watchdog holds of the machine's memory after a month: it lets the real program, whose
// one difference is that it accepts an interval of a millisecond, tick as often as in a month, and reads its resident
// memory on the way. bench/plateau.sh builds what it needs, and bench/README.md says what came out.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/bench/internal/process"
	"github.com/gpu-watchdog/gpu-watchdog/bench/internal/scrape"
)

// aMonth of ticks at the default interval of 5 s.
const aMonth = 30 * 24 * 60 * 60 / 5

// scrapeEvery is how often /metrics is read meanwhile; a look at /status, as a person takes it, comes with each tenth.
const scrapeEvery = time.Second

type options struct {
	watchdog, page, recorded, dir string
	ticks, each                   int
	limitMiB                      float64
}

func main() {
	var o options
	flag.StringVar(&o.watchdog, "watchdog", "", "gpu-watchdog, built with -tags plateau")
	flag.StringVar(&o.page, "page", "", "bench/page")
	flag.StringVar(&o.recorded, "recorded", "", "the page that it serves")
	flag.StringVar(&o.dir, "dir", "", "a folder for logs and the watchdog's memory")
	flag.IntVar(&o.ticks, "ticks", aMonth, "how many ticks")
	flag.IntVar(&o.each, "each", 50_000, "print a line after so many")
	flag.Float64Var(&o.limitMiB, "limit", 25, "the most that may be resident, in MiB")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	most, err := run(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "plateau: "+err.Error())
		os.Exit(2)
	}
	word := "PASS"
	if most > o.limitMiB {
		word = "FAIL"
	}
	fmt.Printf("%s at most %.1f MiB were resident, %.0f are allowed\n", word, most, o.limitMiB)
	if word == "FAIL" {
		os.Exit(1)
	}
}

// run returns the most that was resident at any time, in MiB, by the kernel's own high-water mark.
func run(ctx context.Context, o options) (most float64, err error) {
	server, err := process.FreeAddress(ctx)
	if err != nil {
		return 0, err
	}
	// Of a thousand ticks two hundred see work, so that all that changes with it changes hundreds of times.
	page, err := process.Start(filepath.Join(o.dir, "page.log"), nil, o.page, "-recorded", o.recorded, "-listen", server, "-work", "200/1000")
	if err != nil {
		return 0, err
	}
	defer page.Stop() //nolint:errcheck // it ends by our signal
	if err := page.Wait(ctx, func() error { _, err := scrape.Page(ctx, "http://"+server+"/health"); return err }); err != nil {
		return 0, err
	}
	listen, err := process.FreeAddress(ctx)
	if err != nil {
		return 0, err
	}
	watchdog, err := process.Start(filepath.Join(o.dir, "gpu-watchdog.log"), []string{
		"WATCHDOG_DRY_RUN=true", "WATCHDOG_PRICE=1.50", "WATCHDOG_NAME=plateau", "WATCHDOG_DIR=" + filepath.Join(o.dir, "memory"),
		"WATCHDOG_CHECK_INTERVAL=1ms", "WATCHDOG_VLLM_URLS=http://" + server, "WATCHDOG_LISTEN=" + listen, "WATCHDOG_INGEST_LISTEN=127.0.0.1:0",
		"WATCHDOG_NVML_LIBRARY=" + filepath.Join(o.dir, "no-such-library.so"), "WATCHDOG_LOG_FORMAT=json",
	}, o.watchdog, "run")
	if err != nil {
		return 0, err
	}
	defer watchdog.Stop() //nolint:errcheck // it ends by our signal
	url := "http://" + listen
	if err := watchdog.Wait(ctx, func() error { _, err := scrape.Page(ctx, url+"/metrics"); return err }); err != nil {
		return 0, err
	}
	fmt.Println(process.Machine())
	fmt.Printf("%8s %10s %12s %12s %12s %10s\n", "ticks", "seconds", "resident kB", "private kB", "highest kB", "CPU µs")
	return follow(ctx, o, watchdog, url)
}

// follow scrapes until so many ticks are done, and prints on the way.
func follow(ctx context.Context, o options, watchdog *process.Process, url string) (most float64, err error) {
	ticker := time.NewTicker(scrapeEvery)
	defer ticker.Stop()
	began := time.Now()
	for n, next := 0, o.each; ; n++ {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-watchdog.Ended():
			return 0, fmt.Errorf("gpu-watchdog has ended; its log is in %s", o.dir)
		case <-ticker.C:
		}
		ticks, err := scrape.Sample(ctx, url+"/metrics", "gpu_watchdog_ticks_total")
		if err == nil && n%10 == 0 {
			_, err = scrape.Page(ctx, url+"/status")
		}
		if err != nil {
			return 0, err
		}
		m, err := watchdog.Memory()
		if err != nil {
			return 0, err
		}
		most = max(most, float64(m.Peak)/(1<<20))
		if ticks < min(next, o.ticks) {
			continue
		}
		next += o.each
		used, err := watchdog.CPU()
		if err != nil {
			return 0, err
		}
		fmt.Printf("%8d %10.0f %12d %12d %12d %10d\n", ticks, time.Since(began).Seconds(), m.Resident>>10, m.Anonymous>>10, m.Peak>>10,
			used.Microseconds()/int64(ticks))
		if ticks >= o.ticks {
			return most, nil
		}
	}
}
