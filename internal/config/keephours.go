package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

const (
	// mostKeepRanges and longestKeepHours bound what is read: nobody's week is more complicated.
	mostKeepRanges   = 64
	longestKeepHours = 4096
	// mostKeepFlaws is how many mistakes of one value are named.
	mostKeepFlaws = 8

	keepExample = "mon-fri 09:00-18:00 Asia/Seoul"
)

// parseKeepHours reads ranges such as "mon-fri 09:00-12:00, 13:00-18:00; sat 10:00-14:00 Asia/Seoul".
//
// A range is days, hours and a zone. Days are names (mon, Monday), ranges of them, which wrap around the week (fri-mon), lists
// (mon,wed) and daily; hours go up to 24:00 and over midnight (22:00-06:00). Ranges are parted by semicolons or commas; after a
// comma the days before it go on where none are named. A zone counts for every range before it that has none of its own; where
// no range has one, the hours are those of UTC, whatever TZ says: the same setting means the same on every machine. "none" has no
// range.
func parseKeepHours(s string) (any, error) {
	if s == none {
		return watchdog.KeepHours(nil), nil
	}
	h, bad := readKeepHours(s, zonesOfSystem)
	if len(bad) > 0 {
		return nil, bad
	}
	return h, nil
}

// keepHoursRemark is a warning on valid hours that may not be the hours that were meant; "" where there is none.
func keepHoursRemark(h watchdog.KeepHours) string {
	if h.ZoneNamed() {
		return ""
	}
	return fmt.Sprintf("%sKEEP_HOURS names no zone, so its hours are those of UTC (%s); write the zone behind them: %s", Prefix, h, keepExample)
}

// keepReader gathers the ranges of one value.
type keepReader struct {
	zones  zoneDatabase
	ranges watchdog.KeepHours
	texts  []string // what each range was written as
	bad    flaws

	// days are those of the group (what is between two semicolons) so far; timed: hours have followed them.
	days  watchdog.Weekdays
	timed bool
	// anyDays: somewhere days are named. unzoned: the first range that no zone has been named for.
	anyDays bool
	unzoned int
	zoned   bool
	// guesses is how many unknown zones have been compared with all known ones.
	guesses int
	// found are the zones that have been looked up, by the name that stands there.
	found map[string]*time.Location
}

func readKeepHours(s string, zones zoneDatabase) (watchdog.KeepHours, flaws) {
	if len(s) > longestKeepHours {
		return nil, flaws{{clip(s), fmt.Sprintf("is longer than %d bytes; write fewer ranges, such as %s", longestKeepHours, keepExample)}}
	}
	r := keepReader{zones: zones, found: map[string]*time.Location{}}
	s = closeDashes(s)
	for group := range strings.SplitSeq(s, ";") {
		r.days, r.timed = 0, false
		for part := range strings.SplitSeq(group, ",") {
			r.part(strings.Fields(part))
		}
		if r.days != 0 && !r.timed {
			r.refuse(strings.TrimSpace(group), "names days without hours; write both, such as mon-fri 09:00-18:00")
		}
	}
	r.finish()
	if len(r.bad) > 0 {
		return nil, r.bad
	}
	return r.ranges, nil
}

// closeDashes takes the blanks around hyphens away, and makes hyphens of the dashes that word processors make of them.
func closeDashes(s string) string {
	s = strings.NewReplacer("–", "-", "—", "-").Replace(strings.Join(strings.Fields(s), " "))
	return strings.NewReplacer(" - ", "-", " -", "-", "- ", "-").Replace(s)
}

func (r *keepReader) refuse(value, format string, args ...any) {
	if len(r.bad) < mostKeepFlaws {
		r.bad = append(r.bad, flaw{clip(value), fmt.Sprintf(format, args...)})
	}
}

// part reads what stands between two separators: days, hours and a zone, each of which may be missing.
func (r *keepReader) part(words []string) {
	if len(r.bad) == mostKeepFlaws {
		return
	}
	if len(words) == 0 {
		r.refuse("", "has an empty part between commas or semicolons; remove the one that is too many")
		return
	}
	timed := false
	for i, word := range words {
		switch {
		case startsWithDigit(word):
			r.hours(word, strings.Join(words, " "))
			timed = true
		case isZoneWord(word), timed && !isDayWord(word):
			r.zone(words[i:])
			return
		case timed:
			r.refuse(word, "stands behind hours; put a semicolon before it: mon-fri 09:00-18:00; sat 10:00-14:00")
			return
		default:
			r.name(word)
		}
	}
}

// name reads a day, or a range of days.
func (r *keepReader) name(word string) {
	days, text := parseDays(word)
	if text != "" {
		r.refuse(word, "%s", text)
		days = watchdog.EveryDay // so that its hours are not refused, too
	}
	if r.timed {
		r.days, r.timed = 0, false
	}
	r.days |= days
	r.anyDays = true
}

func (r *keepReader) hours(word, part string) {
	from, to, text := parseHours(word)
	r.timed = true
	if text != "" {
		r.refuse(word, "%s", text)
		return
	}
	if len(r.ranges) == mostKeepRanges {
		r.refuse(part, "is one range more than %d; write fewer", mostKeepRanges)
	}
	if len(r.ranges) < mostKeepRanges {
		r.ranges = append(r.ranges, watchdog.KeepRange{Days: r.days, From: from, To: to})
		r.texts = append(r.texts, part)
	}
}

// zone gives a zone to the ranges before it that have none. Its name may come in several words, which no zone's name has.
func (r *keepReader) zone(words []string) {
	n := 1
	for n < len(words) && !startsWithDigit(words[n]) && !isDayWord(words[n]) {
		n++
	}
	name := strings.Join(words[:n], " ")
	const mostGuessed = 3
	zone, text := r.found[name], ""
	if zone == nil {
		zone, text = r.zones.find(name, r.guesses < mostGuessed)
	}
	switch {
	case text != "":
		r.guesses++
		r.refuse(name, "%s", text)
		zone = time.UTC
	case r.unzoned == len(r.ranges) && len(r.bad) == 0:
		r.refuse(name, "stands before the hours that it is for, or is a second zone; write one behind them: %s", keepExample)
	case n < len(words):
		r.refuse(words[n], "stands behind a zone; put a semicolon before it: mon-fri 09:00-18:00 Asia/Seoul; sat 10:00-14:00 Asia/Seoul")
	}
	r.found[name] = zone
	for i := r.unzoned; i < len(r.ranges); i++ {
		r.ranges[i].Zone = zone
	}
	r.unzoned, r.zoned = len(r.ranges), true
}

func startsWithDigit(word string) bool { return word[0] >= '0' && word[0] <= '9' }

// finish judges what only the whole value shows.
func (r *keepReader) finish() {
	for i, one := range r.ranges {
		switch {
		case one.Days != 0:
		case r.anyDays:
			r.refuse(r.texts[i], "names no days, while others do; write them before it, such as mon-fri, or daily")
		default:
			r.ranges[i].Days = watchdog.EveryDay
		}
		if r.zoned && i >= r.unzoned {
			r.refuse(r.texts[i], "names no zone, and none follows, while others have one; write it behind the hours: %s", keepExample)
		}
	}
}

// parseHours reads "09:00-18:00" into minutes since 0:00; or it says what is wrong.
func parseHours(word string) (from, to int, text string) {
	a, b, isRange := strings.Cut(word, "-")
	from, fromOK := parseClock(a)
	to, toOK := parseClock(b)
	switch {
	case !isRange || !fromOK || !toOK:
		if meant := meantHours(word); meant != "" {
			return 0, 0, "is no range of hours; did you mean " + meant + "?"
		}
		return 0, 0, "is no range of hours from 00:00 to 24:00; write one such as 09:00-18:00"
	case from == to:
		return 0, 0, "begins where it ends; for a whole day write 00:00-24:00"
	case from == 24*60:
		return 0, 0, "begins when its day is over; write 00:00 and the day after it"
	case to == 0:
		to = 24 * 60
	}
	return from, to, ""
}

// parseClock reads a time of day, 0:00 to 24:00, into minutes.
func parseClock(s string) (minutes int, ok bool) {
	h, m, _ := strings.Cut(s, ":")
	if len(h) < 1 || len(h) > 2 || len(m) != 2 {
		return 0, false
	}
	for _, digit := range h + m {
		if digit < '0' || digit > '9' {
			return 0, false
		}
	}
	hour := int(h[len(h)-1] - '0')
	if len(h) == 2 {
		hour += 10 * int(h[0]-'0')
	}
	minute := 10*int(m[0]-'0') + int(m[1]-'0')
	return 60*hour + minute, minute < 60 && 60*hour+minute <= 24*60
}

// meantHours guesses the range in "9-18", "9am-6pm" or "0900-1800"; "" where it cannot.
func meantHours(word string) string {
	a, b, isRange := strings.Cut(strings.ToLower(word), "-")
	from, fromOK := meantClock(a)
	to, toOK := meantClock(b)
	if !isRange || !fromOK || !toOK || from == to || from == 24*60 {
		return ""
	}
	return fmt.Sprintf("%02d:%02d-%02d:%02d", from/60, from%60, to/60, to%60)
}

func meantClock(s string) (minutes int, ok bool) {
	digits := strings.TrimRight(s, "apmh.")
	suffix := strings.ReplaceAll(s[len(digits):], ".", "")
	digits = strings.NewReplacer(".", ":", "h", ":").Replace(digits)
	switch {
	case strings.Contains(digits, ":"):
	case len(digits) <= 2:
		digits += ":00"
	case len(digits) <= 4:
		digits = digits[:len(digits)-2] + ":" + digits[len(digits)-2:]
	}
	minutes, ok = parseClock(digits)
	const noon = 12 * 60
	switch {
	case suffix != "" && suffix != "am" && suffix != "pm" && suffix != "h":
		return 0, false
	case suffix == "pm" && minutes < noon:
		minutes += noon
	case suffix == "am" && minutes >= noon && minutes < noon+60:
		minutes -= noon
	}
	return minutes, ok
}

var weekdays = []string{"sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"}

// parseWeekday reads a day's name, whole or cut to three letters or more.
func parseWeekday(s string) (time.Weekday, bool) {
	i := slices.IndexFunc(weekdays, func(name string) bool { return len(s) >= 3 && strings.HasPrefix(name, s) })
	return time.Weekday(max(i, 0)), i >= 0
}

// parseDays reads a day, a range of days, or daily; or it says what is wrong.
func parseDays(word string) (days watchdog.Weekdays, text string) {
	word = strings.ToLower(word)
	if word == "daily" {
		return watchdog.EveryDay, ""
	}
	a, b, isRange := strings.Cut(word, "-")
	first, ok := parseWeekday(a)
	last, lastOK := first, ok
	if isRange {
		last, lastOK = parseWeekday(b)
	}
	switch {
	case !ok || !lastOK:
		if meant := meantDays(word); meant != "" {
			return 0, "is no day; did you mean " + meant + "?"
		}
		return 0, "is no day; write mon to sun, a range such as mon-fri, or daily"
	case isRange && first == last:
		return 0, "begins and ends with the same day; write that day alone, or daily"
	}
	for d := first; ; d = (d + 1) % 7 {
		days = days.With(d)
		if d == last {
			return days, ""
		}
	}
}

// spokenDays are words for days that people write beside the names.
var spokenDays = map[string]string{
	"weekday": "mon-fri", "weekdays": "mon-fri", "workdays": "mon-fri", "business": "mon-fri", "weekend": "sat-sun", "weekends": "sat-sun",
	"everyday": "daily", "always": "daily", "all": "daily", "*": "daily", "mo": "mon", "tu": "tue", "we": "wed", "th": "thu", "fr": "fri", "sa": "sat", "su": "sun",
}

// meantDays guesses which days a word should be; "" where it cannot.
func meantDays(word string) string {
	if meant := spokenDays[word]; meant != "" {
		return meant
	}
	sides := strings.Split(word, "-")
	if len(sides) > 2 {
		return ""
	}
	for i, side := range sides {
		if _, ok := parseWeekday(side); ok {
			continue
		}
		meant := spokenDays[side]
		if meant == "" || strings.Contains(meant, "-") || meant == "daily" {
			meant = nearest(side, append([]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}, weekdays...))
		}
		if meant == "" {
			return ""
		}
		sides[i] = meant
	}
	return strings.Join(sides, "-")
}

// isDayWord says that some side of the word is a day.
func isDayWord(word string) bool {
	word = strings.ToLower(word)
	a, b, _ := strings.Cut(word, "-")
	_, first := parseWeekday(a)
	_, last := parseWeekday(b)
	return first || last || word == "daily"
}
