package watchdog

import (
	"fmt"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the tests mean the same on machines without zones
)

// kept reads hours as KeepHours.String writes them.
func kept(t *testing.T, text string) KeepHours {
	t.Helper()
	var out KeepHours
	for part := range strings.SplitSeq(text, "; ") {
		words := strings.Fields(part)
		if len(words) != 3 {
			t.Fatalf("%q is not written as days, hours, zone", part)
		}
		var r KeepRange
		for run := range strings.SplitSeq(strings.ReplaceAll(words[0], "daily", "mon-sun"), ",") {
			from, to, long := strings.Cut(run, "-")
			first, last := dayNamed(t, from), dayNamed(t, from)
			if long {
				last = dayNamed(t, to)
			}
			for d := first; ; d = (d + 1) % 7 {
				r.Days = r.Days.With(d)
				if d == last {
					break
				}
			}
		}
		var h, m, toH, toM int
		if _, err := fmt.Sscanf(words[1], "%d:%d-%d:%d", &h, &m, &toH, &toM); err != nil {
			t.Fatalf("%q: %v", words[1], err)
		}
		r.From, r.To = 60*h+m, 60*toH+toM
		zone, err := time.LoadLocation(words[2])
		if err != nil {
			t.Fatal(err)
		}
		r.Zone = zone
		out = append(out, r)
	}
	return out
}

func dayNamed(t *testing.T, name string) time.Weekday {
	t.Helper()
	for d, known := range dayNames {
		if known == name {
			return time.Weekday(d)
		}
	}
	t.Fatalf("%q is no day", name)
	return 0
}

func instant(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse("2006-01-02 15:04", text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// Each row is one stretch of keeping: nothing is kept just before it, all of it is kept up to the same end, and nothing at it.
func TestKeepHoursLastFromTo(t *testing.T) {
	for _, c := range []struct{ name, hours, from, until string }{
		{"office hours in Seoul, which never changes its clocks", "mon-fri 09:00-18:00 Asia/Seoul", "2026-11-02 00:00", "2026-11-02 09:00"},
		{"a day of the zone is not a day of UTC", "mon 00:00-24:00 Asia/Seoul", "2026-11-01 15:00", "2026-11-02 15:00"},
		{"over midnight, from the day on which it begins", "fri 22:00-06:00 Europe/Berlin", "2026-11-06 21:00", "2026-11-07 05:00"},
		{"days wrap around the week", "fri-mon 10:00-11:00 UTC", "2026-11-02 10:00", "2026-11-02 11:00"},
		{"ranges that adjoin are one", "mon-fri 09:00-12:00 UTC; mon 12:00-18:00 UTC", "2026-11-02 09:00", "2026-11-02 18:00"},
		{"ranges that adjoin over midnight are one", "mon 22:00-24:00 UTC; tue 00:00-03:00 UTC", "2026-11-02 22:00", "2026-11-03 03:00"},
		{"ranges that overlap are one, also in two zones", "mon 09:00-18:00 Europe/Berlin; mon 09:00-17:00 America/New_York", "2026-11-02 08:00", "2026-11-02 22:00"},
		{"whole days that adjoin are one", "sat-sun 00:00-24:00 UTC; mon 00:00-07:00 UTC", "2026-10-31 00:00", "2026-11-02 07:00"},
		{"all of the week but an hour", "mon-sat 00:00-24:00 UTC; sun 00:00-23:00 UTC", "2026-11-02 00:00", "2026-11-08 23:00"},

		{"Berlin, put forward: jumped over as a whole, it lasts as long after the jump", "sun 02:00-03:00 Europe/Berlin", "2026-03-29 01:00", "2026-03-29 02:00"},
		{"Berlin, put forward: a range within the hour that is not there", "sun 02:15-02:45 Europe/Berlin", "2026-03-29 01:00", "2026-03-29 01:30"},
		{"Berlin, put forward: a beginning that is not there is the jump", "sun 02:30-04:00 Europe/Berlin", "2026-03-29 01:00", "2026-03-29 02:00"},
		{"Berlin, put forward: an end that is not there is the jump", "sun 01:00-02:30 Europe/Berlin", "2026-03-29 00:00", "2026-03-29 01:00"},
		{"Berlin, put forward: a night is an hour shorter", "sat 22:00-06:00 Europe/Berlin", "2026-03-28 21:00", "2026-03-29 04:00"},
		{"Berlin, put back: a night is an hour longer", "sat 22:00-06:00 Europe/Berlin", "2026-10-24 20:00", "2026-10-25 05:00"},
		{"Berlin, put back: from the first time to the last", "sun 02:30-02:45 Europe/Berlin", "2026-10-25 00:30", "2026-10-25 01:45"},
		{"Berlin, put back: an end that comes twice is the last", "sun 01:00-02:30 Europe/Berlin", "2026-10-24 23:00", "2026-10-25 01:30"},
		{"New York, put forward", "sun 02:15-02:45 America/New_York", "2026-03-08 07:00", "2026-03-08 07:30"},
		{"New York, put back", "sun 01:30-01:45 America/New_York", "2026-11-01 05:30", "2026-11-01 06:45"},
		{"Lord Howe, put forward by half an hour: jumped over as a whole", "sun 02:00-02:30 Australia/Lord_Howe", "2026-10-03 15:30", "2026-10-03 16:00"},
		{"Lord Howe, put forward: a beginning that is not there", "sun 02:15-03:00 Australia/Lord_Howe", "2026-10-03 15:30", "2026-10-03 16:00"},
		{"Lord Howe, put back: half an hour that comes twice", "sun 01:30-02:00 Australia/Lord_Howe", "2026-04-04 14:30", "2026-04-04 15:30"},
		{"Sydney, put forward in October", "sun 02:00-03:00 Australia/Sydney", "2026-10-03 16:00", "2026-10-03 17:00"},
		{"Sydney, put back in April", "sun 02:00-03:00 Australia/Sydney", "2026-04-04 15:00", "2026-04-04 17:00"},
		{"Santiago, put forward at midnight: the day begins at 1:00", "sun 00:00-01:00 America/Santiago", "2026-09-06 04:00", "2026-09-06 05:00"},
		{"Santiago, put forward at midnight: a day of 23 hours", "sun 00:00-24:00 America/Santiago", "2026-09-06 04:00", "2026-09-07 03:00"},
		{"Santiago, put back at midnight: Saturday's last hour comes twice", "sat 23:00-24:00 America/Santiago", "2026-04-05 02:00", "2026-04-05 04:00"},
		{"St. John's, put back at 0:01: what has begun on Sunday goes on through the end of Saturday", "sun 00:00-01:00 America/St_Johns", "2010-11-07 02:30", "2010-11-07 04:30"},
		{"Apia, which left a Friday out", "fri 09:00-18:00 Pacific/Apia", "2011-12-30 10:00", "2011-12-30 19:00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, from, until := kept(t, c.hours), instant(t, c.from), instant(t, c.until)
			for _, at := range []time.Time{from.Add(-time.Second), until} {
				if end, keep := h.Until(at); keep || !end.IsZero() {
					t.Errorf("%s is kept until %s", at, end)
				}
			}
			for _, at := range []time.Time{from, from.Add(time.Nanosecond), from.Add(until.Sub(from) / 2), until.Add(-time.Second)} {
				if end, keep := h.Until(at); !keep || !end.Equal(until) {
					t.Errorf("%s: kept %t until %s, want until %s", at, keep, end, until)
				}
			}
		})
	}
}

func TestKeepHoursWithoutAnEnd(t *testing.T) {
	at := instant(t, "2026-11-02 09:00")
	for _, text := range []string{"daily 00:00-24:00 UTC", "daily 00:00-24:00 America/Santiago", "mon-sat 00:00-24:00 UTC; sun 00:00-23:00 UTC; sun 09:00-24:00 Europe/Berlin; mon 00:00-01:00 Europe/Berlin; sun 18:00-20:00 America/New_York"} {
		if until, keep := kept(t, text).Until(at); !keep || !until.IsZero() {
			t.Errorf("%s: kept %t until %s, want for ever", text, keep, until)
		}
	}
}

func TestNoHoursKeepNothing(t *testing.T) {
	for _, h := range []KeepHours{nil, {}, {{}}, {{From: 0, To: 1440}}} {
		if until, keep := h.Until(instant(t, "2026-11-02 09:00")); keep || !until.IsZero() {
			t.Errorf("%v keeps until %s", h, until)
		}
	}
}

func TestKeepHoursAnswerInTheZoneOfTheQuestion(t *testing.T) {
	h := KeepHours{{Days: EveryDay, From: 9 * 60, To: 18 * 60}} // no zone is UTC
	zone := time.FixedZone("UTC+9", 9*3600)
	until, keep := h.Until(instant(t, "2026-11-02 10:00").In(zone))
	if !keep || until.Format(time.RFC3339) != "2026-11-03T03:00:00+09:00" {
		t.Errorf("kept %t until %s", keep, until.Format(time.RFC3339))
	}
	if h.ZoneNamed() || !kept(t, "daily 09:00-18:00 UTC").ZoneNamed() {
		t.Error("a range without a zone passes for one with a zone, or the other way round")
	}
}

func TestKeepHoursReadAsTheyAreWritten(t *testing.T) {
	for _, text := range []string{
		"mon-fri 09:00-18:00 Asia/Seoul",
		"daily 00:00-24:00 UTC",
		"sat-sun 22:00-06:30 Europe/Berlin; wed 01:05-02:00 UTC",
		"mon,wed,fri 09:00-10:00 UTC",
		"wed,fri-mon 09:00-10:00 UTC",
		"sun 09:00-10:00 UTC",
	} {
		if got := kept(t, text).String(); got != text {
			t.Errorf("%q is written as %q", text, got)
		}
	}
	if got := (KeepHours{{Days: EveryDay, From: 60, To: 120}}).String(); got != "daily 01:00-02:00 UTC" {
		t.Errorf("hours without a zone are written as %q", got)
	}
}

func BenchmarkKeepHours(b *testing.B) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		b.Fatal(err)
	}
	h := KeepHours{{Days: EveryDay, From: 540, To: 720, Zone: berlin}, {Days: EveryDay, From: 720, To: 1080, Zone: berlin}}
	at := time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)
	b.ReportAllocs()
	for b.Loop() {
		if _, keep := h.Until(at); !keep {
			b.Fatal("not kept")
		}
	}
}
