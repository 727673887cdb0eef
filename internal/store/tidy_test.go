package store

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/ingest"
	"github.com/gpu-watchdog/gpu-watchdog/test/eventually"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

func TestOldRowsGoAndTheirDaysStay(t *testing.T) {
	c := inFolder(t)
	c.pace.tidy = time.Hour
	s := begin(t, c)
	var sent []ingest.Request
	for n := range 3000 {
		r := span(n)
		r.FinishedAt = noon.AddDate(0, 0, -n/10) // 300 days
		sent = append(sent, r)
	}
	add(t, s, sent...)
	if err := s.Add(t.Context(), ingest.Batch{Labels: []ingest.Labels{{ID: "new", Labels: map[string]string{"a": "b"}}}}); err != nil {
		t.Fatal(err)
	}
	for tick := range uint64(40) {
		s.Record(view(tick+1, []func(*scene){quietly, busily}[tick%2]))
	}
	end(t, s)
	db := look(t, c.Path)
	old := noon.AddDate(0, 0, -500)
	if _, err := db.ExecContext(t.Context(), fmt.Sprintf(`
INSERT INTO labels VALUES ('old', 'a', 'b', %[1]d);
INSERT INTO phases VALUES (%[1]d, 'k', '', 't', 'p', '', '', 1);
INSERT INTO starts VALUES (%[1]d, 'pod_start', 1, 1);
INSERT INTO attempts VALUES (%[1]d, 1, %[1]d, 'asked', 1, '', '', '', 0, 0);
INSERT INTO runs VALUES (%[1]d, 'v', 'n', 's', 'c', '{}');
INSERT INTO decisions SELECT %[1]d, first_tick, last_tick, ticks, %[1]d + first_tick, ended_at, verdict, reason, activity, final, act, activity_since_at, reasons, reasons_last, idle_first_ns,
  idle_last_ns, unknown_first_ns, unknown_last_ns, threshold_ns, policy, cold_start_ns, cold_start_usd, break_even_ns, bill_break_even_ns, no_saving, price_usd_per_hour, saving_usd_per_hour,
  stop_at, until_at, running_max, waiting_max, tokens, connection_bytes, peer, gpu_max, gpu_threshold_first, gpu_threshold_last, cpu_cores_max, evidence FROM decisions;
INSERT INTO minutes (minute, run, first_tick, ticks, busy_ns, quiet_ns, unknown_ns, broken_ns, gpu_samples) VALUES (%[2]d, 1, 1, 1, 0, 0, 0, 0, 0);
INSERT INTO days SELECT %[3]d, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0;
INSERT INTO strips (day, kind, level, low, high, n, tokens, fences, data) VALUES (%[3]d, 0, 0, 1, 1, 1, 1, x'00', x'00');`,
		old.UnixMicro(), old.Unix()/60, dayOf(old.UnixMicro()))); err != nil {
		t.Fatal(err)
	}
	counts := func() string {
		t.Helper()
		return ask[string](t, c.Path, `SELECT concat_ws(' ', (SELECT count(*) FROM requests), (SELECT count(*) FROM labels), (SELECT count(*) FROM phases), (SELECT count(*) FROM starts),
  (SELECT count(*) FROM attempts), (SELECT count(*) FROM runs), (SELECT count(*) FROM decisions), (SELECT count(*) FROM minutes), (SELECT count(*) FROM days WHERE day < ?),
  (SELECT count(*) FROM strips WHERE day < ?))`, dayOf(noon.AddDate(0, 0, -400).UnixMicro()), dayOf(noon.AddDate(0, 0, -400).UnixMicro()))
	}
	if got, want := counts(), "3000 2 1 1 1 2 80 5 1 1"; got != want {
		t.Fatalf("before: %s, want %s", got, want)
	}
	s = begin(t, c)
	eventually.Holds(t, "what is old to go", func() bool { return counts() == "910 1 0 0 0 1 40 4 0 0" })
	q := Query{From: noon.AddDate(0, 0, -399), To: noon.Add(time.Hour), SLATTFT: time.Second}
	got, err := s.Days(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	got.Each, got.Total = withoutMinutes(got.Each), withoutMinutes([]Day{got.Total})[0]
	compareDays(t, got, naive(sent, q, noon))
}

// withoutMinutes leaves the figures of requests.
func withoutMinutes(days []Day) []Day {
	for i := range days {
		d := &days[i]
		d.Watched, d.Busy, d.Quiet, d.Unknown, d.Broken = 0, 0, 0, 0, 0
		d.SpentUSD, d.IdleUSD = watchdog.Maybe[float64]{}, watchdog.Maybe[float64]{}
	}
	return days
}

func TestFileStaysWithinItsBound(t *testing.T) {
	c := inFolder(t)
	c.pace.tidy = time.Millisecond
	c.Limits.FileBytes = 1 << 20
	s := begin(t, c)
	const rows = 30_000 // some 5 MB
	for n := 0; n < rows; n += 2000 {
		add(t, s, spans(n, n+2000)...)
	}
	eventually.Holds(t, "a file within its bound", func() bool {
		got := s.Stats().FileBytes
		return got > 0 && got <= c.Limits.FileBytes && ask[int](t, c.Path, "SELECT freelist_count FROM pragma_freelist_count") <= 1024
	})
	left := ask[int](t, c.Path, "SELECT count(*) FROM requests")
	if newest := ask[int](t, c.Path, "SELECT count(*) FROM requests WHERE finished_at >= ?", span(rows-left).FinishedAt.UnixMicro()); left == 0 || left == rows || newest != left {
		t.Errorf("%d of %d rows are left, %d of them the newest", left, rows, newest)
	}
	if days, err := s.Days(t.Context(), Query{From: noon, To: noon.Add(time.Hour), SLATTFT: time.Second}); err != nil || days.Total.Requests != rows {
		t.Errorf("the figures count %d requests, want all %d (%v)", days.Total.Requests, rows, err)
	}
	end(t, s)
	if info, err := os.Stat(c.Path); err != nil || info.Size() > 6<<20 {
		t.Errorf("the file has %d bytes (%v)", info.Size(), err)
	}
}

func TestSeriesIsExactOverTime(t *testing.T) {
	c := inFolder(t)
	s := begin(t, c)
	for n := range 600 {
		r := span(n)
		r.FinishedAt = noon.Add(time.Duration(n) * time.Second) // ten minutes
		r.TTFT = watchdog.Known(float64(n%100) / 40)            // 0 to 2.475 s
		if n%10 == 9 {
			r.TTFT = watchdog.Maybe[float64]{}
		}
		add(t, s, r)
	}
	for tick := range uint64(24) { // two minutes
		s.Record(view(tick, busily, func(s *scene) {
			s.Snapshot.GPU = watchdog.GPU{State: watchdog.SourceOK, Devices: []watchdog.Device{{State: watchdog.SourceOK, Samples: []uint8{uint8(tick)}}}}
		}))
	}
	end(t, s)
	points, err := OpenReader(c.Path, standing).Series(t.Context(), Query{From: noon, To: noon.Add(time.Hour), SLATTFT: 2 * time.Second}, 5*time.Minute)
	if err != nil || len(points) != 2 {
		t.Fatalf("%d points, %v", len(points), err)
	}
	p := points[0]
	if p.At != noon || p.Requests != 300 || p.Undecided != 30 || p.Met != 3*72 || p.OutputTokens != 3000 || p.MetTokens != 10*p.Met || p.TTFT.N != 270 || p.TTFT.P50.Value != 1.225 {
		t.Errorf("requests of the first five minutes: %+v", p)
	}
	if p.Watched != 2*time.Minute || p.GPUPercentMean.Value != 11.5 || p.GPUPercentMax.Value != 23 || p.RunningMean.Value != 2 || p.ServerTokens.Value != 2400 {
		t.Errorf("minutes of the first five minutes: %+v", p)
	}
	if last := points[1]; last.At != noon.Add(5*time.Minute) || last.Requests != 300 || last.Watched != 0 || last.GPUPercentMean.Known {
		t.Errorf("the second five minutes: %+v", last)
	}
}
