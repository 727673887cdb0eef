package main

import (
	"context"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
)

const (
	// gcPercent and memoryLimit keep the heap small: this runs beside somebody's model.
	gcPercent   = 25
	memoryLimit = 48 << 20
	// processors: a look waits more than it computes. With one for each of a pod's hundred cores, every goroutine that it
	// starts wakes another thread, and each thread keeps memory of its own (bench/README.md).
	processors = 1
	// introduceMost is how long the start waits for the provider's price, which the banner shows.
	introduceMost = 2 * time.Second
	// closeMost bounds the end of the process.
	closeMost = 3 * time.Second
)

func newRun() *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "Watch this pod and stop it when idling on would cost more than starting again",
		Long: "Watch this pod and stop it when idling on would cost more than starting again.\n" +
			"Settings are environment variables: see `gpu-watchdog env` and docs/variables.md.\n" +
			"It runs until it gets SIGTERM or SIGINT; it never exits by itself, not after a stop either.\n" +
			"With a mistake in its settings it exits at once (exit code 2); on Kubernetes it stays up and stops nothing, since a\n" +
			"sidecar that exits takes its pod out of its Service.",
		Example: "  gpu-watchdog run\n  WATCHDOG_DRY_RUN=true WATCHDOG_PRICE=1.5 gpu-watchdog run",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, env, err := settings()
			if err != nil && !staysUp(env, err) {
				return err
			}
			keepSmall()
			outliveLog()
			log := newLogger(cfg, newPatientLog(cmd.ErrOrStderr(), patientLines))
			defer func() { _ = log.Sync() }() // it never errs
			defer zap.RedirectStdLog(log)()   // net/http has things to say of its own
			var w *watch
			if err == nil {
				w, err = wire(cfg, env, log)
			}
			if err != nil && staysUp(env, err) {
				newUnarmed(env, err, log).run(cmd.Context())
				return nil
			}
			if err != nil {
				return err
			}
			first, cancel := context.WithTimeout(cmd.Context(), introduceMost)
			w.loop.Introduce(first)
			cancel()
			w.banner(log)
			w.run(cmd.Context(), log)
			return nil
		},
	}
}

// outliveLog: a write to a log whose reader has gone is an error like any other, not the end of the watch. The signal is caught
// and not ignored, which whatever we start would inherit.
func outliveLog() { signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) }

// keepSmall holds the runtime to what a look needs. What the environment says wins.
func keepSmall() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(processors)
	}
}

// run watches until ctx ends, and then gives everything back.
func (w *watch) run(ctx context.Context, log *zap.Logger) {
	var beside sync.WaitGroup
	beside.Go(func() {
		if err := w.web.Run(ctx); err != nil {
			log.Warn("pages ended", zap.Error(err))
		}
	})
	beside.Go(func() { w.telemetry.run(ctx, log) })
	beside.Go(func() {
		if err := w.orders.Run(ctx); err != nil {
			log.Warn("orders ended", zap.Error(err))
		}
	})
	for _, other := range w.beside {
		beside.Go(func() { other(ctx) })
	}
	w.loop.Run(ctx)
	beside.Wait()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeMost)
	defer cancel()
	w.close(end)
	log.Info("watchdog ended", zap.String("name", w.config.Identity.Name))
}
