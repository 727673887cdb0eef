package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gpu-watchdog/gpu-watchdog/internal/config"
	"github.com/gpu-watchdog/gpu-watchdog/internal/experiment/batching"
	"github.com/gpu-watchdog/gpu-watchdog/internal/load"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// benchBatching are the options of the experiment.
type benchBatching struct {
	target    benchTarget
	generated batching.Generated
	prompts   string
	scenarios []string
	static    int
	at        []int
	rates     []float64
	goals     []string
	every     time.Duration

	output, plot, replay       string
	repeats, warmUp, tolerated int
	eos, cache, details        bool
}

func newBenchBatching() *cobra.Command {
	b := benchBatching{}
	cmd := &cobra.Command{
		Use:   "batching",
		Short: "Show what continuous batching is worth on a running server",
		Long: "Show what continuous batching is worth: the same prompts (A) one at a time, (B) in static batches, the next one when the\n" +
			"last request of the one before has ended, (C) many at a time, mixed by the server as it likes.\n\n" +
			"Each prompt begins with a text of its own, in each run another, so that no run profits from what an earlier one left in the\n" +
			"server's prefix cache; the server's own counters are held against that. Answers are as long as their prompts say, not as long\n" +
			"as the model likes (--eos). GPU figures are those of this machine, and empty where the server runs elsewhere.\n\n" +
			"The keys of --output json are those of vllm bench serve, by its definitions; --replay FILE shows that on its own records.\n" +
			"The key of the server's API is read from OPENAI_API_KEY or VLLM_API_KEY. Exit codes: 1 when it ended early (what there is\n" +
			"is printed), 4 when nobody answers.",
		Example: "  gpu-watchdog bench batching\n" +
			"  gpu-watchdog bench batching --groups 2 --per-group 8 --static 8 --concurrency 4,8 --output-tokens 32   # a quick one\n" +
			"  gpu-watchdog bench batching --prompts reviews.jsonl --repeats 3 --plot batching.svg --output json > batching.json\n" +
			"  gpu-watchdog bench batching --scenarios c --rate 2,4,8 --goodput ttft:500,tpot:50\n" +
			"  gpu-watchdog bench batching --replay bench.json   # of vllm bench serve --save-result --save-detailed",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, _, err := settings()
			if err != nil {
				return err
			}
			if b.output != "table" && b.output != "csv" && b.output != "json" {
				return wrongUse{fmt.Errorf("--output %q is none of table, csv, json", b.output)}
			}
			if b.replay != "" {
				return b.runReplay(cmd.OutOrStdout())
			}
			return b.run(cmd, cfg)
		},
	}
	b.target.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&b.prompts, "prompts", "", "file of prompts, one a line, or JSON lines with prompt and output_tokens (default: generated)")
	f.IntVar(&b.generated.Groups, "groups", 10, "groups of generated prompts")
	f.IntVar(&b.generated.PerGroup, "per-group", 50, "generated prompts of each group")
	f.IntVar(&b.generated.Words, "words", 40, "mean length of generated prompts, in words")
	f.IntVar(&b.generated.OutputTokens, "output-tokens", 64, "mean length of the answers, in tokens; of prompts from a file the length of those that name none")
	f.Float64Var(&b.generated.Spread, "spread", 0.5, "how far generated lengths vary to either side of their mean, 0 to 1")
	f.Uint64Var(&b.generated.Seed, "seed", 1, "seed of generated prompts and of --rate")
	f.StringSliceVar(&b.scenarios, "scenarios", []string{"a", "b", "c"}, "which to play")
	f.IntVar(&b.static, "static", 50, "size of a static batch")
	f.IntSliceVar(&b.at, "concurrency", []int{4, 16, 50}, "requests at a time, one scenario for each")
	f.Float64SliceVar(&b.rates, "rate", nil, "requests that begin in a second, one scenario for each, instead of --concurrency")
	f.IntVar(&b.repeats, "repeats", 1, "how often each scenario is played")
	f.IntVar(&b.warmUp, "warmup", 4, "requests that are made before and not counted, at least 1")
	f.IntVar(&b.tolerated, "max-failures", 0, "failed requests of a run that do not end the experiment")
	f.StringSliceVar(&b.goals, "goodput", nil, "what a good request keeps, in milliseconds, of ttft, tpot, e2el (default: ttft: "+config.Prefix+"SLA_TTFT)")
	f.DurationVar(&b.every, "sample-every", 500*time.Millisecond, "how often the server's page and the GPU are looked at")
	f.BoolVar(&b.eos, "eos", false, "let the model end its answers")
	f.BoolVar(&b.cache, "prompt-cache", false, "send the prompts as they are, so that the server may find them in its prefix cache")
	f.BoolVar(&b.details, "detailed", false, "with --output json, add the records of every request")
	f.StringVar(&b.plot, "plot", "", "write a plot (SVG) to this file")
	f.StringVarP(&b.output, "output", "o", "table", "table, csv or json")
	f.StringVar(&b.replay, "replay", "", "compute the keys of a detailed result of vllm bench serve from its records, and compare")
	return cmd
}

func (b *benchBatching) run(cmd *cobra.Command, cfg config.Config) error {
	ctx := cmd.Context()
	if err := b.check(); err != nil {
		return wrongUse{err}
	}
	cases, err := b.cases()
	if err != nil {
		return wrongUse{err}
	}
	objectives, err := objectivesOf(b.goals)
	if err != nil {
		return wrongUse{err}
	}
	if !objectives.Any() && cfg.SLATTFT > 0 {
		objectives.TTFT = watchdog.Known(float64(cfg.SLATTFT) / float64(time.Millisecond))
	}
	workload, err := b.workload()
	if err != nil {
		return wrongUse{err}
	}
	var plot *os.File
	if b.plot != "" { // before an hour of work, not after it
		if plot, err = os.Create(b.plot); err != nil {
			return fmt.Errorf("write the plot: %w", err)
		}
		defer plot.Close()
	}
	if err := b.target.open(ctx, cfg); err != nil {
		return err
	}
	defer b.target.client.Close()
	page, err := b.target.page(ctx)
	if err != nil {
		return err
	}
	defer page.Close()
	gpu, names, err := b.target.gpus(ctx)
	if err != nil {
		return err
	}
	defer gpu.Close()

	screen := newScreen(cmd.ErrOrStderr())
	began := time.Now()
	result, early := batching.Play(ctx, batching.Config{
		Asker: b.target.client, Model: b.target.model, Workload: workload, Scenarios: cases, Repeats: b.repeats, WarmUp: b.warmUp,
		Tolerated: b.tolerated, StopAtEOS: b.eos, KeepCache: b.cache, Objectives: objectives, Seed: b.generated.Seed,
		Server: page, GPU: gpu, Pages: b.target.client, Every: b.every,
		Progress: func(p batching.Progress) { screen.progress(progressText(p)) },
	})
	screen.close("")
	report := batching.Report{
		Result: result, URL: b.target.client.URL(), Model: b.target.model, Version: b.target.version, GPU: names, Date: began,
		Prompts: len(workload), Repeats: max(1, b.repeats), WarmUp: max(1, b.warmUp), Seed: b.generated.Seed, StopAtEOS: b.eos, KeepCache: b.cache,
		Objectives: objectives, TokensPerSecond: float64(cfg.SLATPS), Detailed: b.details,
	}
	if b.prompts == "" {
		report.Groups = b.generated.Groups
	}
	if early != nil {
		report.Early = early.Error()
	}
	if err := b.print(cmd.OutOrStdout(), &report, plot); err != nil {
		return err
	}
	if errors.Is(early, load.ErrUnreachable) && len(result.Outcomes) == 0 {
		return notReachable{early}
	}
	if early != nil {
		return fmt.Errorf("bench batching: %w", early)
	}
	return nil
}

func (b *benchBatching) print(out io.Writer, report *batching.Report, plot *os.File) error {
	write := report.Table
	switch b.output {
	case "csv":
		write = report.CSV
	case "json":
		write = report.JSON
	}
	if err := write(out); err != nil {
		return fmt.Errorf("bench batching: %w", err)
	}
	if plot == nil {
		return nil
	}
	err := report.Plot(plot)
	if closed := plot.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return fmt.Errorf("write the plot: %w", err)
	}
	return nil
}

// cases are the scenarios that the flags name.
func (b *benchBatching) cases() (all []batching.Scenario, err error) {
	for _, letter := range b.scenarios {
		switch strings.ToLower(strings.TrimSpace(letter)) {
		case "a":
			all = append(all, batching.Scenario{Kind: batching.Sequential})
		case "b":
			if b.static < 1 {
				return nil, fmt.Errorf("--static %d is no size of a batch", b.static)
			}
			all = append(all, batching.Scenario{Kind: batching.Static, Batch: b.static})
		case "c":
			for _, rate := range b.rates {
				if !(rate > 1e-6 && rate < 1e6) {
					return nil, fmt.Errorf("--rate %g is not within 0.000001 and 1000000 a second", rate)
				}
				all = append(all, batching.Scenario{Kind: batching.Continuous, Rate: rate})
			}
			if len(b.rates) > 0 {
				continue
			}
			for _, n := range b.at {
				if n < 1 || n > 1<<16 {
					return nil, fmt.Errorf("--concurrency %d is not within 1 and %d", n, 1<<16)
				}
				all = append(all, batching.Scenario{Kind: batching.Continuous, Concurrency: n})
			}
		default:
			return nil, fmt.Errorf("--scenarios %q is none of a, b, c", letter)
		}
	}
	if len(all) == 0 {
		return nil, errors.New("there is no scenario to play: see --scenarios, --concurrency and --rate")
	}
	return all, nil
}

// benchMost bounds what a flag may ask for: prompts, words, tokens.
const benchMost = 1 << 20

// check refuses numbers that cannot be.
func (b *benchBatching) check() error {
	switch g := b.generated; {
	case g.OutputTokens < 1 || g.OutputTokens > benchMost:
		return fmt.Errorf("--output-tokens %d is not within 1 and %d", g.OutputTokens, benchMost)
	case b.every < 10*time.Millisecond:
		return fmt.Errorf("--sample-every %v would be load of its own: 10ms is the least", b.every)
	case b.repeats < 1 || b.warmUp < 1 || b.tolerated < 0:
		return errors.New("--repeats and --warmup are at least 1, --max-failures at least 0")
	}
	return nil
}

// workload reads the prompts, or makes them up.
func (b *benchBatching) workload() ([]batching.Prompt, error) {
	g := b.generated
	if b.prompts == "" {
		switch {
		case g.Groups < 1 || g.PerGroup < 1 || g.Words < 1 || g.Groups > benchMost || g.PerGroup > benchMost || g.Words > benchMost || g.Groups*g.PerGroup > benchMost:
			return nil, fmt.Errorf("--groups %d of --per-group %d prompts of --words %d: each is at least 1, all prompts at most %d", g.Groups, g.PerGroup, g.Words, benchMost)
		case !(g.Spread >= 0 && g.Spread <= 1):
			return nil, fmt.Errorf("--spread %g is not within 0 and 1", g.Spread)
		}
		return g.Workload(), nil
	}
	file, err := os.Open(b.prompts)
	if err != nil {
		return nil, fmt.Errorf("read the prompts: %w", err)
	}
	defer file.Close()
	prompts, err := batching.ReadPrompts(file, g.OutputTokens)
	if err != nil {
		return nil, fmt.Errorf("read the prompts of %s: %w", b.prompts, err)
	}
	return prompts, nil
}

// objectivesOf reads ttft:500 and its like.
func objectivesOf(goals []string) (o batching.Objectives, err error) {
	for _, goal := range goals {
		for _, one := range strings.Fields(goal) {
			name, value, _ := strings.Cut(one, ":")
			ms, err := strconv.ParseFloat(value, 64)
			if err != nil || !(ms >= 0 && ms < 1e12) {
				return o, fmt.Errorf("--goodput %q is no objective: write ttft:500, in milliseconds", one)
			}
			switch name {
			case "ttft":
				o.TTFT = watchdog.Known(ms)
			case "tpot":
				o.TPOT = watchdog.Known(ms)
			case "e2el":
				o.E2EL = watchdog.Known(ms)
			default:
				return o, fmt.Errorf("--goodput %q names none of ttft, tpot, e2el", one)
			}
		}
	}
	return o, nil
}

func progressText(p batching.Progress) string {
	what := "warming up"
	if p.Scenario != nil {
		what = p.Scenario.Name()
		if p.Repeats > 1 {
			what += fmt.Sprintf(", repeat %d of %d", p.Repeat, p.Repeats)
		}
	}
	text := fmt.Sprintf("%s: %d of %d requests, %s", what, p.Done, p.Of, clockText(time.Since(p.Since)))
	if p.Failed > 0 {
		text += fmt.Sprintf(", %d failed", p.Failed)
	}
	return text
}

// runReplay computes the keys of a file from its records; a key that differs is a failure.
func (b *benchBatching) runReplay(out io.Writer) error {
	objectives, err := objectivesOf(b.goals)
	if err != nil {
		return wrongUse{err}
	}
	file, err := os.Open(b.replay)
	if err != nil {
		return wrongUse{fmt.Errorf("replay: %w", err)}
	}
	defer file.Close()
	replayed, err := batching.Replay(file, objectives)
	if err != nil {
		return fmt.Errorf("replay %s: %w", b.replay, err)
	}
	switch b.output {
	case "csv":
		err = replayed.CSV(out)
	case "json":
		err = replayed.JSON(out)
	default:
		replayed.Table(out)
	}
	if err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	if differ := replayed.Differ(); len(differ) > 0 {
		hint := ""
		if differ[0] == "request_goodput" && !objectives.Any() {
			hint = "; the objectives of its goodput are not in the file: give them with --goodput"
		}
		return fmt.Errorf("replay %s: %s: not what the records come to%s", b.replay, strings.Join(differ, ", "), hint)
	}
	return nil
}
