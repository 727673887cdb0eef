//go:build linux

// Command exec measures what `gpu-watchdog exec` costs the server that it runs, beside tini and beside nothing: how much later the
// server's first word comes, and how much memory the supervisor holds for itself. bench/exec.sh builds what it needs, and
// bench/README.md says what came out.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/bench/internal/process"
)

type options struct {
	watchdog, tini, dir string
	starts              int
	settle              time.Duration
	latest              time.Duration
	limitMiB            float64
}

func main() {
	var o options
	flag.StringVar(&o.watchdog, "watchdog", "", "gpu-watchdog")
	flag.StringVar(&o.tini, "tini", "", "tini; empty leaves it out")
	flag.StringVar(&o.dir, "dir", "", "a folder for logs and the watchdog's memory")
	flag.IntVar(&o.starts, "starts", 50, "how often each is started, in turns")
	flag.DurationVar(&o.settle, "settle", 20*time.Second, "after how long the memory is read")
	flag.DurationVar(&o.latest, "latest", 50*time.Millisecond, "how much later than by itself the server's first word may come, in the median")
	flag.Float64Var(&o.limitMiB, "limit", 3, "the most private memory of the supervisor, in MiB")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ok, err := o.run(ctx)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "exec: "+err.Error())
		os.Exit(2)
	case !ok:
		os.Exit(1)
	}
}

// server says a word and stays.
var server = []string{"/bin/sh", "-c", "echo here; exec sleep 1000"}

// chatty writes as much as a server that starts, and more.
var chatty = []string{"/bin/sh", "-c", "echo here; seq 1 10000; exec sleep 1000"}

func (o options) run(ctx context.Context) (ok bool, err error) {
	fmt.Println(process.Machine() + ", load " + process.Load())
	ways := []way{{name: "by itself", argv: server}, {name: "gpu-watchdog exec", argv: append([]string{o.watchdog, "exec", "--"}, server...)}}
	if o.tini != "" {
		ways = append(ways, way{name: "tini", argv: append([]string{o.tini, "-s", "--"}, server...)})
	}
	for range o.starts {
		for i := range ways {
			took, err := o.firstWord(ctx, ways[i].argv)
			if err != nil {
				return false, fmt.Errorf("%s: %w", ways[i].name, err)
			}
			ways[i].took = append(ways[i].took, took)
		}
	}
	fmt.Printf("%-20s %12s %12s %12s\n", "", "median, ms", "most, ms", "later, ms")
	for i := range ways {
		slices.Sort(ways[i].took)
		fmt.Printf("%-20s %12.1f %12.1f %12.1f\n", ways[i].name, ms(ways[i].median()), ms(ways[i].took[len(ways[i].took)-1]), ms(ways[i].median()-ways[0].median()))
	}
	later := func(w way) time.Duration { return w.median() - ways[0].median() }
	if len(ways) > 2 {
		fmt.Printf("beside tini: %.1f ms more, %.1f times as much\n", ms(later(ways[1])-later(ways[2])), float64(later(ways[1]))/float64(later(ways[2])))
	}
	private, err := o.memory(ctx, append([]string{o.watchdog, "exec", "--"}, chatty...))
	if err != nil {
		return false, err
	}
	fmt.Printf("the supervisor's own memory after %s: %.2f MiB\n", o.settle, private)
	word := "PASS"
	if ok = later(ways[1]) <= o.latest && private <= o.limitMiB; !ok {
		word = "FAIL"
	}
	fmt.Printf("%s at most %s later and %.0f MiB are allowed\n", word, o.latest, o.limitMiB)
	return ok, nil
}

// way is one way to run the server.
type way struct {
	name string
	argv []string
	took []time.Duration
}

func (w way) median() time.Duration { return w.took[len(w.took)/2] }

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// start runs a command in a group of its own, with what it writes to read from.
func (o options) start(ctx context.Context, argv []string) (*exec.Cmd, *bufio.Reader, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "WATCHDOG_DRY_RUN=true", "WATCHDOG_NAME=exec", "WATCHDOG_DIR="+filepath.Join(o.dir, "kept"),
		"WATCHDOG_VLLM_URLS=none", "WATCHDOG_LISTEN=127.0.0.1:0", "WATCHDOG_INGEST_LISTEN=off", "WATCHDOG_START_ID_FILE="+filepath.Join(o.dir, "start-id"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	return cmd, bufio.NewReader(out), cmd.Start()
}

func end(cmd *exec.Cmd) error {
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) {
		return err
	}
	return nil
}

// firstWord is how long it takes from the start of a command to the server's first word.
func (o options) firstWord(ctx context.Context, argv []string) (time.Duration, error) {
	began := time.Now()
	cmd, out, err := o.start(ctx, argv)
	if err != nil {
		return 0, err
	}
	line, err := out.ReadString('\n')
	took := time.Since(began)
	if err == nil && line != "here\n" {
		err = fmt.Errorf("its first word was %q", line)
	}
	return took, errors.Join(err, end(cmd))
}

// memory is what the supervisor holds that no other process does, in MiB, once it has settled: its text is the watchdog's, too.
func (o options) memory(ctx context.Context, argv []string) (float64, error) {
	cmd, out, err := o.start(ctx, argv)
	if err != nil {
		return 0, err
	}
	if _, err := out.ReadString('\n'); err != nil {
		return 0, errors.Join(err, end(cmd))
	}
	go func() { _, _ = io.Copy(io.Discard, out) }() // it ends with the server
	select {
	case <-ctx.Done():
		return 0, errors.Join(ctx.Err(), end(cmd))
	case <-time.After(o.settle):
	}
	private, err := private(cmd.Process.Pid)
	return private, errors.Join(err, end(cmd))
}

// private adds up the pages that only this process has, clean and changed, in MiB.
func private(pid int) (sum float64, err error) {
	page, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(page)) {
		name, rest, _ := strings.Cut(line, ":")
		if name != "Private_Clean" && name != "Private_Dirty" {
			continue
		}
		kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
		if err != nil {
			return 0, fmt.Errorf("read smaps_rollup: %w", err)
		}
		sum += kib / 1024
	}
	return sum, nil
}
