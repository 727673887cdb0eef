package stage

import (
	"fmt"
	"io"
	"time"
)

// Report prints the checks as they are made, and counts them.
type Report struct {
	out                     io.Writer
	began                   time.Time
	passed, failed, skipped int
}

// NewReport begins a report.
func NewReport(out io.Writer) *Report { return &Report{out: out, began: time.Now()} }

// Act is the heading of what follows.
func (r *Report) Act(name, about string) {
	fmt.Fprintf(r.out, "\n=== %s: %s (%d s)\n", name, about, int(time.Since(r.began).Seconds()))
}

// Check is one named check with the lines that show why it holds, or does not.
func (r *Report) Check(name string, holds bool, evidence ...string) {
	word := "PASS"
	if holds {
		r.passed++
	} else {
		word = "FAIL"
		r.failed++
	}
	r.print(word, name, evidence)
}

// Skip says why a check cannot be made with this server.
func (r *Report) Skip(name string, why ...string) {
	r.skipped++
	r.print("SKIP", name, why)
}

// Show prints what was measured and is no check.
func (r *Report) Show(name string, lines ...string) { r.print("    ", name, lines) }

func (r *Report) print(word, name string, lines []string) {
	fmt.Fprintf(r.out, "%s  %s\n", word, name)
	for _, line := range lines {
		if line != "" {
			fmt.Fprintf(r.out, "        %s\n", line)
		}
	}
}

// Summary is the last line.
func (r *Report) Summary() {
	fmt.Fprintf(r.out, "\n%d passed, %d failed, %d skipped, in %d s\n", r.passed, r.failed, r.skipped, int(time.Since(r.began).Seconds()))
}

// Good says that something was checked and nothing failed.
func (r *Report) Good() bool { return r.failed == 0 && r.passed > 0 }
