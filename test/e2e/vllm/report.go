package main

import (
	"fmt"
	"io"
	"time"
)

// report prints the checks as they are made, and counts them.
type report struct {
	out                     io.Writer
	began                   time.Time
	passed, failed, skipped int
}

func (r *report) act(name, about string) {
	fmt.Fprintf(r.out, "\n=== %s: %s (%d s)\n", name, about, int(time.Since(r.began).Seconds()))
}

// check is one named check with the lines that show why it holds, or does not.
func (r *report) check(name string, holds bool, evidence ...string) {
	word := "PASS"
	if holds {
		r.passed++
	} else {
		word = "FAIL"
		r.failed++
	}
	r.print(word, name, evidence)
}

// skip says why a check cannot be made with this server.
func (r *report) skip(name string, why ...string) {
	r.skipped++
	r.print("SKIP", name, why)
}

func (r *report) print(word, name string, lines []string) {
	fmt.Fprintf(r.out, "%s  %s\n", word, name)
	for _, line := range lines {
		fmt.Fprintf(r.out, "        %s\n", line)
	}
}

func (r *report) summary() {
	fmt.Fprintf(r.out, "\n%d passed, %d failed, %d skipped, in %d s\n", r.passed, r.failed, r.skipped, int(time.Since(r.began).Seconds()))
}
