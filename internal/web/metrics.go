package web

import (
	"math"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.uber.org/zap"

	"github.com/gpu-watchdog/gpu-watchdog/internal/listen"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/loop"
)

const namespace = "gpu_watchdog"

// metrics is the registry of /metrics. It is our own: what some imported package registers elsewhere is not shown.
type metrics struct {
	registry *prometheus.Registry
	ticks    prometheus.Histogram
}

func newMetrics(c Config) *metrics {
	m := &metrics{registry: prometheus.NewRegistry()}
	m.ticks = prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: namespace, Name: tickDuration, Buckets: tickBounds,
		Help: "How long a look at the pod took, from the first question to the last log line.",
	})
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "Always 1. The version of this program.",
		ConstLabels: prometheus.Labels{"version": strings.ToValidUTF8(c.Version, "?")},
	})
	build.Set(1)
	m.registry.MustRegister(build, m.ticks, newReader(c.Latest))
	if c.Graded != nil {
		m.registry.MustRegister(newRequests(c.Graded))
	}
	if c.Dropped != nil {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Namespace: namespace, Name: droppedRows, Help: "Rows of telemetry that were given up without having reached the disk.",
		}, func() float64 { return float64(c.Dropped()) }))
	}
	return m
}

// handler answers a scrape. It never compresses: that would cost more memory and time than everything else here.
func (m *metrics) handler(to *zap.Logger) http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		DisableCompression: true,
		ErrorHandling:      promhttp.ContinueOnError,
		ErrorLog:           listen.ErrorLog(to),
	})
}

// reader is the collector that reads the view at the moment of a scrape, so that all series of one page belong to one
// decision.
type reader struct {
	latest func() *loop.View
	descs  []*prometheus.Desc
}

func newReader(latest func() *loop.View) *reader {
	r := &reader{latest: latest}
	for _, f := range families {
		r.descs = append(r.descs, prometheus.NewDesc(namespace+"_"+f.name, f.help, f.labels, nil))
	}
	return r
}

// Describe implements prometheus.Collector.
func (r *reader) Describe(out chan<- *prometheus.Desc) {
	for _, d := range r.descs {
		out <- d
	}
}

// Collect implements prometheus.Collector. Without a view there is nothing to say, and so nothing is said.
func (r *reader) Collect(out chan<- prometheus.Metric) {
	v := r.latest()
	if v == nil {
		return
	}
	for i, f := range families {
		f.read(v, func(value float64, labels ...string) {
			if math.IsNaN(value) || math.IsInf(value, 0) {
				return
			}
			for i, l := range labels {
				labels[i] = strings.ToValidUTF8(l, "?")
			}
			m, err := prometheus.NewConstMetric(r.descs[i], f.kind, value, labels...)
			if err != nil {
				m = prometheus.NewInvalidMetric(r.descs[i], err)
			}
			out <- m
		})
	}
}
