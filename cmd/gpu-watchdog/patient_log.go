package main

import (
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"time"
)

const (
	// patientLines is how many lines may wait for a reader that is slow, exec's of the few that it has; what comes then is dropped.
	patientLines, patientFew = 1024, 64
	// patientEnd is how long the end of the process waits for them.
	patientEnd = time.Second
)

// patientLog writes lines beside whoever logs, in their order: a collector of logs that hangs must not stop the watch.
type patientLog struct {
	lines   chan note
	dropped atomic.Uint64
}

// note is a line, or somebody who waits until all before it is written.
type note struct {
	line []byte
	done chan<- struct{}
}

func newPatientLog(out io.Writer, most int) *patientLog {
	p := &patientLog{lines: make(chan note, most)}
	go func() {
		for n := range p.lines {
			if n.done != nil {
				close(n.done)
				continue
			}
			_, _ = out.Write(n.line) // there is nowhere to say it
			if lost := p.dropped.Swap(0); lost > 0 {
				_, _ = fmt.Fprintf(out, `{"level":"warn","ts":%q,"msg":"log lines dropped","lines":%d}`+"\n", time.Now().UTC().Format(time.RFC3339Nano), lost)
			}
		}
	}()
	return p
}

// Write never waits.
func (p *patientLog) Write(line []byte) (int, error) {
	select {
	case p.lines <- note{line: slices.Clone(line)}:
	default:
		p.dropped.Add(1)
	}
	return len(line), nil
}

// Sync waits until all lines are written, for patientEnd at most.
func (p *patientLog) Sync() error {
	done := make(chan struct{})
	end := time.NewTimer(patientEnd)
	defer end.Stop()
	select {
	case p.lines <- note{done: done}:
	case <-end.C:
		return nil
	}
	select {
	case <-done:
	case <-end.C:
	}
	return nil
}
