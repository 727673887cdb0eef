package web

import (
	"math"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/gpu-watchdog/gpu-watchdog/internal/serving"
)

// The families that are read from rows of requests, not from the view.
const (
	gradedRequests = "requests_graded_total"
	requestTTFT    = "request_ttft_seconds"
	requestTPOT    = "request_tpot_seconds"
	droppedRows    = "store_dropped_rows_total"
)

// requests is the collector that reads what was counted in rows at the moment of a scrape.
type requests struct {
	totals             func() serving.Totals
	graded, ttft, tpot *prometheus.Desc
}

func newRequests(totals func() serving.Totals) *requests {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(namespace+"_"+name, help, labels, nil)
	}
	return &requests{
		totals: totals,
		graded: desc(gradedRequests, "Rows of requests by whether their first token came within SLA_TTFT: met, missed, or undecided where that is not known.", "sla"),
		ttft:   desc(requestTTFT, "Time from a request's arrival to its first token, by rows of requests; one bound is SLA_TTFT."),
		tpot:   desc(requestTPOT, "Time per output token after a request's first, by rows of requests."),
	}
}

// Describe implements prometheus.Collector.
func (r *requests) Describe(out chan<- *prometheus.Desc) {
	out <- r.graded
	out <- r.ttft
	out <- r.tpot
}

// Collect implements prometheus.Collector.
func (r *requests) Collect(out chan<- prometheus.Metric) {
	t := r.totals()
	for _, grade := range []serving.Grade{serving.Met, serving.Missed, serving.Undecided} {
		out <- prometheus.MustNewConstMetric(r.graded, counter, float64(t.Graded[grade]), grade.String())
	}
	for desc, h := range map[*prometheus.Desc]serving.Cumulative{r.ttft: t.TTFT, r.tpot: t.PerOutputToken} {
		if !math.IsNaN(h.Sum) && !math.IsInf(h.Sum, 0) {
			out <- prometheus.MustNewConstHistogram(desc, h.Count, h.Sum, h.Buckets)
		}
	}
}
