package store

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/gpu-watchdog/gpu-watchdog/collector/ingest"
)

// digest is the first half of a SHA-256: by it a row is known again.
type digest [16]byte

// digestOf hashes parts so that no two lists of parts hash alike.
func digestOf(parts ...string) digest {
	n := 0
	for _, p := range parts {
		n += len(p) + binary.MaxVarintLen64
	}
	text := make([]byte, 0, n)
	for _, p := range parts {
		text = append(binary.AppendUvarint(text, uint64(len(p))), p...)
	}
	sum := sha256.Sum256(text)
	return digest(sum[:16])
}

// shelf holds rows while there is no disk, the newest only, each once however often its sender sends it again.
type shelf struct {
	rows  []shelved
	known map[digest]struct{}
	most  int
}

// shelved is one row: exactly one of the three is set.
type shelved struct {
	id      digest
	request *ingest.Request
	labels  *ingest.Labels
	phase   *ingest.Phase
}

// put adds what a batch holds and returns how many older rows had to go.
func (s *shelf) put(b ingest.Batch) (dropped int) {
	for i := range b.Requests {
		r := &b.Requests[i]
		s.add(shelved{id: digestOf("request", string(r.Source), r.Key), request: r})
	}
	for i := range b.Labels {
		l := &b.Labels[i]
		parts := []string{"labels", l.ID}
		for name, value := range l.Labels {
			parts = append(parts, name+"\x00"+value)
		}
		slices.Sort(parts[2:])
		s.add(shelved{id: digestOf(parts...), labels: l})
	}
	for i := range b.Phases {
		p := &b.Phases[i]
		s.add(shelved{id: digestOf("phase", p.Key), phase: p})
	}
	return s.trim()
}

func (s *shelf) add(row shelved) {
	if s.known == nil {
		s.known = map[digest]struct{}{}
	}
	if _, ok := s.known[row.id]; ok {
		return
	}
	// A copy: the row must not hold the whole batch that it came in.
	switch {
	case row.request != nil:
		r := *row.request
		row.request = &r
	case row.labels != nil:
		l := *row.labels
		row.labels = &l
	case row.phase != nil:
		p := *row.phase
		row.phase = &p
	}
	s.known[row.id] = struct{}{}
	s.rows = append(s.rows, row)
}

func (s *shelf) trim() (dropped int) {
	dropped = max(0, len(s.rows)-s.most)
	for _, row := range s.rows[:dropped] {
		delete(s.known, row.id)
	}
	s.rows = slices.Delete(s.rows, 0, dropped)
	return dropped
}

// take removes up to n of the oldest rows.
func (s *shelf) take(n int) []shelved {
	n = min(n, len(s.rows))
	if n == 0 {
		return nil
	}
	out := slices.Clone(s.rows[:n])
	for _, row := range out {
		delete(s.known, row.id)
	}
	s.rows = slices.Delete(s.rows, 0, n)
	if len(s.rows) == 0 {
		s.rows, s.known = nil, nil
	}
	return out
}

// restore puts rows back in front that could not be written.
func (s *shelf) restore(rows []shelved) (dropped int) {
	later := s.rows
	s.rows = nil
	for _, row := range rows {
		s.add(row)
	}
	s.rows = append(s.rows, later...)
	return s.trim()
}

// batch is the rows as one batch.
func batchOf(rows []shelved) ingest.Batch {
	var b ingest.Batch
	for _, row := range rows {
		switch {
		case row.request != nil:
			b.Requests = append(b.Requests, *row.request)
		case row.labels != nil:
			b.Labels = append(b.Labels, *row.labels)
		case row.phase != nil:
			b.Phases = append(b.Phases, *row.phase)
		}
	}
	return b
}

func rowsIn(b ingest.Batch) int { return len(b.Requests) + len(b.Labels) + len(b.Phases) }
