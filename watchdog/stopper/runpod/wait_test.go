package runpod

import (
	"net/http"
	"testing"
	"time"
)

func TestAskedToWait(t *testing.T) {
	now := time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)
	date := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	for _, c := range []struct {
		name   string
		header http.Header
		want   time.Duration
	}{
		{"nothing", http.Header{}, 0},
		{"seconds", http.Header{"Retry-After": {"12"}}, 12 * time.Second},
		{"padded", http.Header{"Retry-After": {" 12 "}}, 12 * time.Second},
		{"fraction", http.Header{"Retry-After": {"0.5"}}, 500 * time.Millisecond},
		{"none", http.Header{"Retry-After": {"0"}}, 0},
		{"negative", http.Header{"Retry-After": {"-5"}}, 0},
		{"words", http.Header{"Retry-After": {"soon"}}, 0},
		{"not a number", http.Header{"Retry-After": {"NaN"}}, 0},
		{"endless", http.Header{"Retry-After": {"Inf"}}, maxWait},
		{"beyond every number", http.Header{"Retry-After": {"1e999"}}, maxWait},
		{"long", http.Header{"Retry-After": {"601"}}, maxWait},
		{"date by our clock", http.Header{"Retry-After": {date(time.Minute)}}, time.Minute},
		{"date in the past", http.Header{"Retry-After": {date(-time.Minute)}}, 0},
		{"date by their clock, an hour ahead", http.Header{"Retry-After": {date(61 * time.Minute)}, "Date": {date(time.Hour)}}, time.Minute},
		{"their clock is unreadable", http.Header{"Retry-After": {date(time.Minute)}, "Date": {"today"}}, time.Minute},
		{"RateLimit of the used up window", http.Header{"Ratelimit": {`"minute";r=0;t=12, "hour";r=2800;t=1812, "day";r=49500;t=45012`}}, 12 * time.Second},
		{"RateLimit of two used up windows", http.Header{"Ratelimit": {`"minute";r=0;t=12, "hour";r=0;t=312`}}, 312 * time.Second},
		{"RateLimit on several lines", http.Header{"Ratelimit": {`"minute";r=0;t=12`, `"hour";r=0;t=13`}}, 13 * time.Second},
		{"RateLimit without what remains", http.Header{"Ratelimit": {`"default";t=9`}}, 9 * time.Second},
		{"RateLimit with nothing used up", http.Header{"Ratelimit": {`"minute";r=3;t=12`}}, 0},
		{"RateLimit broken", http.Header{"Ratelimit": {`;;=,t=,"x";r=0;t=x`}}, 0},
		{"the longer of both", http.Header{"Retry-After": {"3"}, "Ratelimit": {`"minute";r=0;t=12`}}, 12 * time.Second},
		{"the longer of both, the other way", http.Header{"Retry-After": {"30"}, "Ratelimit": {`"minute";r=0;t=12`}}, 30 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := askedToWait(c.header, now); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}
