package ingest

import (
	"fmt"
	"strings"
	"testing"
)

func nothing(Batch) error { return nil }

// BenchmarkSpans decodes messages of 512 spans, as vLLM sends them under load.
func BenchmarkSpans(b *testing.B) {
	proto := encoded(b, exported(many(512)...))
	text := asJSON(exported(many(512)...))
	run := func(name, body string, decode func(m *message) error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				m := &message{now: noon, put: nothing}
				if err := decode(m); err != nil || m.rows != 512 {
					b.Fatal(m.rows, err)
				}
			}
			b.ReportMetric(float64(512*b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
	run("protobuf", proto, func(m *message) error { return decodeProto(strings.NewReader(proto), m) })
	run("JSON", text, func(m *message) error { return decodeJSON(strings.NewReader(text), m) })
}

// BenchmarkRows decodes posts of 500 rows with two labels.
func BenchmarkRows(b *testing.B) {
	rows := make([]string, 500)
	for i := range rows {
		rows[i] = strings.Replace(goodRow, "r-1", fmt.Sprintf("offline-1a2b3c4d5e6f-%d", i), 1)
	}
	body := `{"requests":[` + strings.Join(rows, ",") + `]}`
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		batch, err := decodeRows(strings.NewReader(body), noon, func(int) error { return nil })
		if err != nil || len(batch.Requests) != 500 {
			b.Fatal(len(batch.Requests), err)
		}
	}
	b.ReportMetric(float64(500*b.N)/b.Elapsed().Seconds(), "rows/s")
}
