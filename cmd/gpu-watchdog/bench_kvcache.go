package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/gpu-watchdog/gpu-watchdog/collector/nvml"
	"github.com/gpu-watchdog/gpu-watchdog/internal/experiment/kvcache"
	"github.com/gpu-watchdog/gpu-watchdog/internal/load"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

const (
	// memoryEvery is how old a figure of the GPUs' memory may be.
	memoryEvery = 200 * time.Millisecond
	// promptMost bounds a file with a prompt, in bytes.
	promptMost = 1 << 20
	// lengthMost and repeatsMost are beyond what anybody waits for.
	lengthMost, repeatsMost = 1 << 20, 1000
)

// benchKVCache are the options of the experiment.
type benchKVCache struct {
	target             benchTarget
	lengths            []int
	repeats, warmUps   int
	tolerance          float64
	promptFile, output string
}

func newBenchKVCache() *cobra.Command {
	b := benchKVCache{}
	cmd := &cobra.Command{
		Use:   "kvcache",
		Short: "Show whether the time for each token stays constant as outputs grow",
		Long: "Show whether the time for each output token (TPOT) stays constant as outputs grow: the same prompt, answers of several\n" +
			"lengths, one request at a time. A line is fitted to TPOT over the length; the verdict says within how many percent TPOT\n" +
			"is constant, with 95 % confidence, or that it grows, or that these requests cannot tell.\n\n" +
			"Lengths are held against the server's own count (ignore_eos); a request of another length is not counted. Lengths alternate,\n" +
			"in another order each round. Further requests, which are not timed, are watched for the blocks of the KV cache that each\n" +
			"length takes and, where the server runs on this machine, for the GPUs' memory beside it.\n\n" +
			"The key of the server's API is read from OPENAI_API_KEY or VLLM_API_KEY. Exit codes: 1 when it ended early (what there is\n" +
			"is printed), 4 when nobody answers. Whatever the verdict, the exit code is 0.",
		Example: "  gpu-watchdog bench kvcache\n" +
			"  gpu-watchdog bench kvcache --url http://127.0.0.1:8100 --lengths 64,256 --repeats 10\n" +
			"  gpu-watchdog bench kvcache --prompt-file review.txt --output json | jq .verdict",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return b.run(cmd) },
	}
	b.target.flags(cmd)
	f := cmd.Flags()
	f.IntSliceVar(&b.lengths, "lengths", []int{128, 256, 512, 1024}, "output lengths in tokens, at least two")
	f.IntVar(&b.repeats, "repeats", 5, "measured requests of each length")
	f.IntVar(&b.warmUps, "warmup", 1, "requests that are made before and not counted, at least 1")
	f.Float64Var(&b.tolerance, "tolerance", 15, "by how many percent TPOT may change and still be called constant")
	f.StringVar(&b.promptFile, "prompt-file", "", "file with the prompt (default: a text of some hundred tokens)")
	f.StringVarP(&b.output, "output", "o", "table", "table, csv or json")
	return cmd
}

func (b *benchKVCache) run(cmd *cobra.Command) error {
	ctx := cmd.Context()
	prompt, err := b.check()
	if err != nil {
		return wrongUse{err}
	}
	cfg, _, err := settings()
	if err != nil {
		return err
	}
	if err := b.target.open(ctx, cfg); err != nil {
		return err
	}
	defer b.target.client.Close()
	memory, done, err := b.memory(ctx)
	if err != nil {
		return err
	}
	defer done()
	screen := newScreen(cmd.ErrOrStderr())
	began := time.Now()
	report, early := kvcache.Run(ctx, kvcache.Config{
		Client: b.target.client, Model: b.target.model, Prompt: prompt, Lengths: b.lengths, Repeats: b.repeats, WarmUps: b.warmUps,
		Tolerance: b.tolerance, GPUMemory: memory,
		Progress: func(done, all int) {
			screen.progress(fmt.Sprintf("kvcache: %d of %d requests, %s", done, all, clockText(time.Since(began))))
		},
	})
	screen.close("")
	switch {
	case errors.Is(early, kvcache.ErrTooLong):
		return wrongUse{early}
	case errors.Is(early, load.ErrUnreachable) && len(report.Samples) == 0:
		return notReachable{early}
	}
	if err := writeExperiment(cmd.OutOrStdout(), report, b.output); err != nil {
		return fmt.Errorf("bench kvcache: %w", err)
	}
	if early != nil {
		return fmt.Errorf("bench kvcache: ended early: %w", early)
	}
	return nil
}

// check holds the options against what makes sense, and reads the prompt.
func (b *benchKVCache) check() (prompt string, err error) {
	different := slices.Compact(slices.Sorted(slices.Values(b.lengths)))
	switch {
	case len(different) < 2:
		return "", errors.New("--lengths names fewer than two different lengths, and one has no slope")
	case different[0] < 2 || different[len(different)-1] > lengthMost:
		return "", fmt.Errorf("--lengths must each be from 2, which have a time between them, to %d", lengthMost)
	case b.repeats < 1 || b.repeats > repeatsMost:
		return "", fmt.Errorf("--repeats %d is not within 1 and %d", b.repeats, repeatsMost)
	case b.warmUps < 1 || b.warmUps > repeatsMost:
		return "", fmt.Errorf("--warmup %d is not within 1 and %d", b.warmUps, repeatsMost)
	case !(b.tolerance > 0 && b.tolerance <= 100):
		return "", fmt.Errorf("--tolerance %g is not above 0 and up to 100 percent", b.tolerance)
	case !slices.Contains([]string{"table", "csv", "json"}, b.output):
		return "", fmt.Errorf("--output %q is none of table, csv, json", b.output)
	case b.promptFile == "":
		return "Say in a few words what the guest of this restaurant liked. " + strings.Repeat("The soup was good and we will come again. ", 50), nil
	}
	f, err := os.Open(b.promptFile)
	if err != nil {
		return "", fmt.Errorf("--prompt-file: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, promptMost+1))
	switch {
	case err != nil:
		return "", fmt.Errorf("--prompt-file: %w", err)
	case len(text) == 0 || len(text) > promptMost:
		return "", fmt.Errorf("--prompt-file %s has %d bytes: 1 to %d make a prompt", b.promptFile, len(text), promptMost)
	}
	return string(text), nil
}

// memory reads what is in use of the memory of all GPUs, where the server runs on this machine and every GPU tells.
func (b *benchKVCache) memory(ctx context.Context) (read func(context.Context) watchdog.Maybe[float64], done func(), err error) {
	if !here(ctx, b.target.url) {
		return nil, func() {}, nil
	}
	selection, err := nvml.ParseSelection(b.target.config.GPUs.String())
	if err != nil {
		return nil, nil, wrongUse{err}
	}
	source := nvml.New(nvml.Config{Library: b.target.config.NVMLLibrary, GPUs: selection, FiguresEvery: memoryEvery}, zap.NewNop())
	return func(ctx context.Context) (sum watchdog.Maybe[float64]) {
		for _, d := range source.Read(ctx).Devices {
			if d.State != watchdog.SourceOK || !d.MemoryUsedBytes.Known {
				return watchdog.Maybe[float64]{}
			}
			sum = watchdog.Known(sum.Value + d.MemoryUsedBytes.Value)
		}
		return sum
	}, source.Close, nil
}
