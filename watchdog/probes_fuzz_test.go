package watchdog

import (
	"slices"
	"testing"
)

// FuzzProbeTracker plays looks of any kind. Without PROBE_MAX_TOKENS nothing is ever excused; with it nothing but what a page that
// was read whole explains; what is remembered stays bounded, can be stored, and is never changed behind the caller's back.
func FuzzProbeTracker(f *testing.F) {
	f.Add([]byte(nil), 0)
	f.Add([]byte("\x00\x00\x00\x01\x03\x01\x01\x01\x01\x01\x00\x00\x02\x01"), 16)
	f.Add(slices.Repeat([]byte{0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 1, 0, 1, 0}, 40), 3)
	f.Add(slices.Repeat([]byte{7, 2, 2, 1, 4, 3, 6, 0, 1, 0, 3, 2, 9, 12, 1}, 30), -1)
	f.Fuzz(func(t *testing.T, data []byte, limit int) {
		b := &bits{data}
		sc := &probeScene{scene: scene{rules: fixtureRules(), base: fixtureSnapshot(1), at: fixtureEpoch}, limit: limit}
		for tick := uint64(1); len(b.left) > 0 && tick < 200; tick++ {
			s := b.snapshot(tick)
			s.Elapsed = max(0, s.Elapsed)
			before, prior := sc.state, sc.tracker
			if err := sc.observe(s); err != nil {
				t.Fatal(err)
			}
			found := sc.finding
			w := probeWindow(before, s, traffic{}, floorUnmeasured)
			for i, judged := range found.Servers {
				switch {
				case judged == ProbesNone:
				case limit <= 0:
					t.Fatalf("tick %d: a server is excused without a limit", tick)
				case w.Servers[i].Reading != ProbeCompared:
					t.Fatalf("tick %d: a server that was not compared is excused: %+v", tick, w.Servers[i])
				case judged == ProbesAlone && w.Servers[i].InFlight:
					t.Fatalf("tick %d: a server with a request in flight is excused for good: %+v", tick, w.Servers[i])
				}
				if judged == ProbesNone || len(accountOf(prior.Accounts, w.Servers[i].URL, 0).Engines) > 0 {
					continue // nothing is excused, or it is not of this window alone
				}
				most := float64(limit)
				for _, e := range w.Servers[i].Engines {
					most += e.Finished
				}
				for _, e := range w.Servers[i].Engines {
					if e.Prompt.Value > most || e.Output.Value > most || e.Moved && !(e.Prompt.Known && e.Output.Known) {
						t.Fatalf("tick %d: %+v is no probe of up to %d tokens", tick, e, limit)
					}
				}
			}
			probed := slices.Contains(found.Servers, ProbesAlone) || slices.Contains(found.Servers, ProbesPending)
			switch {
			case limit <= 0 && (found.GPU != ProbesNone || found.Rows != ProbesNone || found.Pending != "" || len(found.Late) > 0 || found.Detail != ""):
				t.Fatalf("tick %d: without a limit it finds %+v", tick, found)
			case found.GPU != ProbesNone && !probed && prior.Tail <= 0:
				t.Fatalf("tick %d: the GPU is excused without a probe: %+v", tick, found)
			case (found.Pending != "") != slices.Contains(found.Servers, ProbesPending):
				t.Fatalf("tick %d: pending is %q: %+v", tick, found.Pending, found)
			case len(sc.tracker.Beats) > mostBeats, len(sc.tracker.Talks) > mostTalks, len(sc.tracker.Accounts) != len(s.Servers):
				t.Fatalf("tick %d: it remembers %d beats, %d talks, %d accounts", tick, len(sc.tracker.Beats), len(sc.tracker.Talks), len(sc.tracker.Accounts))
			}
		}
	})
}
