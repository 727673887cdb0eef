//go:build linux

package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/bench/internal/process"
)

func (p phase) print(to io.Writer, rows []*row) {
	fmt.Fprintf(to, "\na tick each %s, measured for %s; load of the machine %s\n\n", p.interval, p.lasts, process.Load())
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tCPU a tick µs\tof Python\tof node-exporter\t% of a core\tresident kB\tof it private kB\t")
	python, exporter := find(rows, "Python poller"), find(rows, "node-exporter, scraped")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%d\t1/%.1f\t1/%.1f\t%.4f\t%d\t%d\t\n", r.name, r.perTick().Microseconds(),
			float64(python.perTick())/float64(r.perTick()), float64(exporter.perTick())/float64(r.perTick()),
			100*r.perTick().Seconds()/p.interval.Seconds(), r.memory.Resident>>10, r.memory.Anonymous>>10)
	}
	w.Flush()
}

// pythonShare is what a tick may cost at most, as a part of the Python poller's.
const pythonShare = 8

// judge prints and returns whether the watchdog reaches what it must.
func judge(to io.Writer, rows []*row) bool {
	watchdog, scraped := find(rows, "gpu-watchdog"), find(rows, "gpu-watchdog, scraped")
	python, exporter := find(rows, "Python poller"), find(rows, "node-exporter, scraped")
	all := true
	for _, c := range []struct {
		must string
		ok   bool
	}{
		{fmt.Sprintf("a tick costs at most 1/%d of the Python poller's", pythonShare), watchdog.perTick() <= python.perTick()/pythonShare},
		{"a tick costs less than a scrape of node-exporter", watchdog.perTick() < exporter.perTick()},
		{"also where the watchdog is scraped itself", scraped.perTick() < exporter.perTick()},
	} {
		word := "PASS"
		if !c.ok {
			word, all = "FAIL", false
		}
		fmt.Fprintln(to, word, c.must)
	}
	return all
}

func find(rows []*row, name string) *row {
	for _, r := range rows {
		if r.name == name {
			return r
		}
	}
	return &row{rounds: 1, cpu: time.Nanosecond}
}
