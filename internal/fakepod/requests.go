package fakepod

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// requests counts HTTP requests as vLLM's instrumentation does: when their response ends, one that the client cut as
// 2xx too, and none of the pages for monitors.
type requests struct {
	mu       sync.Mutex
	ended    map[handled]uint64
	duration *histogram
}

// handled is one label set of http_requests_total.
type handled struct{ handler, method, status string }

func newRequests() *requests {
	return &requests{
		ended:    map[handled]uint64{},
		duration: newHistogram(0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 7.5, 10, 30, 60),
	}
}

func (r *requests) end(h handled, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended[h]++
	r.duration.observe(took.Seconds())
}

// write adds the families of HTTP to the page.
func (r *requests) write(p *page) {
	r.mu.Lock()
	defer r.mu.Unlock()
	byName := func(a, b handled) int {
		return strings.Compare(a.handler+a.method+a.status, b.handler+b.method+b.status)
	}
	var lines []series
	for _, h := range slices.SortedFunc(maps.Keys(r.ended), byName) {
		lines = append(lines, series{braces(map[string]string{"handler": h.handler, "method": h.method, "status": h.status}), float64(r.ended[h])})
	}
	p.counter("http_requests", "HTTP requests", lines)
	p.histogram("http_request_duration_highr_seconds", "HTTP latency", map[string]string{}, r.duration)
}
