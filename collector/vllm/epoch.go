package vllm

// epoch notices that a server was replaced by another start of it. It only decides whether to ask for the version again;
// what a reset means for the idle clock is the core's business.
type epoch struct {
	startedAt float64
	total     float64
}

// next takes the page of a new reading and reports whether it is another start's: the process started at another time, or
// the counters together are lower than before.
func (e *epoch) next(p Page) bool {
	total := p.HTTPRequests.Or(0)
	for _, engine := range p.Engines {
		for _, c := range engine.Counters {
			total += c.Or(0)
		}
	}
	changed := total < e.total || e.startedAt != 0 && p.StartedAt != e.startedAt
	e.startedAt, e.total = p.StartedAt, total
	return changed
}
