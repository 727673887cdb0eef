package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gpu-watchdog/gpu-watchdog/internal/config"
	"github.com/gpu-watchdog/gpu-watchdog/internal/experiment/coldstart"
)

// The defaults of bench coldstart.
const (
	coldStarts, warmStarts = 3, 2
	coldStartMost          = time.Hour
	coldStartGrace         = 20 * time.Second
)

// dropNothing is the --drop that leaves the page cache alone.
const dropNothing = "none"

func newBenchColdStart() *cobra.Command {
	var output, url, health, logs string
	var drop []string
	var emptyCaches, spans bool
	cold, warm, timeout, grace := coldStarts, warmStarts, coldStartMost, coldStartGrace
	cmd := &cobra.Command{
		Use:   "coldstart [flags] -- COMMAND [ARG...]",
		Short: "Start a server several times, cold and warm, and price each phase of its start",
		Long: "Start a server several times, cold and warm, and price each phase of its start.\n\n" +
			"Before a cold start the model's files are dropped from the machine's page cache, and it is measured how much of them\n" +
			"is still there; a warm start finds what the start before it has left. The server runs in a process group of its own,\n" +
			"is asked for a few tokens, and is ended again: with SIGTERM, and with SIGKILL after --grace. Nothing else is touched,\n" +
			"and nothing may listen at its address before.\n\n" +
			"Phases come from vLLM's log, with --spans from its own spans (vLLM 0.19 and later, where OpenTelemetry is installed).\n" +
			"Any server will do that answers 200 at --health; the phases that it does not tell are joined to the next one.\n" +
			"Prices are those of the environment: WATCHDOG_PRICE, WATCHDOG_COLD_START_PENALTY, WATCHDOG_STORAGE_RUNNING and the like.\n" +
			"The last lines suggest a value for WATCHDOG_COLD_START. Exit code 1: not all starts could be measured.",
		Example: "  gpu-watchdog bench coldstart -- vllm serve /workspace/model\n" +
			"  WATCHDOG_PRICE=1.5 gpu-watchdog bench coldstart --runs 3 --warm 2 --spans -- vllm serve org/model --port 8100\n" +
			"  gpu-watchdog bench coldstart --drop /workspace/model --drop /opt/venv --empty-caches --output json -- ./serve.sh",
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case cmd.ArgsLenAtDash() != 0 || len(args) == 0:
				return wrongUse{fmt.Errorf("bench coldstart: write the server's command behind --, as in: gpu-watchdog bench coldstart -- vllm serve MODEL")}
			case cold < 0 || warm < 0 || cold+warm == 0 || cold+warm > 100:
				return wrongUse{fmt.Errorf("--runs %d and --warm %d: together they must be 1 to 100, and neither below 0", cold, warm)}
			case timeout <= 0 || grace <= 0:
				return wrongUse{fmt.Errorf("--timeout %s and --grace %s must be above 0", timeout, grace)}
			case !slices.Contains([]string{"table", "csv", "json"}, output):
				return wrongUse{fmt.Errorf("--output %q is none of table, csv, json", output)}
			case !strings.HasPrefix(health, "/"):
				return wrongUse{fmt.Errorf("--health %q is no path: write one such as /health", health)}
			}
			if _, err := exec.LookPath(args[0]); err != nil {
				return wrongUse{fmt.Errorf("bench coldstart: %w", err)}
			}
			cfg, _, err := settings()
			if err != nil {
				return err
			}
			server := coldstart.ReadCommand(args)
			if spans && server.HasSpans {
				return wrongUse{fmt.Errorf("the command sends its spans somewhere else already (--otlp-traces-endpoint): leave out that or --spans")}
			}
			if url == "" {
				url = server.URL
			}
			if url == "" && len(cfg.VLLMURLs) > 0 {
				url = cfg.VLLMURLs[0]
			}
			if url == "" {
				return wrongUse{fmt.Errorf("the command names no --port and WATCHDOG_VLLM_URLS no server: give --url http://127.0.0.1:PORT")}
			}
			files, err := filesToDrop(drop, server.Model, cold)
			if err != nil {
				return err
			}
			if logs == "" {
				logs, err = os.MkdirTemp("", "gpu-watchdog-coldstart-")
			} else {
				err = os.MkdirAll(logs, 0o755)
			}
			if err != nil {
				return fmt.Errorf("bench coldstart: a folder for the server's output: %w", err)
			}
			if logs, err = filepath.Abs(logs); err != nil {
				return fmt.Errorf("bench coldstart: %w", err)
			}
			ctx, cancel := context.WithTimeoutCause(cmd.Context(), timeout, fmt.Errorf("the %s of --timeout are over: %w", timeout, context.DeadlineExceeded))
			defer cancel()
			screen := newScreen(cmd.ErrOrStderr())
			report, stopped := coldstart.Run(ctx, coldstart.Config{
				Argv: args, Env: withoutOurs(os.Environ()), URL: strings.TrimSuffix(url, "/"), Health: health,
				APIKey: server.APIKey, UserAgent: "gpu-watchdog/" + version,
				Cold: cold, Warm: warm, Files: files, EmptyCaches: emptyCaches, Spans: spans,
				LogDir: logs, Grace: grace, Timeout: timeout, Pricing: pricingOf(cfg), Progress: screen.progress,
			})
			screen.close("")
			if err := writeExperiment(cmd.OutOrStdout(), report, output); err != nil {
				return err
			}
			if stopped != nil {
				return fmt.Errorf("bench coldstart: ended early: %w", stopped)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.IntVar(&cold, "runs", cold, "cold starts")
	f.IntVar(&warm, "warm", warm, "warm starts; they alternate with the cold ones")
	f.StringVar(&url, "url", "", "where the server will be (default: 127.0.0.1 and the command's --port, else the first of "+config.Prefix+"VLLM_URLS)")
	f.StringVar(&health, "health", "/health", "the path that answers 200 once the server is ready")
	f.StringArrayVar(&drop, "drop", nil, "a file or folder to drop from the page cache before a cold start, repeatable; none: nothing (default: the model)")
	f.BoolVar(&emptyCaches, "empty-caches", false, "give the compilers' caches (vLLM, Inductor, Triton, CUDA) a folder that is empty at each cold start")
	f.BoolVar(&spans, "spans", false, "take vLLM's own spans of its start: adds --otlp-traces-endpoint to the command")
	f.StringVar(&logs, "logs", "", "folder for the server's output (default: a new one in the temporary folder)")
	f.DurationVar(&grace, "grace", grace, "how long the server may take to end before it is killed")
	f.DurationVar(&timeout, "timeout", timeout, "how long all of it may take; then it ends with what it has")
	f.StringVarP(&output, "output", "o", "table", "table, csv or json")
	return cmd
}

// filesToDrop are what a cold start shall not find in memory.
func filesToDrop(given []string, model string, cold int) ([]string, error) {
	switch {
	case len(given) == 1 && given[0] == dropNothing:
		return nil, nil
	case len(given) > 0:
		for _, path := range given {
			if _, err := os.Stat(path); err != nil {
				return nil, wrongUse{fmt.Errorf("--drop: %w", err)}
			}
		}
		return given, nil
	}
	folder := coldstart.ModelFolder(model, os.Getenv)
	if folder == "" && cold > 0 {
		return nil, wrongUse{fmt.Errorf("the files of the model %q are not found on this machine, so no start can be made cold: "+
			"give --drop FOLDER, or --drop none to measure it as it is", model)}
	}
	if folder == "" {
		return nil, nil
	}
	return []string{folder}, nil
}

// withoutOurs is the environment without our own settings, among which is a key.
func withoutOurs(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(line string) bool { return strings.HasPrefix(line, config.Prefix) })
}

// pricingOf is what the environment says of money.
func pricingOf(cfg config.Config) coldstart.Pricing {
	return coldstart.Pricing{
		USDPerHour: cfg.Price, Unseen: cfg.ColdStartUnseen, Tariff: tariffOf(cfg),
	}
}
