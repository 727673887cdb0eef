package orders

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

func hold(t *testing.T, l Leases, now time.Time, d time.Duration, by, why string) Leases {
	t.Helper()
	out, given, err := l.Hold(now, Hold{For: d, By: by, Why: why})
	if err != nil || !given.Until.Equal(now.Add(d)) || !slices.Contains(out.Holds, given) {
		t.Fatalf("holding for %s: %+v of %+v, %v", d, given, out, err)
	}
	return out
}

// show writes leases down shortly: "root/eval until 13:00".
func show(l Leases) string {
	var out []string
	for _, h := range l.Holds {
		out = append(out, fmt.Sprintf("%s/%s until %s", h.By, h.Why, h.Until.Format("15:04")))
	}
	if !l.PostponedUntil.IsZero() {
		out = append(out, "postponed until "+l.PostponedUntil.Format("15:04"))
	}
	return strings.Join(out, ", ")
}

func TestLeases(t *testing.T) {
	var l Leases
	at := func(hours float64) time.Time { return noon.Add(time.Duration(hours * float64(time.Hour))) }
	expect := func(what, want string) {
		t.Helper()
		if got := show(l); got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	l = hold(t, l, noon, 2*time.Hour, "ann", "evaluation")
	l = hold(t, l, noon, time.Hour, "bob", "")
	expect("two hold", "bob/ until 13:00, ann/evaluation until 14:00")
	l = hold(t, l, at(0.5), 3*time.Hour, "ann", "evaluation")
	expect("ann renews hers", "bob/ until 13:00, ann/evaluation until 15:30")
	l = hold(t, l, at(0.5), time.Hour, "ann", "evaluation")
	expect("ann shortens hers", "bob/ until 13:00, ann/evaluation until 13:30")
	l = hold(t, l, at(0.5), 2*time.Hour, "ann", "another")
	expect("another reason is another lease", "bob/ until 13:00, ann/evaluation until 13:30, ann/another until 14:30")
	if last, ok := l.Last(); !ok || last.Why != "another" {
		t.Errorf("the last is %+v, %t", last, ok)
	}
	l = l.At(at(1))
	expect("a lease ends at its end", "ann/evaluation until 13:30, ann/another until 14:30")
	l = hold(t, l, at(1), time.Hour, "bob", "")
	before := l
	var ended []Lease
	l, ended = l.Release(at(1), Release{By: "ann", Own: true})
	expect("ann releases hers", "bob/ until 14:00")
	if len(ended) != 2 || show(before) != "ann/evaluation until 13:30, bob/ until 14:00, ann/another until 14:30" {
		t.Errorf("ended %v; what was before is now %q", ended, show(before))
	}
	var until time.Time
	var err error
	l, until, err = l.Postpone(at(1), watchdog.Maybe[time.Time]{}, Postpone{For: time.Hour, By: "ann"})
	if err != nil || !until.Equal(at(2)) {
		t.Errorf("postponed until %s, %v", until, err)
	}
	expect("no stop is in sight", "bob/ until 14:00, postponed until 14:00")
	l, _, _ = l.Postpone(at(1), watchdog.Known(at(3)), Postpone{For: time.Hour})
	expect("one is", "bob/ until 14:00, postponed until 16:00")
	l, _, _ = l.Postpone(at(1), watchdog.Known(at(1.5)), Postpone{For: time.Hour})
	expect("it is postponed already", "bob/ until 14:00, postponed until 17:00")
	l, ended = l.Release(at(2), Release{By: "carl", Own: true})
	expect("carl has none, and bob's has ended", "postponed until 17:00")
	if len(ended) != 0 {
		t.Errorf("ended %v", ended)
	}
	l, ended = hold(t, l, at(2), time.Hour, "bob", "").Release(at(2), Release{By: "carl"})
	expect("carl releases all", "")
	if len(ended) != 1 {
		t.Errorf("ended %v", ended)
	}
}

func TestWrongOrdersChangeNothing(t *testing.T) {
	l := hold(t, Leases{PostponedUntil: noon.Add(20 * time.Hour)}, noon, time.Hour, "ann", "")
	for name, order := range map[string]func() (Leases, error){
		"a hold of nothing":  func() (Leases, error) { out, _, err := l.Hold(noon, Hold{By: "ann"}); return out, err },
		"a hold of the past": func() (Leases, error) { out, _, err := l.Hold(noon, Hold{For: -time.Hour}); return out, err },
		"a hold of too long": func() (Leases, error) { out, _, err := l.Hold(noon, Hold{For: Most + 1}); return out, err },
		"a postponement too short": func() (Leases, error) {
			out, _, err := l.Postpone(noon, watchdog.Maybe[time.Time]{}, Postpone{For: 1})
			return out, err
		},
		"a postponement on top of 20 h": func() (Leases, error) {
			out, _, err := l.Postpone(noon, watchdog.Maybe[time.Time]{}, Postpone{For: 5 * time.Hour})
			return out, err
		},
		"a postponement of a stop in 23 h": func() (Leases, error) {
			out, _, err := l.Postpone(noon, watchdog.Known(noon.Add(23*time.Hour)), Postpone{For: 2 * time.Hour})
			return out, err
		},
	} {
		out, err := order()
		if KindOf(err) != Wrong || show(out) != show(l) {
			t.Errorf("%s: %q, %v", name, show(out), err)
		}
	}
	if _, _, err := l.Postpone(noon, watchdog.Maybe[time.Time]{}, Postpone{For: 4 * time.Hour}); err != nil {
		t.Errorf("just 24 h: %v", err)
	}
}

// A clock that is set back by a year makes no hold of a year.
func TestClockSetBack(t *testing.T) {
	l := hold(t, Leases{PostponedUntil: noon.Add(time.Hour)}, noon, time.Hour, "ann", "")
	now := noon.AddDate(-1, 0, 0)
	for range 25 {
		l = l.At(now)
		now = now.Add(time.Hour)
	}
	if got := show(l); got != "" {
		t.Errorf("after 25 h there stands %q", got)
	}
}

// Random people at random times, held against rules that are simpler than the code.
func TestLeasesKeepTheirRules(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 60 {
		var l Leases
		now := noon
		for range 60 {
			now = now.Add(time.Duration(random.Int64N(int64(3 * time.Hour))))
			before, copied := l, clone(l)
			standing := l.At(now)
			lastBefore, _ := standing.Last()
			d := time.Second + time.Duration(random.Int64N(int64(Most)))
			by, why := fmt.Sprint("person ", random.IntN(4)), fmt.Sprint("reason ", random.IntN(5))
			switch random.IntN(8) {
			case 0:
				l, _ = l.Release(now, Release{By: by, Own: true})
				if slices.ContainsFunc(l.Holds, func(h Lease) bool { return h.By == by }) || !l.PostponedUntil.Equal(standing.PostponedUntil) {
					t.Fatalf("%s released: %s", by, show(l))
				}
			case 1:
				stopAt := watchdog.Maybe[time.Time]{Value: now.Add(time.Duration(random.Int64N(int64(Most)))), Known: random.IntN(2) == 0}
				out, until, err := l.Postpone(now, stopAt, Postpone{For: d})
				if err == nil && (until.Before(now.Add(d)) || stopAt.Known && until.Before(stopAt.Value.Add(d)) || until.Before(standing.PostponedUntil.Add(d)) || until.After(now.Add(Most))) {
					t.Fatalf("postponed by %s until %s, at %s", d, until, now)
				}
				l = out
			default:
				out, given, err := l.Hold(now, Hold{For: d, By: by, Why: why})
				if (err != nil) != (d > Most) {
					t.Fatalf("holding for %s: %v", d, err)
				}
				if err != nil {
					break
				}
				l = out
				last, _ := l.Last()
				// Unless the last one was replaced by its owner, nobody is held for less long than before.
				if replaced := lastBefore.By == by && lastBefore.Why == why; !replaced && last.Until.Before(lastBefore.Until) || last.Until.Before(given.Until) {
					t.Fatalf("%s, after it was %s and %+v", show(l), show(standing), given)
				}
			}
			if diff := cmp.Diff(copied, before); diff != "" {
				t.Fatalf("what was before has changed: %s", diff)
			}
			check(t, l)
			for _, h := range l.At(now).Holds {
				if !h.Until.After(now) || h.Until.After(now.Add(Most)) {
					t.Fatalf("%+v stands at %s", h, now)
				}
			}
		}
	}
}

func clone(l Leases) Leases {
	return Leases{Holds: slices.Clone(l.Holds), PostponedUntil: l.PostponedUntil}
}

// check says what is true of leases always, and that they come back from JSON as they were.
func check(t *testing.T, l Leases) {
	t.Helper()
	if len(l.Holds) > mostLeases {
		t.Errorf("%d leases", len(l.Holds))
	}
	names := map[string]bool{}
	for i, h := range l.Holds {
		checkClean(t, h.By, MostBy)
		checkClean(t, h.Why, MostWhy)
		if name := h.By + "\x00" + h.Why; names[name] {
			t.Errorf("two leases of %q for %q", h.By, h.Why)
		} else {
			names[name] = true
		}
		if i > 0 && h.Until.Before(l.Holds[i-1].Until) {
			t.Errorf("not in the order of their ends: %s", show(l))
		}
	}
	text, err := json.Marshal(l)
	if err != nil || len(text) > 20<<10 {
		t.Fatalf("%d bytes of JSON, %v", len(text), err)
	}
	var again Leases
	if err := json.Unmarshal(text, &again); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if diff := cmp.Diff(l, again); diff != "" {
		t.Errorf("%s comes back changed: %s", text, diff)
	}
}

func TestLeasesAreBounded(t *testing.T) {
	var l Leases
	l = hold(t, l, noon, Most, "ann", "the longest")
	for i := range 100 {
		l = hold(t, l, noon, time.Duration(i+1)*time.Minute, "script", fmt.Sprint("epoch ", i))
		check(t, l)
	}
	if last, _ := l.Last(); len(l.Holds) != mostLeases || last.Why != "the longest" {
		t.Errorf("%d leases, the last %+v", len(l.Holds), last)
	}
}

func FuzzLeasesJSON(f *testing.F) {
	f.Add([]byte(`{"holds":[{"until":"2026-11-24T13:00:00Z","by":"root on pts/0 (bash)","why":"evaluation"}],"postponed_until":"2026-11-24T14:00:00+09:00"}`))
	f.Add([]byte(`{"holds":[{"until":"9999-12-31T23:59:59-23:59","by":"\u001b[31m"},{"until":"0001-01-01T00:00:00Z"},{}],"more":1}`))
	f.Add([]byte(`{"holds":[` + strings.Repeat(`{"until":"2026-11-24T13:00:00.123456789Z","by":"`+strings.Repeat("<", 100)+`"},`, 20) + `{}]}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var l Leases
		if json.Unmarshal(b, &l) != nil {
			return
		}
		check(t, l)
		check(t, l.At(noon))
		for _, h := range l.At(noon).Holds {
			if !h.Until.After(noon) || h.Until.After(noon.Add(Most)) {
				t.Errorf("%+v stands", h)
			}
		}
	})
}
