package ingest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"
)

const (
	// batchRows is how many rows of one message are held before they are handed on: as many as vLLM sends in one.
	batchRows = 512
	// maxPhases is more than a start has.
	maxPhases = 512
)

var (
	errTooLong    = fmt.Errorf("it is longer than %d kB", maxValue>>10)
	errBrokenSpan = errors.New("its bytes are broken")
)

// A message is one export of spans while it is taken in.
type message struct {
	now time.Time
	// put makes a batch durable; an error of it ends the message.
	put func(Batch) error

	batch   Batch
	process string
	// from is where the phases of the resource that is read begin in the batch.
	from int

	rows, aborted, phases, passed, rejected uint64
	// reason is why the first span was rejected.
	reason string
}

// add takes one span: a request, a phase of the start, or neither.
func (m *message) add(s *span) error {
	switch {
	case string(s.name) == requestSpan:
		r, err := s.request(m.now)
		if err != nil {
			m.reject(err)
			return nil
		}
		m.rows++
		if r.Aborted {
			m.aborted++
		}
		m.batch.Requests = append(m.batch.Requests, r)
	case s.isPhase():
		p, err := s.phase(m.now)
		if err != nil {
			m.reject(err)
			return nil
		}
		m.phases++
		m.batch.Phases = append(m.batch.Phases, p)
	default:
		m.passed++
	}
	if len(m.batch.Requests) < batchRows && len(m.batch.Phases) < maxPhases {
		return nil
	}
	return m.flush()
}

// expect makes room for so many requests, at most for a batch: growing by and by leaves as much garbage again.
func (m *message) expect(n int64) {
	m.batch.Requests = slices.Grow(m.batch.Requests, int(min(n, int64(batchRows-len(m.batch.Requests)))))
}

// reject counts a span that cannot be taken.
func (m *message) reject(err error) {
	m.rejected++
	if m.reason == "" {
		m.reason = err.Error()
	}
}

func (m *message) beginResource() { m.process, m.from = "", len(m.batch.Phases) }

// resource notes which process the spans come from.
func (m *message) resource(process []byte) {
	if len(process) <= maxName {
		m.process = string(bytes.ToValidUTF8(process, nil))
	}
}

// endResource tells its phases their process: a resource may stand behind its spans.
func (m *message) endResource() {
	for i := m.from; i < len(m.batch.Phases); i++ {
		m.batch.Phases[i].Process = m.process
	}
	m.from = len(m.batch.Phases)
}

// flush hands on what has been read.
func (m *message) flush() error {
	m.endResource()
	m.nameParents()
	batch := m.batch
	m.batch, m.from = Batch{}, 0
	if len(batch.Requests)+len(batch.Phases) == 0 {
		return nil
	}
	return m.put(batch)
}

func (m *message) nameParents() {
	if len(m.batch.Phases) == 0 {
		return
	}
	names := make(map[string]string, len(m.batch.Phases))
	for _, p := range m.batch.Phases {
		names[p.Key] = p.Name
	}
	for i := range m.batch.Phases {
		m.batch.Phases[i].ParentName = names[m.batch.Phases[i].ParentKey]
	}
}

// warning says what was wrong with the spans that were rejected, and with which remedy; empty where none was.
func (m *message) warning() string {
	if m.rejected == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d spans cannot be read and were left out, the others were taken; the first: %s",
		m.rejected, m.rejected+m.rows+m.phases+m.passed, m.reason)
}
