// Recordings reads every page of a folder of recorded vLLM servers through the same client that watches a live one, and
// holds what it read against what is known to have been true at that moment.
//
//	go run ./test/recordings DIR
//
// DIR has a folder for each server with LABEL-states.json, *-timeline.json and the pages that they name, as
// record_pages.py writes them. Each page is served on loopback with the answers of /health, /load and /version recorded
// beside it, so that nothing is read in another way than in production. It prints page, verdict, what package
// watchdog decides on it, and the truth, names every
// deviation that is allowed together with its reason, and exits 1 on any that is not.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
)

func main() {
	if len(os.Args) != 2 || strings.HasPrefix(os.Args[1], "-") {
		fmt.Fprintln(os.Stderr, "usage: go run ./test/recordings DIR")
		os.Exit(2)
	}
	mismatches, err := run(context.Background(), os.Args[1], os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "recordings:", err)
		os.Exit(1)
	}
	if mismatches > 0 {
		os.Exit(1)
	}
}

// row is one reading held against the truth.
type row struct {
	where, verdict, truth string
	// decided is what the core made of the reading: the activity and its leading reason.
	decided    string
	mismatches []string
	allowed    []string
}

func (r *row) mismatch(format string, args ...any) {
	r.mismatches = append(r.mismatches, fmt.Sprintf(format, args...))
}

// report collects the rows and which files were read.
type report struct {
	root string
	read map[string]bool
	rows []*row
}

func (r *report) add(where string) *row {
	r.rows = append(r.rows, &row{where: where})
	return r.rows[len(r.rows)-1]
}

// run reads every recording under root and returns the number of mismatches.
func run(ctx context.Context, root string, out io.Writer) (int, error) {
	r := &report{root: root, read: map[string]bool{}}
	pages, err := r.pages()
	if err != nil {
		return 0, err
	}
	if len(pages) == 0 {
		return 0, fmt.Errorf("%s has no recorded page: give the folder that holds the servers' folders", root)
	}
	for _, kind := range []struct {
		suffix string
		read   func(context.Context, string) error
	}{
		{"-states.json", r.states},
		{"kill-timeline.json", r.killTimeline},
		{"sigterm-timeline.json", r.killTimeline},
		{"first-request-timeline.json", r.firstRequest},
		{"timeline.csv.gz", r.polls},
		{"bench.json.gz", r.bench},
	} {
		paths, err := r.files(kind.suffix)
		if err != nil {
			return 0, err
		}
		for _, path := range paths {
			if err := kind.read(ctx, path); err != nil {
				return 0, fmt.Errorf("%s: %w", path, err)
			}
		}
	}
	for _, page := range pages {
		if !r.read[page] {
			r.add(r.name(page)).mismatch("no recording names this page, so it was not read")
		}
	}
	return r.print(out), nil
}

// pages lists the recorded pages under root.
func (r *report) pages() ([]string, error) {
	all, err := r.files("metrics")
	return slices.DeleteFunc(all, func(path string) bool { return !strings.Contains(filepath.Base(path), ".txt") }), err
}

// files lists the files under root whose name contains part, sorted by path.
func (r *report) files(part string) ([]string, error) {
	var found []string
	err := filepath.WalkDir(r.root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.Contains(d.Name(), part) {
			found = append(found, path)
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no folder %s", r.root)
	}
	slices.Sort(found)
	return found, err
}

func (r *report) name(path string) string {
	if short, err := filepath.Rel(r.root, path); err == nil {
		return short
	}
	return path
}

func (r *report) print(out io.Writer) int {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "page\tverdict\tdecided\ttruth\t")
	mismatches := 0
	verdicts, decided, allowed := map[string]int{}, map[string]int{}, map[string]int{}
	for _, row := range r.rows {
		state := "ok"
		if len(row.allowed) > 0 {
			state = "allowed"
		}
		if len(row.mismatches) > 0 {
			state = "MISMATCH " + strings.Join(row.mismatches, "; ")
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", row.where, row.verdict, row.decided, row.truth, state)
		mismatches += len(row.mismatches)
		verdicts[row.verdict]++
		decided[row.decided]++
		for _, why := range row.allowed {
			allowed[why]++
		}
	}
	table.Flush()
	fmt.Fprintf(out, "\n%d pages read, %d readings\n", len(r.read), len(r.rows))
	printCounts(out, "verdicts", verdicts)
	printCounts(out, "decided", decided)
	printCounts(out, "allowed deviations", allowed)
	fmt.Fprintf(out, "%d mismatches\n", mismatches)
	return mismatches
}

func printCounts(out io.Writer, title string, counts map[string]int) {
	fmt.Fprintf(out, "%s:\n", title)
	keys := make([]string, 0, len(counts))
	for k := range counts {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		if k != "" {
			fmt.Fprintf(out, "  %4d  %s\n", counts[k], k)
		}
	}
}
