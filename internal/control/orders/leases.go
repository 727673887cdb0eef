package orders

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// mostLeases bounds how many leases stand at once. A script that renews under a new reason each time must not fill the memory.
const mostLeases = 12

// Lease keeps the pod until it ends.
type Lease struct {
	Until time.Time `json:"until"`
	By    string    `json:"by"`
	Why   string    `json:"why"`
}

// Leases are the leases that stand, and the postponement. They are a value: every method returns what follows, and leaves what it
// was called on. The zero value holds nothing. It can be stored as JSON: what does not make sense in there is left out.
type Leases struct {
	// Holds are sorted by their ends, the first to end first.
	Holds []Lease `json:"holds,omitempty"`
	// PostponedUntil is the moment before which no stop may come, zero where nothing is postponed.
	PostponedUntil time.Time `json:"postponed_until,omitzero"`
}

// At is what of them stands at now: what has ended is gone. Nothing reaches further ahead than Most: where it does, the clock was
// set back since, and it is cut, or a hold of an hour could last for a year. Keep what is returned, or the cut moves on with now.
func (l Leases) At(now time.Time) Leases {
	var out Leases
	furthest := moment(now.Add(Most))
	for _, h := range l.Holds {
		if h.Until.After(now) {
			h.Until = earlier(h.Until, furthest)
			out.Holds = append(out.Holds, h)
		}
	}
	sortLeases(out.Holds)
	if l.PostponedUntil.After(now) {
		out.PostponedUntil = earlier(l.PostponedUntil, furthest)
	}
	return out
}

// Last is the lease that ends last, and whether there is one. Call it on what stands (At).
func (l Leases) Last() (last Lease, ok bool) {
	if len(l.Holds) == 0 {
		return Lease{}, false
	}
	return l.Holds[len(l.Holds)-1], true
}

// Hold adds a lease from now on, which it also returns. The same By and Why replace their own lease, longer or shorter. Where too
// many stand, the one that ends first gives way, so that the pod is never held for less long because of that. Its error is
// WrongUse, and then nothing has changed.
func (l Leases) Hold(now time.Time, o Hold) (Leases, Lease, error) {
	if err := CheckFor(o.For); err != nil {
		return l, Lease{}, err
	}
	given := Lease{Until: moment(now.Add(o.For)), By: Clean(o.By, MostBy), Why: Clean(o.Why, MostWhy)}
	out := l.At(now)
	out.Holds = slices.DeleteFunc(out.Holds, func(h Lease) bool { return h.By == given.By && h.Why == given.Why })
	if more := len(out.Holds) - (mostLeases - 1); more > 0 {
		out.Holds = slices.Delete(out.Holds, 0, more)
	}
	out.Holds = append(out.Holds, given)
	sortLeases(out.Holds)
	return out, given, nil
}

// Release ends all leases and the postponement, or only By's own leases, and returns those that it ended before their time.
func (l Leases) Release(now time.Time, o Release) (Leases, []Lease) {
	standing := l.At(now)
	if !o.Own {
		return Leases{}, standing.Holds
	}
	by := Clean(o.By, MostBy)
	out := Leases{PostponedUntil: standing.PostponedUntil}
	var ended []Lease
	for _, h := range standing.Holds {
		if h.By == by {
			ended = append(ended, h)
		} else {
			out.Holds = append(out.Holds, h)
		}
	}
	return out, ended
}

// Postpone moves the earliest stop back by For and returns the moment before which none may come now: For after stopAt, the
// earliest stop in sight, or after now where none is. An earlier postponement is built upon, never shortened. Nothing is
// postponed for more than Most from now; that error, too, is WrongUse, and then nothing has changed.
func (l Leases) Postpone(now time.Time, stopAt watchdog.Maybe[time.Time], o Postpone) (Leases, time.Time, error) {
	if err := CheckFor(o.For); err != nil {
		return l, time.Time{}, err
	}
	out := l.At(now)
	from := later(now, out.PostponedUntil)
	if stopAt.Known {
		from = later(from, stopAt.Value)
	}
	until := moment(from.Add(o.For))
	if ahead := until.Sub(now); ahead > Most {
		return l, time.Time{}, WrongUse("postponing by %s would keep the pod for %s from now: the longest is 24h, and the stop is not due before %s",
			o.For, ahead.Round(time.Second), second(from).Format(time.RFC3339))
	}
	out.PostponedUntil = until
	return out, until, nil
}

// UnmarshalJSON reads stored leases. What cannot have been stored by this program is brought into its form: texts are cleaned, of
// too many leases the last to end are kept, and times that nobody can mean are left out.
func (l *Leases) UnmarshalJSON(b []byte) error {
	type plain Leases // without this method
	var stored plain
	if err := json.Unmarshal(b, &stored); err != nil {
		return err
	}
	var out Leases
	for _, h := range stored.Holds {
		h = Lease{Until: moment(h.Until), By: Clean(h.By, MostBy), Why: Clean(h.Why, MostWhy)}
		same := func(o Lease) bool { return o.By == h.By && o.Why == h.Why }
		switch i := slices.IndexFunc(out.Holds, same); {
		case !meant(h.Until):
		case i >= 0:
			out.Holds[i].Until = later(out.Holds[i].Until, h.Until)
		default:
			out.Holds = append(out.Holds, h)
		}
	}
	sortLeases(out.Holds)
	if more := len(out.Holds) - mostLeases; more > 0 {
		out.Holds = slices.Clone(out.Holds[more:])
	}
	if until := moment(stored.PostponedUntil); meant(until) {
		out.PostponedUntil = until
	}
	*l = out
	return nil
}

func sortLeases(holds []Lease) {
	slices.SortFunc(holds, func(a, b Lease) int {
		return cmp.Or(a.Until.Compare(b.Until), strings.Compare(a.By, b.By), strings.Compare(a.Why, b.Why))
	})
}

// moment is a time as it comes back from JSON: without a monotonic reading, in UTC.
func moment(t time.Time) time.Time { return t.Round(0).UTC() }

// meant says that a stored time can be one: JSON writes no year of five digits, and this program is younger than 2000.
func meant(t time.Time) bool { return t.Year() >= 2000 && t.Year() < 9999 }

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
