package faults

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/nvml/standin"
	"github.com/gpu-watchdog/gpu-watchdog/test/program"
)

var (
	all   = flag.Bool("all", false, "play every row, not only the short ones")
	only  = flag.String("rows", "", "play these rows only, by their names, separated by commas")
	table = flag.Bool("table", false, "end with a table of all rows that were played")

	binary string
	// drivers are the stand-ins of NVML, by what they lack.
	drivers drivery
	results score
)

func TestMain(m *testing.M) {
	if act := os.Getenv(sandboxVariable); act != "" {
		sandbox(act, os.Args[1:])
	}
	dir, err := os.MkdirTemp("", "gpu-watchdog-faults-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	drivers.dir = dir
	// More pods at a time than two cores can carry let looks time out, of which some rows tell. The command line may say otherwise.
	_ = flag.Set("test.parallel", "24") // testing has it
	code := program.Main(m, &binary)
	_ = os.RemoveAll(dir) // what is left is in the temporary folder
	if *table {
		results.print(os.Stdout)
	}
	os.Exit(code)
}

// drivery builds each driver once.
type drivery struct {
	dir   string
	mu    sync.Mutex
	built map[string]string
}

func (d *drivery) library(t testing.TB, variants ...string) string {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	key := strings.Join(append([]string{"driver"}, variants...), "-")
	if path, ok := d.built[key]; ok {
		return path
	}
	dir := filepath.Join(d.dir, strings.ReplaceAll(key, ":", "-"))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path, err := standin.Build(dir, variants...)
	if errors.Is(err, standin.ErrNoCompiler) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if d.built == nil {
		d.built = map[string]string{}
	}
	d.built[key] = path
	return path
}

// score is what came of the rows.
type score struct {
	mu   sync.Mutex
	rows []result
}

// result is what came of one row.
type result struct {
	row    row
	word   string
	took   time.Duration
	slow   time.Duration // the longest time from idleness to the stop
	stops  int           // stops under work
	forgot int           // idle pods that were never stopped
}

func (s *score) add(r result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows = append(s.rows, r)
	if *table {
		fmt.Fprintf(os.Stderr, "%s %s (%.1f s)\n", r.word, r.row.id(), r.took.Seconds())
	}
}

func (s *score) print(w io.Writer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	slices.SortStableFunc(s.rows, func(a, b result) int { return cmp.Compare(a.row.place, b.row.place) })
	count, stops, forgot, slow := map[string]int{}, 0, 0, result{}
	for _, r := range s.rows {
		fmt.Fprintf(w, "%-4s  %-9s %-38s with: %-52s without: %-40s %5.1f s\n", r.word, r.row.group, r.row.name, r.row.with, r.row.without, r.took.Seconds())
		count[r.word]++
		stops += r.stops
		forgot += r.forgot
		if r.slow > slow.slow {
			slow = r
		}
	}
	fmt.Fprintf(w, "\n%d rows: %d passed, %d failed, %d skipped; %d stops under work, %d forgotten pods; the slowest stop came %.1f s after the pod was idle or its fault was over (%s)\n",
		len(s.rows), count["PASS"], count["FAIL"], count["SKIP"], stops, forgot, slow.slow.Seconds(), slow.row.name)
}
