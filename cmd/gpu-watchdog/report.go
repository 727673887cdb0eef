package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/gpu-watchdog/gpu-watchdog/internal/config"
	"github.com/gpu-watchdog/gpu-watchdog/internal/report"
	"github.com/gpu-watchdog/gpu-watchdog/internal/store"
)

// reportMost bounds a report: a hung disk must not hold whoever asks.
const reportMost = 2 * time.Minute

// reporting is how `report` was called.
type reporting struct {
	days               int
	from, to           string
	output, html, file string
	now                func() time.Time
}

func newReport() *cobra.Command {
	r := reporting{now: time.Now}
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Show what each day's requests got, and what they cost",
		Long: "Show what each day's requests got, and what they cost: requests, the SLA, tokens, goodput, latencies, time, money.\n\n" +
			"Days are UTC days, the newest first. Rates are per second of wall time in which the watchdog looked on, which the\n" +
			"table shows as Watched; request time is no measure of it, because requests overlap (its sum is request_seconds in\n" +
			"the JSON). The SLA is WATCHDOG_SLA_TTFT, and may differ from the one in force when the rows came in. Percentiles\n" +
			"are exact, of all requests. What is not known is –, null, or an empty cell; it is never 0.\n\n" +
			"It reads the telemetry of this pod's watchdog, running or not, and writes nothing to it; --db names another one.\n" +
			"A range of which nothing was recorded is said to be so, with exit code 0; a database that is missing is exit code 1.",
		Example: "  gpu-watchdog report\n  gpu-watchdog report --days 30 --html report.html\n" +
			"  gpu-watchdog report --from 2026-01-01 --to 2026-01-31 --output csv > january.csv\n" +
			"  gpu-watchdog report --days 1 --output json | jq .total.goodput_rps",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return r.run(cmd.Context(), cmd.OutOrStdout(), cmd.ErrOrStderr(), cmd.Flags().Changed("days"))
		},
	}
	cmd.Flags().IntVar(&r.days, "days", 7, "so `many` days, the last of which is today or --to")
	cmd.Flags().StringVar(&r.from, "from", "", "first `day`, as in 2026-01-31 (UTC)")
	cmd.Flags().StringVar(&r.to, "to", "", "last `day`, which is part of the report (default: today)")
	cmd.Flags().StringVarP(&r.output, "output", "o", "table", "`format`: table, json or csv")
	cmd.Flags().StringVar(&r.html, "html", "", "also write a page with plots to this `file`; - writes the page alone, to standard output")
	cmd.Flags().StringVar(&r.file, "db", "", "the telemetry.db to read, a `file` (default: the one that 'gpu-watchdog run' writes with these settings)")
	return cmd
}

func (r *reporting) run(ctx context.Context, out, progress io.Writer, daysGiven bool) error {
	ctx, cancel := context.WithTimeout(ctx, reportMost)
	defer cancel()
	now := r.now()
	span, err := r.span(now, daysGiven)
	if err != nil {
		return wrongUse{err}
	}
	write, known := map[string]func(*report.Report, io.Writer) error{
		"table": (*report.Report).Table, "json": (*report.Report).JSON, "csv": (*report.Report).CSV,
	}[r.output]
	if !known {
		return wrongUse{fmt.Errorf("--output %q is none of table, json, csv", r.output)}
	}
	cfg, _, err := settings()
	if err != nil {
		return err
	}
	file, err := r.database(cfg)
	if err != nil {
		return err
	}
	reader := store.OpenReader(file, r.now)
	answer, err := report.Build(ctx, reader, report.Question{Span: span, SLATTFT: cfg.SLATTFT, Name: podOf(file, cfg), File: file, Now: now})
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	switch r.html {
	case "":
	case "-":
		return answer.Page(ctx, reader, out)
	default:
		if err := writeWhole(r.html, func(w io.Writer) error { return answer.Page(ctx, reader, w) }); err != nil {
			return fmt.Errorf("report: %w", err)
		}
		fmt.Fprintf(progress, "the page is in %s\n", r.html)
	}
	return write(&answer, out)
}

// span is the days that were asked for.
func (r *reporting) span(now time.Time, daysGiven bool) (report.Span, error) {
	last := now
	if r.to != "" {
		var err error
		if last, err = dateOf("--to", r.to); err != nil {
			return report.Span{}, err
		}
	}
	if r.from != "" {
		if daysGiven {
			return report.Span{}, errors.New("--days and --from contradict each other: give one of them")
		}
		first, err := dateOf("--from", r.from)
		if err != nil {
			return report.Span{}, err
		}
		return report.Between(first, last)
	}
	if r.days < 1 || r.days > report.DaysMost {
		return report.Span{}, fmt.Errorf("--days %d is not within 1 and %d", r.days, report.DaysMost)
	}
	return report.Ending(r.days, last)
}

func dateOf(flag, value string) (time.Time, error) {
	at, err := time.Parse(time.DateOnly, value)
	if err != nil {
		return at, fmt.Errorf("%s %q is no day; write it as in 2026-01-31", flag, value)
	}
	return at, nil
}

// database is the file to read. `run` takes the first folder that it can write to; whoever asks may not be allowed to write
// there, and shall not make folders, so this looks which file is there, and takes the one that was written last.
func (r *reporting) database(cfg config.Config) (string, error) {
	places := []string{r.file}
	if r.file == "" {
		places = []string{
			filepath.Join(cfg.Dir, cfg.Name, telemetryFile),
			filepath.Join(os.TempDir(), "gpu-watchdog", cfg.Name, telemetryFile), // memory.Choose falls back to it
		}
	}
	found, latest := "", time.Time{}
	for _, place := range places {
		switch info, err := os.Stat(place); {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return "", fmt.Errorf("report: look for the telemetry: %w", err)
		case info.IsDir():
			return "", fmt.Errorf("report: %s is a folder; --db names the file %s in it", place, telemetryFile)
		}
		if written := lastWritten(place); found == "" || written.After(latest) {
			found, latest = place, written
		}
	}
	if found != "" {
		return found, nil
	}
	if r.file != "" {
		return "", fmt.Errorf("report: there is no file %s: --db names the %s that `gpu-watchdog run` writes to WATCHDOG_DIR/WATCHDOG_NAME", r.file, telemetryFile)
	}
	return "", fmt.Errorf("report: there is no telemetry in %s nor %s: start `gpu-watchdog run` first, ask with its WATCHDOG_DIR and WATCHDOG_NAME, or name the file with --db", places[0], places[1])
}

// lastWritten is when a database was last written to; what is not yet in the file itself is in the log beside it.
func lastWritten(path string) (last time.Time) {
	for _, name := range []string{path, path + "-wal"} {
		if info, err := os.Stat(name); err == nil && info.ModTime().After(last) {
			last = info.ModTime()
		}
	}
	return last
}

// podOf is the pod that a file belongs to: the folder of its telemetry has its name.
func podOf(file string, cfg config.Config) string {
	if whole, err := filepath.Abs(file); err == nil && filepath.Base(whole) == telemetryFile {
		return filepath.Base(filepath.Dir(whole))
	}
	return cfg.Name
}

// writeWhole writes a file that is either there as a whole or as it was before.
func writeWhole(path string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".report-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	if err := errors.Join(write(f), f.Chmod(0o644), f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
