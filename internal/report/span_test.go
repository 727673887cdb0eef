package report

import (
	"testing"
	"time"
)

func TestSpans(t *testing.T) {
	at := time.Date(2026, 3, 1, 23, 59, 59, 0, time.FixedZone("Seoul", 9*3600)) // 14:59:59 UTC
	for _, c := range []struct {
		days int
		want string
	}{{1, "2026-03-01"}, {7, "2026-02-23 to 2026-03-01"}, {365, "2025-03-02 to 2026-03-01"}} {
		s, err := Ending(c.days, at)
		if err != nil || s.String() != c.want || s.Days() != c.days || s.End() != time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC) {
			t.Errorf("%d days: %s, %d, %s, %v", c.days, s, s.Days(), s.End(), err)
		}
	}
	if s, err := Between(at, at.AddDate(0, 0, -1)); err == nil {
		t.Errorf("the last day before the first one: %s", s)
	}
	if s, err := Ending(DaysMost+1, at); err == nil {
		t.Errorf("too many days: %s", s)
	}
	for days := 1; days <= DaysMost; days++ {
		s, err := Ending(days, at)
		if err != nil {
			t.Fatal(err)
		}
		step := s.step()
		if n := int(s.End().Sub(s.First) / step); day%step != 0 || n > max(pointsMost, days) || n < 100 && step > 5*time.Minute && step != day {
			t.Errorf("%d days in steps of %s are %d points", days, step, n)
		}
	}
}

func TestWords(t *testing.T) {
	for got, want := range map[string]string{
		count(0): "0", count(999): "999", count(1000): "1,000", count(1234567): "1,234,567", count(-1234): "-1,234", count(-123): "-123",
		rate(0): "0.00", rate(0.0004): "0.00040", rate(0.0000261): "0.000026", rate(0.0994): "0.099", rate(0.5): "0.50", rate(9.99): "9.99", rate(9.996): "10.0", rate(254.95): "255", rate(99.96): "100", rate(12345.6): "12,346",
		percent(83.6085): "83.6%", percent(100): "100.0%",
		seconds(.00234): "2.34 ms", seconds(.0999): "100 ms", seconds(.9996): "1.00 s", seconds(2): "2.00 s", seconds(61.23): "61.2 s",
		usd(0): "0.00 $", usd(.0123): "0.012 $", usd(95.2): "95.20 $", usd(1234567.891): "1,234,567.89 $", usd(999.999): "1,000.00 $",
		span(0): "–", span(2 * time.Second): "2s", span(166667 * time.Millisecond): "2m 47s", span(90 * time.Minute): "1h 30m", span(23*time.Hour + 59*time.Minute + 40*time.Second): "24h 0m",
		clean("a\x1b[31mb\u202ec\n"): "a?[31mb?c?",
		seconds0(2 * time.Second):    "2 s", seconds0(1500 * time.Millisecond): "1.5 s", seconds0(500 * time.Millisecond): "500 ms",
		pace(5 * time.Minute): "5 min", pace(time.Hour): "hour", pace(3 * time.Hour): "3 hours", pace(day): "day",
		listed(nil): "", listed([]string{"a"}): "a", listed([]string{"a", "b"}): "a and b", listed([]string{"a", "b", "c", "d", "e", "f"}): "a, b, c, d and 2 more days",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
