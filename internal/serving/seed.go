package serving

import (
	"iter"

	"github.com/gpu-watchdog/gpu-watchdog/collector/ingest"
)

// Tracked is what the GoodputTracker of the project's first document (section 5.3) calculates. It is kept to be shown beside
// Rows, which is the truth over wall time:
//
//   - It divides by the sum of processing times. Requests overlap, so under c requests at a time that sum is c times the time
//     that passed, and both rates come out c times too low; and time without any request is not in it, so on a pod that is
//     mostly idle they come out too high. The sum is Rows.RequestSeconds.
//   - Its compliance is a share of tokens (Rows.SLATokenPercent), though the document's table reads as one of requests.
//   - A request without a TTFT is not in it at all; Rows counts it as undecided.
type Tracked struct {
	ThroughputTPS, GoodputTPS float64
	// ComplianceRate is in percent.
	ComplianceRate                  float64
	TotalRequests, SLAMetRequests   int
	totalSeconds, tokens, metTokens float64
}

// GoodputTracker does the tracker's arithmetic, 0 for a division by 0 as there.
func GoodputTracker(rows iter.Seq[ingest.Request], s SLA) Tracked {
	var t Tracked
	for r := range rows {
		ttft, told := sane(r.TTFT)
		if !told {
			continue
		}
		t.TotalRequests++
		t.totalSeconds += r.Total.Value
		t.tokens += float64(r.OutputTokens.Value)
		if ttft < s.TTFT.Seconds() {
			t.SLAMetRequests++
			t.metTokens += float64(r.OutputTokens.Value)
		}
	}
	t.ThroughputTPS = per(t.tokens, t.totalSeconds).Value
	t.GoodputTPS = per(t.metTokens, t.totalSeconds).Value
	t.ComplianceRate = per(100*t.metTokens, t.tokens).Value
	return t
}
