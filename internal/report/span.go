package report

import (
	"fmt"
	"time"
)

const day = 24 * time.Hour

// Span is a number of whole UTC days that follow one another, both ends included.
type Span struct{ First, Last time.Time }

// DaysMost is how many days one report may be about: what the store keeps, and some.
const DaysMost = 500

// Ending is so many days, at least one, of which the last is the one that holds an instant.
func Ending(days int, at time.Time) (Span, error) {
	last := at.UTC().Truncate(day)
	return Between(last.AddDate(0, 0, 1-days), last)
}

// Between is all days from the first to the last, which may be the same.
func Between(first, last time.Time) (Span, error) {
	s := Span{first.UTC().Truncate(day), last.UTC().Truncate(day)}
	switch n := s.Days(); {
	case n < 1:
		return Span{}, fmt.Errorf("from %s to %s there is no day: the first must not be after the last", s.First.Format(time.DateOnly), s.Last.Format(time.DateOnly))
	case n > DaysMost:
		return Span{}, fmt.Errorf("from %s to %s there are %d days: a report is about %d at most", s.First.Format(time.DateOnly), s.Last.Format(time.DateOnly), n, DaysMost)
	}
	return s, nil
}

// Days is the number of days.
func (s Span) Days() int { return int(s.Last.Sub(s.First)/day) + 1 }

// End is the midnight after the last day.
func (s Span) End() time.Time { return s.Last.Add(day) }

// String names the days, as in a sentence.
func (s Span) String() string {
	if s.First.Equal(s.Last) {
		return s.First.Format(time.DateOnly)
	}
	return s.First.Format(time.DateOnly) + " to " + s.Last.Format(time.DateOnly)
}

// pointsMost is about how many points a plot shows; more would lie closer than the eye can tell.
const pointsMost = 360

// step is how long a point of a plot lasts.
func (s Span) step() time.Duration {
	whole := s.End().Sub(s.First)
	for _, step := range []time.Duration{5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour} {
		if whole/step <= pointsMost {
			return step
		}
	}
	return day
}
