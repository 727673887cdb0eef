package main

import (
	"io"
	"slices"
	"time"
)

const (
	// patientLines is how many lines may wait for a reader that is slow; what comes then is dropped.
	patientLines = 1024
	// patientEnd is how long the end of the process waits for them.
	patientEnd = time.Second
)

// patient writes lines beside whoever logs, in their order: a collector of logs that hangs must not stop the watch.
type patient struct {
	lines chan note
}

// note is a line, or somebody who waits until all before it is written.
type note struct {
	line []byte
	done chan<- struct{}
}

func newPatient(out io.Writer) *patient {
	p := &patient{lines: make(chan note, patientLines)}
	go func() {
		for n := range p.lines {
			if n.done != nil {
				close(n.done)
				continue
			}
			_, _ = out.Write(n.line) // there is nowhere to say it
		}
	}()
	return p
}

// Write never waits.
func (p *patient) Write(line []byte) (int, error) {
	select {
	case p.lines <- note{line: slices.Clone(line)}:
	default:
	}
	return len(line), nil
}

// Sync waits until all lines are written, for patientEnd at most.
func (p *patient) Sync() error {
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
