package vllm

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"
)

// page60k is a page of 60 kB: a recorded one, with as many lines of another family as it takes.
func page60k(b *testing.B) []byte {
	page := bytes.Clone(recordedPages(b)["0.32.0-busy"])
	for len(page) < 60_000 {
		page = append(page, "vllm:request_queue_time_seconds_bucket{engine=\"0\",le=\"0.3\",model_name=\"other\"} 15.0\n"...)
	}
	return page
}

func BenchmarkParsePage(b *testing.B) {
	page := page60k(b)
	b.Run("reader", func(b *testing.B) {
		b.SetBytes(int64(len(page)))
		b.ReportAllocs()
		var r reader
		for b.Loop() {
			if _, err := r.read(page, textType); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("plain", func(b *testing.B) {
		b.SetBytes(int64(len(page)))
		b.ReportAllocs()
		for b.Loop() {
			all, err := referenceSeries(page, false)
			if err != nil || len(all) == 0 {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkParseServing reads the histograms of a page that was read before, as every page of a server but the first.
func BenchmarkParseServing(b *testing.B) {
	body := recordedPages(b)["0.32.0-busy"]
	page, err := ParsePage(body, textType)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	var r servingReader
	var s Serving
	for b.Loop() {
		if r.read(body, textType, page, &s); !s.Good {
			b.Fatal(s.Why)
		}
	}
}

// BenchmarkRead reports the processor time of a whole read over loopback, the server's part (some 60 µs of a Go server
// that writes three answers) included.
func BenchmarkRead(b *testing.B) {
	page := page60k(b)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case metricsPath:
			w.Header().Set("Content-Type", textType)
			_, _ = w.Write(page)
		case loadPath:
			_, _ = w.Write([]byte(`{"server_load":0}`))
		}
	}))
	defer server.Close()
	c, err := New(Config{URL: server.URL, UserAgent: "gpu-watchdog/bench"})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	c.Read(b.Context())
	b.ReportAllocs()
	before := processorTime(b)
	n := 0
	for b.Loop() {
		if s := c.Read(b.Context()); !s.EngineSeries {
			b.Fatalf("%+v", s)
		}
		n++
	}
	b.ReportMetric(float64((processorTime(b)-before).Microseconds())/float64(n), "cpu-µs/op")
}

func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
