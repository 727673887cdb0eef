package watchdog

import "time"

// farFromUTC is more than any clock was ever away from UTC.
const farFromUTC = 26 * time.Hour

// clockReaches is the first instant at which the clock in a zone shows the given reading, or a later one. The reading is given
// as if it were in UTC.
func clockReaches(zone *time.Location, reading time.Time) time.Time {
	t := reading.Add(-farFromUTC).In(zone)
	for {
		_, offset := t.Zone()
		start, end := t.ZoneBounds()
		reached := reading.Add(-time.Duration(offset) * time.Second)
		if !start.IsZero() && start.After(reached) {
			reached = start // the clock was put forward over it
		}
		if end.IsZero() || reached.Before(end) {
			return reached
		}
		t = end
	}
}

// clockPasses is the instant from which on the clock in a zone never shows less than the given reading again. The reading is
// given as if it were in UTC.
func clockPasses(zone *time.Location, reading time.Time) (passed time.Time) {
	t, over := reading.Add(-farFromUTC).In(zone), reading.Add(farFromUTC)
	for {
		_, offset := t.Zone()
		start, end := t.ZoneBounds()
		below := reading.Add(-time.Duration(offset) * time.Second) // until then, as long as this offset holds
		if !end.IsZero() && below.After(end) {
			below = end
		}
		if start.IsZero() || below.After(start) {
			passed = below
		}
		if end.IsZero() || end.After(over) {
			return passed
		}
		t = end
	}
}
