package chart

import "time"

const (
	day = 24 * time.Hour
	// timesMost is how many ticks a time axis has at most.
	timesMost = 8
)

// instant is a tick of a time axis; one without room for its label has none.
type instant struct {
	at    time.Time
	label string
}

// paces are the distances between ticks, below a month.
var paces = []time.Duration{
	5 * time.Minute, 10 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
	day, 2 * day, 4 * day, 7 * day, 14 * day,
}

// times are the ticks of an axis of so many units, at round hours, midnights or firsts of months in UTC. A label stands to the
// right of its tick, so each must end before the next one begins.
func times(from, to time.Time, wide float64) []instant {
	from, to = from.UTC(), to.UTC()
	whole := to.Sub(from)
	for _, pace := range paces {
		if whole/pace > timesMost {
			continue
		}
		first := from.Truncate(min(pace, day)) // whole days are counted from the first one
		if first.Before(from) {
			first = first.Add(min(pace, day))
		}
		layout := layoutOf(pace, wide*pace.Seconds()/whole.Seconds())
		var out []instant
		for at := first; at.Before(to); at = at.Add(pace) {
			label := at.Format(layout)
			if pace < day && at.Truncate(day) != at {
				label = at.Format("15:04")
			}
			out = append(out, instant{at, label})
		}
		return fit(out, from, to, wide)
	}
	months := 1
	for whole/(30*day*time.Duration(months)) > timesMost {
		months++
	}
	first := time.Date(from.Year(), from.Month(), 1, 0, 0, 0, 0, time.UTC)
	if first.Before(from) {
		first = first.AddDate(0, 1, 0)
	}
	var out []instant
	for at := first; at.Before(to); at = at.AddDate(0, months, 0) {
		out = append(out, instant{at, at.Format("Jan 2006")})
	}
	return fit(out, from, to, wide)
}

// layoutOf is how midnights are labelled where a tick has so much room.
func layoutOf(pace time.Duration, room float64) string {
	switch {
	case pace > day:
		return "2 Jan"
	case room > 12+letter*float64(len("Wed 24 Nov")):
		return "Mon 2 Jan"
	case pace == day:
		return "Mon 2"
	}
	return "2 Jan"
}

// fit takes away the labels that would reach the next tick or the end of the axis.
func fit(ticks []instant, from, to time.Time, wide float64) []instant {
	for i, t := range ticks {
		end := to
		if i+1 < len(ticks) {
			end = ticks[i+1].at
		}
		if room := wide * end.Sub(t.at).Seconds() / to.Sub(from).Seconds(); room < 8+letter*float64(len(t.label)) {
			ticks[i].label = ""
		}
	}
	return ticks
}
