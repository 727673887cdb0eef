package config

import (
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	_ "time/tzdata" // the tests mean the same on machines without zones

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// fewZones is a database that lists some zones and has all of them.
var fewZones = zoneDatabase{time.LoadLocation, func() []string {
	return []string{"America/New_York", "America/Port-au-Prince", "Asia/Seoul", "EST", "Etc/GMT-9", "Europe/Berlin", "Europe/London", "UTC"}
}}

func TestKeepHoursAreRead(t *testing.T) {
	for _, c := range []struct{ value, want string }{
		{"mon-fri 09:00-18:00 Asia/Seoul", "mon-fri 09:00-18:00 Asia/Seoul"},
		{"Mon-Fri  9:00-18:00\tAsia/Seoul", "mon-fri 09:00-18:00 Asia/Seoul"},
		{"monday - friday 09:00 – 18:00 UTC", "mon-fri 09:00-18:00 UTC"},
		{"fri-mon 00:00-24:00 UTC", "fri-mon 00:00-24:00 UTC"},
		{"daily 22:00-06:00 Europe/Berlin", "daily 22:00-06:00 Europe/Berlin"},
		{"sat 22:00-00:00 UTC", "sat 22:00-24:00 UTC"},
		{"thurs 00:00-24:00 utc", "thu 00:00-24:00 UTC"},
		{"mon-sun 09:00-10:00 Etc/GMT-9", "daily 09:00-10:00 Etc/GMT-9"},
		{"sat 09:00-10:00 America/Port-au-Prince", "sat 09:00-10:00 America/Port-au-Prince"},
		// several ranges
		{"mon 09:00-10:00 UTC; tue 11:00-12:00 UTC", "mon 09:00-10:00 UTC; tue 11:00-12:00 UTC"},
		{"mon 09:00-10:00 UTC, tue 11:00-12:00 UTC", "mon 09:00-10:00 UTC; tue 11:00-12:00 UTC"},
		{"mon,wed, fri 09:00-10:00 UTC", "mon,wed,fri 09:00-10:00 UTC"},
		{"mon wed 09:00-10:00 UTC", "mon,wed 09:00-10:00 UTC"},
		{"mon-fri 09:00-12:00, 13:00-18:00 UTC", "mon-fri 09:00-12:00 UTC; mon-fri 13:00-18:00 UTC"},
		{"mon 09:00-12:00 13:00-18:00, sat 10:00-11:00 UTC", "mon 09:00-12:00 UTC; mon 13:00-18:00 UTC; sat 10:00-11:00 UTC"},
		// zones
		{"mon 09:00-10:00; tue 11:00-12:00 Asia/Seoul", "mon 09:00-10:00 Asia/Seoul; tue 11:00-12:00 Asia/Seoul"},
		{"mon 09:00-10:00 Europe/Berlin; tue 11:00-12:00; wed 11:00-12:00 Asia/Seoul", "mon 09:00-10:00 Europe/Berlin; tue 11:00-12:00 Asia/Seoul; wed 11:00-12:00 Asia/Seoul"},
		{"mon 09:00-10:00, Asia/Seoul", "mon 09:00-10:00 Asia/Seoul"},
		{"mon 09:00-10:00 EST", "mon 09:00-10:00 EST"},
		{"mon 09:00-10:00", "mon 09:00-10:00 UTC"},
		// no days
		{"09:00-18:00", "daily 09:00-18:00 UTC"},
		{"09:00-12:00, 13:00-18:00; 20:00-21:00 Asia/Seoul", "daily 09:00-12:00 Asia/Seoul; daily 13:00-18:00 Asia/Seoul; daily 20:00-21:00 Asia/Seoul"},
	} {
		h, bad := readKeepHours(c.value, fewZones)
		if len(bad) > 0 || h.String() != c.want {
			t.Errorf("%q is read as %q (%v), want %q", c.value, h, bad, c.want)
		}
		if named := strings.Contains(strings.ToLower(c.value), "utc") || strings.Contains(c.value, "/") || strings.Contains(c.value, "EST"); (keepHoursRemark(h) == "") != named {
			t.Errorf("%q: the remark is %q", c.value, keepHoursRemark(h))
		}
	}
}

func TestKeepHoursAreRefused(t *testing.T) {
	for _, c := range []struct{ value, about, says string }{
		{"mon-fri", "mon-fri", "names days without hours"},
		{"mon-fri 09:00-18:00, sat", "mon-fri 09:00-18:00, sat", "names days without hours"},
		{"mon-fri; 09:00-18:00 UTC", "mon-fri", "names days without hours"},
		{"mon 09:00-10:00; 11:00-12:00 UTC", "11:00-12:00 UTC", "names no days, while others do"},
		{"Asia/Seoul", "Asia/Seoul", "stands before the hours"},
		{"Asia/Seoul mon-fri 09:00-18:00", "Asia/Seoul", "stands before the hours"},
		{"mon 09:00-10:00 UTC, Asia/Seoul", "Asia/Seoul", "is a second zone"},
		{"mon 09:00-10:00 Asia/Seoul tue 09:00-10:00", "tue", "put a semicolon before it"},
		{"mon 09:00-10:00 tue 09:00-10:00", "tue", "put a semicolon before it"},
		{"mon 09:00-10:00 Asia/Seoul; tue 09:00-10:00", "tue 09:00-10:00", "names no zone, and none follows"},
		{"mon 09:00-10:00;", "", "empty part"},
		{"mon,,tue 09:00-10:00", "", "empty part"},

		{"mno-fri 09:00-18:00", "mno-fri", "did you mean mon-fri?"},
		{"weekdays 09:00-18:00", "weekdays", "did you mean mon-fri?"},
		{"mo-fr 09:00-18:00", "mo-fr", "did you mean mon-fri?"},
		{"wednxsday 09:00-18:00", "wednxsday", "did you mean wednesday?"},
		{"feiertags 09:00-18:00", "feiertags", "write mon to sun"},
		{"mon-mon 09:00-18:00", "mon-mon", "the same day"},
		{"m 09:00-18:00", "m", "is no day"},

		{"mon 9-18", "9-18", "did you mean 09:00-18:00?"},
		{"mon 9am-6pm", "9am-6pm", "did you mean 09:00-18:00?"},
		{"mon 0900-1730", "0900-1730", "did you mean 09:00-17:30?"},
		{"mon 9.30-12h15", "9.30-12h15", "did you mean 09:30-12:15?"},
		{"mon 12am-12pm", "12am-12pm", "did you mean 00:00-12:00?"},
		{"mon 09:00", "09:00", "write one such as 09:00-18:00"},
		{"mon 09:00-24:01", "09:00-24:01", "from 00:00 to 24:00"},
		{"mon 09:60-10:00", "09:60-10:00", "from 00:00 to 24:00"},
		{"mon 24:00-06:00", "24:00-06:00", "when its day is over"},
		{"mon 09:00-09:00", "09:00-09:00", "write 00:00-24:00"},
		{"mon 00:00-00:00", "00:00-00:00", "write 00:00-24:00"},

		{"mon 09:00-10:00 Asia/Soul", "Asia/Soul", "did you mean Asia/Seoul?"},
		{"mon 09:00-10:00 asia/seoul", "asia/seoul", "did you mean Asia/Seoul?"},
		{"mon 09:00-10:00 Seoul", "Seoul", "did you mean Asia/Seoul?"},
		{"mon 09:00-10:00 Korea/Seoul", "Korea/Seoul", "did you mean Asia/Seoul?"},
		{"mon 09:00-10:00 America/New York", "America/New York", "did you mean America/New_York?"},
		{"mon 09:00-10:00 KST", "KST", "did you mean Asia/Seoul?"},
		{"mon 09:00-10:00 CST", "CST", "write one such as Asia/Seoul"},
		{"mon 09:00-10:00 Mars/Olympus", "Mars/Olympus", "write one such as Asia/Seoul"},
		{"mon 09:00-10:00 ../../etc/passwd", "../../etc/passwd", "is no time zone"},
		{"mon 09:00-10:00 Local", "Local", "write the zone itself"},
		{strings.Repeat("mon 09:00-10:00;", 65) + "mon 09:00-10:00 UTC", "mon 09:00-10:00", "one range more than 64"},
		{strings.Repeat("m", 5000), clip(strings.Repeat("m", 5000)), "longer than 4096 bytes"},
	} {
		h, bad := readKeepHours(c.value, fewZones)
		if len(bad) == 0 {
			t.Errorf("%.60q is read as %q, want it refused: %s", c.value, h, c.says)
			continue
		}
		if bad[0].value != c.about || !strings.Contains(bad[0].text, c.says) {
			t.Errorf("%.60q: %q %s, want %q … %s", c.value, bad[0].value, bad[0].text, c.about, c.says)
		}
	}
}

func TestKeepHoursNameEveryMistake(t *testing.T) {
	_, err := parseKeepHours("mno 09:00-18:00 Asia/Seoul, tue 9-18 Asia/Seoul; wed 09:00-10:00 Local")
	var bad flaws
	if !errors.As(err, &bad) || len(bad) != 3 {
		t.Fatalf("three mistakes are told as %v", err)
	}
	for i, about := range []string{"mno", "9-18", "Local"} {
		if bad[i].value != about {
			t.Errorf("mistake %d is about %q, want %q", i, bad[i].value, about)
		}
	}
}

func TestKeepHoursWithoutADatabase(t *testing.T) {
	none := zoneDatabase{func(string) (*time.Location, error) { return nil, errors.New("unknown time zone") }, func() []string { return nil }}
	for _, zone := range []string{"Asia/Seoul", "asia/soul", "KST"} {
		_, bad := readKeepHours("mon 09:00-10:00 "+zone, none)
		if len(bad) != 1 || bad[0].value != zone || !strings.Contains(bad[0].text, "tzdata") {
			t.Errorf("%s: %v, want a word about tzdata", zone, bad)
		}
	}
	if h, bad := readKeepHours("mon 09:00-10:00 UTC", none); len(bad) > 0 || h.String() != "mon 09:00-10:00 UTC" {
		t.Errorf("UTC needs no database: %v %v", h, bad)
	}
}

func TestZonesAreListed(t *testing.T) {
	file := &fstest.MapFile{Data: []byte("TZif")}
	tree := fstest.MapFS{
		"Asia/Seoul": file, "America/Argentina/Salta": file, "EST": file, "Etc/GMT+9": file, "zone.tab": file, "posixrules": file,
		"posix/Asia/Tokyo": file, "right/Asia/Tokyo": file, "tzdata.zi": file, "+VERSION": file,
	}
	want := []string{"America/Argentina/Salta", "Asia/Seoul", "EST", "Etc/GMT+9"}
	if got := zonesIn(tree); !slices.Equal(got, want) {
		t.Errorf("the folder is listed as %q, want %q", got, want)
	}
	for i := range 3 * mostZones {
		tree["Long/"+strings.Repeat("a", i%40)+string(rune('A'+i%26))+strings.Repeat("b", i/40%60)] = file
	}
	if got := zonesIn(tree); len(got) != mostZones {
		t.Errorf("%d zones are listed of more than %d", len(got), mostZones)
	}
	if got := zonesIn(fstest.MapFS{}); len(got) != 0 {
		t.Errorf("an empty folder is listed as %q", got)
	}
}

// FuzzKeepHours: whatever is written, it is refused with a reason that can be shown, or it is a schedule within its documented
// ranges that keeps something and reads back from its own text.
func FuzzKeepHours(f *testing.F) {
	for _, s := range []string{
		"mon-fri 09:00-12:00, 13:00-18:00; sat 10:00-14:00 Asia/Seoul", "fri-mon 22:00-06:00 Europe/Berlin, daily 00:00-24:00 UTC",
		"mon,wed , fri 9am – 6pm Korea", "09:00-18:00", ";,;", "mon 09:00-10:00 " + strings.Repeat("x", 200), "tue 00:00-00:01 America/New York; ",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		h, bad := readKeepHours(s, fewZones)
		runtime.ReadMemStats(&after)
		if used, most := after.TotalAlloc-before.TotalAlloc, uint64(2<<20+100*len(s)); used > most {
			t.Fatalf("%d bytes took %d bytes of memory, want at most %d", len(s), used, most)
		}
		if len(bad) > 0 {
			for _, b := range bad {
				if b.text == "" || len(b.text) > 300 || len(b.value) > longestShown+len("…") {
					t.Fatalf("%q: a strange mistake: %q %q", s, b.value, b.text)
				}
			}
			if h != nil || len(bad) > mostKeepFlaws {
				t.Fatalf("%q gives %d ranges and %d mistakes", s, len(h), len(bad))
			}
			return
		}
		again, bad := readKeepHours(h.String(), fewZones)
		if len(bad) > 0 || again.String() != h.String() {
			t.Fatalf("%q is written as %q, which reads back as %q, %v", s, h, again, bad)
		}
		if len(h) == 0 || len(h) > mostKeepRanges {
			t.Fatalf("%q has %d ranges", s, len(h))
		}
		for i, r := range h {
			if r.Days == 0 || r.Days&^watchdog.EveryDay != 0 || r.From < 0 || r.From >= 1440 || r.To < 1 || r.To > 1440 || r.From == r.To {
				t.Fatalf("%q has the range %+v", s, r)
			}
			if back := again[i]; back.Days != r.Days || back.From != r.From || back.To != r.To {
				t.Fatalf("%q: %+v reads back as %+v", s, r, back)
			}
		}
		for _, r := range h {
			zone := r.Zone
			if zone == nil {
				zone = time.UTC
			}
			for day := range 7 {
				at := time.Date(2026, 11, 2+day, 0, r.From, 0, 0, zone)
				until, keep := h.Until(at)
				untilAgain, keepAgain := again.Until(at)
				if keep != keepAgain || !until.Equal(untilAgain) || r.Days.Has(at.Weekday()) && !keep {
					t.Fatalf("%q: kept %t at %s until %s, and read back %t until %s", s, keep, at, until, keepAgain, untilAgain)
				}
			}
		}
	})
}
