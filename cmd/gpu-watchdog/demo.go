package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gpu-watchdog/gpu-watchdog/collector"
	"github.com/gpu-watchdog/gpu-watchdog/costmodel"
	"github.com/gpu-watchdog/gpu-watchdog/internal/config"
	"github.com/gpu-watchdog/gpu-watchdog/internal/fakepod"
	"github.com/gpu-watchdog/gpu-watchdog/internal/memory"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/loop"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/runpod/runpodtest"
)

// The bounds of --speed: below the first a day takes hours, above the last a look is longer than a pause.
const defaultSpeed, leastSpeed, mostSpeed = 720, 1, 3600

// demo is one day of a simulated pod under the real watchdog.
type demo struct {
	day fakepod.Day
	// config is what the environment says, in pod time.
	config config.Config
	scale  scale
	asJSON bool
	// withoutGPU leaves the simulated GPU out: a process can load one in its life.
	withoutGPU bool
	screen     *screen
	// dir holds all that the demo writes.
	dir string
}

func newDemo() *cobra.Command {
	d := demo{day: fakepod.Workday()}
	output, speed := "text", float64(defaultSpeed)
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show a day of a simulated pod in under a minute",
		Long: "Show a day of a simulated pod in under a minute: the real loop, collectors and stopper against a vLLM, a GPU and a\n" +
			"RunPod that are simulated on loopback. It needs no GPU, no key and no network, and touches no pod of yours.\n\n" +
			"Settings of the environment count, in pod time: WATCHDOG_COLD_START, WATCHDOG_COLD_START_PENALTY, WATCHDOG_PRICE,\n" +
			"WATCHDOG_POLICY, WATCHDOG_IDLE_LIMIT, WATCHDOG_WARN_BEFORE, WATCHDOG_DRY_RUN and the like; addresses, files and\n" +
			"keys are the demo's own. --output json prints the loop's own log lines: their seconds are real ones, and\n" +
			"their price is that of a real hour (the pod's times --speed).",
		Example: "  gpu-watchdog demo\n  WATCHDOG_COLD_START=6m gpu-watchdog demo    # a dearer start: the stop comes later\n" +
			"  WATCHDOG_IDLE_LIMIT=10m gpu-watchdog demo   # a fixed limit: lunch costs a cold start",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch output {
			case "text":
			case "json":
				d.asJSON = true
			default:
				return wrongUse{fmt.Errorf("--output %q is none of text, json", output)}
			}
			if !(speed >= leastSpeed && speed <= mostSpeed) {
				return wrongUse{fmt.Errorf("--speed %g is not within %d and %d", speed, leastSpeed, mostSpeed)}
			}
			cfg, _, err := settings()
			if err != nil {
				return err
			}
			d.config, d.scale = cfg, scale(speed)
			signal.Ignore(syscall.SIGPIPE) // a reader that has seen enough ends the demo, which then tidies up
			_, err = d.run(cmd.Context(), cmd.OutOrStdout())
			return err
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", output, "text or json")
	cmd.Flags().Float64Var(&speed, "speed", speed, "pod seconds in a real second")
	return cmd
}

// outcome is how the day ended.
type outcome struct {
	// stopped: the pod was stopped, and is gone.
	stopped bool
	// at is the pod's time of day at the end.
	at time.Duration
	// next is when somebody wants the pod again, and wanted how many people.
	next   time.Duration
	wanted int
	*ledger
}

// run plays the day to its end, and leaves nothing behind.
func (d *demo) run(ctx context.Context, out io.Writer) (outcome, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	d.screen = newScreen(out)
	d.screen.out = tap{d.screen.out, cancel}
	if d.asJSON {
		d.screen = newScreen(io.Discard)
	}
	dir, err := os.MkdirTemp("", "gpu-watchdog-demo-")
	if err != nil {
		return outcome{}, fmt.Errorf("demo: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	d.dir = dir
	d.head()
	gpu, without, err := d.gpu()
	if err != nil {
		return outcome{}, fmt.Errorf("demo: %w", err)
	}
	if gpu != nil {
		name, value := gpu.Env()
		if err := os.Setenv(name, value); err != nil {
			return outcome{}, fmt.Errorf("demo: %w", err)
		}
		defer func() { _ = os.Unsetenv(name) }()
	}
	pod, err := fakepod.New(fakepod.Config{
		Day: d.day, Speed: float64(d.scale), USDPerHour: d.scale.realPrice(d.config.Price.Or(usdPerHour)), GPU: gpu,
		Refused: []runpodtest.Call{runpodtest.V2Action, runpodtest.V2Read},
	})
	if err != nil {
		return outcome{}, fmt.Errorf("demo: %w", err)
	}
	defer pod.Close()

	n := &narrator{screen: d.screen, scale: d.scale, day: d.day, ledger: &ledger{scale: d.scale}}
	log := zap.New(logTeller{n})
	if d.asJSON {
		log = newLogger(config.Config{LogFormat: config.LogJSON, LogLevel: d.config.LogLevel}, zapcore.Lock(zapcore.AddSync(tap{out, cancel})))
	}
	w, err := d.wire(pod, gpu, log)
	if err != nil {
		return outcome{}, err
	}
	n.minRuntime, n.brokenLimit = w.config.Rules.MinRuntime, w.config.Rules.BrokenLimit
	d.intro(w, without)
	return d.play(ctx, pod, w, n)
}

// gpu compiles the simulated GPU; without is why there is none.
func (d *demo) gpu() (g *fakepod.GPU, without string, err error) {
	switch {
	case d.config.GPUs.None:
		return nil, "WATCHDOG_GPUS=none", nil
	case d.withoutGPU:
		return nil, "", nil
	}
	g, err = fakepod.NewGPU(d.dir)
	switch {
	case errors.Is(err, fakepod.ErrNoCompiler):
		return nil, "there is no C compiler to build the simulated one (gcc, clang, or CC)", nil
	case err != nil:
		return nil, "", err
	}
	return g, "", nil
}

// play lets the watch and the day run side by side, until the pod is gone, the day is over, or ctx ends.
func (d *demo) play(ctx context.Context, pod *fakepod.Pod, w *watch, n *narrator) (outcome, error) {
	// The container starts with the first look, whatever the first process of this machine is.
	w.config.Begun = costmodel.Begun{NewIdentity: true, ContainerAge: watchdog.Known(time.Duration(0))}
	started, start := make(chan struct{}), sync.Once{}
	w.config.Looker = seen{w.config.Looker.(*collector.Collector), func() {
		start.Do(func() {
			pod.Start()
			n.start(pod.Clock())
			close(started)
		})
		n.see(w.loop.Latest())
	}}
	w.loop = loop.New(w.config)
	w.loop.Introduce(ctx)

	watching, stopWatching := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		w.loop.Run(watching)
	}()
	<-started
	stopped, err := pod.Play(ctx, n.happened)
	last := w.loop.Latest() // the look that the end cuts short finds nothing out
	n.see(last)
	end := outcome{stopped: stopped, at: pod.Clock().At(time.Now()), ledger: n.ledger}
	end.next, end.wanted = pod.NextWanted()
	stopWatching()
	<-watched
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeMost)
	defer cancel()
	w.close(closing)

	switch {
	case ctx.Err() != nil:
		d.screen.close("the demo was ended early; nothing of it is left")
		return end, nil
	case err != nil:
		d.screen.close("")
		return end, fmt.Errorf("demo: %w", err)
	}
	if stopped {
		n.happened(fakepod.Event{At: end.at, Text: fmt.Sprintf("the pod is gone, RunPod calls it %s: that is the proof of the stop", pod.RunPod.Status())})
		n.sleepUntil(max(end.at, end.next))
		d.nextStart(w, max(0, end.next-end.at))
	} else {
		n.happened(fakepod.Event{At: end.at, Text: "the demo ends here, without a stop: " + n.whyNot(last)})
	}
	n.tellAll()
	d.summary(last, end)
	return end, nil
}

// nextStart is another start of the pod: it finds the open stop in its memory, from before a night that was not waited for.
func (d *demo) nextStart(w *watch, night time.Duration) {
	again := w.config
	kept, contents := memory.Open(filepath.Join(d.volume(), fakepod.PodID), "the-next-start", time.Now)
	if contents.Stop != nil {
		contents.Stop.RequestedAt = contents.Stop.RequestedAt.Add(-night)
	}
	again.Kept, again.Memory, again.Identity.StartID = contents, kept, "the-next-start"
	loop.New(again) // it is told to the log by New; the day itself is not played
	closing, cancel := context.WithTimeout(context.Background(), closeMost)
	defer cancel()
	_ = kept.Close(closing) // nothing was written
}

// volume is the pod's disk that outlives a stop.
func (d *demo) volume() string { return filepath.Join(d.dir, "volume") }
