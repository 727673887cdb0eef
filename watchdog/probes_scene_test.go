package watchdog

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A probeScene plays timelines as scene does, on what the sources find out about each look, and asks what is left of it once
// probes are excused:
//
//	work quiet        some sign of work is left, or there never was one
//	probes            there were signs, and none is left
//	pending           neither
//	gpu:work gpu:quiet
//	regular=TEXT      the regular probes, each as "PEER/PERIOD", or none
//	late              work that was held back
//
// Beside the words of scene, one complete request is "ask=PROMPT/OUTPUT", several at once "ask=3x7/1". "begin=P/O" is what
// is counted of a request that goes on, "go=P/O" more of it, and "end=P/O" the rest and its end. The
// answer of "unanswered=P/O" ends later, with the word "http".
type probeScene struct {
	scene
	tracker ProbeTracker
	limit   int
	finding ProbeFinding
	left    map[string]bool
	// unstored: the tracker is not stored and taken up again at each look, which takes its time.
	unstored bool
}

type probeRow struct {
	name, steps string
	limit       int
	servers     int
	rules       func(*Rules)
}

func init() {
	counted := func(f func(s *Server, times, prompt, output float64)) act {
		return func(sc *scene, s *Snapshot, arg string) error {
			times, size, several := strings.Cut(arg, "x")
			if !several {
				times, size = "1", arg
			}
			n, err := strconv.ParseFloat(times, 64)
			if err != nil {
				return err
			}
			p, o, _ := strings.Cut(size, "/")
			prompt, err := strconv.ParseFloat(p, 64)
			if err != nil {
				return err
			}
			output, err := strconv.ParseFloat(o, 64)
			if err != nil {
				return err
			}
			f(&s.Servers[0], n, prompt, output)
			if base := &sc.base.Servers[0]; base != &s.Servers[0] {
				f(base, n, prompt, output)
			}
			return nil
		}
	}
	tokens := func(s *Server, prompt, output float64) {
		bump(s, PromptTokens, prompt)
		bump(s, PrefixQueries, prompt)
		bump(s, GenerationTokens, output)
		bump(s, EngineSteps, max(1, output))
	}
	finish := func(s *Server, n float64) {
		bump(s, FinishedRequests, n)
		if s.HTTPRequests.Known {
			s.HTTPRequests.Value += n
		}
	}
	vocabulary["ask"] = counted(func(s *Server, n, prompt, output float64) {
		tokens(s, n*prompt, n*output)
		bump(s, FirstTokens, n)
		finish(s, n)
	})
	vocabulary["begin"] = counted(func(s *Server, n, prompt, output float64) {
		tokens(s, n*prompt, n*output)
		bump(s, FirstTokens, n)
	})
	vocabulary["go"] = counted(func(s *Server, n, prompt, output float64) { tokens(s, n*prompt, n*output) })
	vocabulary["end"] = counted(func(s *Server, n, prompt, output float64) {
		tokens(s, n*prompt, n*output)
		finish(s, n)
	})
	vocabulary["tail"] = number(func(s *Snapshot, v float64) { s.GPU.Devices[0].Samples = []uint8{uint8(v), 0, 0, 0, 0} })
	vocabulary["unanswered"] = counted(func(s *Server, n, prompt, output float64) { // its answer ends later
		tokens(s, n*prompt, n*output)
		bump(s, FirstTokens, n)
		bump(s, FinishedRequests, n)
	})
}

func (row probeRow) run(t *testing.T) {
	t.Helper()
	t.Run(row.name, func(t *testing.T) {
		t.Helper()
		sc := &probeScene{scene: scene{rules: fixtureRules(), base: fixtureSnapshot(max(1, row.servers)), at: fixtureEpoch}, limit: row.limit}
		if row.rules != nil {
			row.rules(sc.rules)
		}
		if err := sc.look(nil); err != nil {
			t.Fatal(err)
		}
		asked := 0
		for i, step := range strings.Split(row.steps, ";") {
			n, err := sc.play(step)
			asked += n
			if err != nil {
				t.Fatalf("step %d, %q: %v\n%+v", i+1, strings.Join(strings.Fields(step), " "), err, sc.finding)
			}
		}
		if asked == 0 {
			t.Error("the timeline asks nothing, so it cannot fail")
		}
	})
}

func (sc *probeScene) play(step string) (asked int, err error) {
	left, right, _ := strings.Cut(step, "->")
	words := strings.Fields(left)
	count := 1
	if m := times.FindStringSubmatch(words[len(words)-1]); m != nil {
		count, _ = strconv.Atoi(m[1])
		words = words[:len(words)-1]
	}
	if words[0] == "let" {
		return 0, sc.apply(&sc.base, words[1:])
	}
	// A step may be several looks, parted by "then": "ask=7/1 then idle x6".
	for range count {
		for _, look := range strings.Split(strings.Join(words, " "), " then ") {
			look, long, _ := strings.Cut(look, "*")
			n := 1
			if long != "" {
				n, err = strconv.Atoi(long)
				if err != nil {
					return asked, err
				}
			}
			for range n {
				if err := sc.look(strings.Fields(look)); err != nil {
					return asked, err
				}
			}
		}
	}
	for _, want := range strings.Fields(right) {
		asked++
		if text, regular := strings.CutPrefix(want, "regular="); regular {
			var parts []string
			for _, p := range sc.finding.Regular {
				parts = append(parts, strings.ReplaceAll(p.Peer, " ", "")+"/"+p.Period.Round(time.Second).String())
			}
			have := strings.Join(parts, ",")
			if parts == nil {
				have = "none"
			}
			if have != text {
				return asked, fmt.Errorf("want %s, have regular=%s", want, have)
			}
			continue
		}
		if !sc.left[want] {
			return asked, fmt.Errorf("want %s, have %v", want, sc.left)
		}
	}
	return asked, nil
}

// look takes one look with the given words.
func (sc *probeScene) look(words []string) error {
	s := sc.base.clone()
	if !sc.state.Based {
		s.Elapsed = 0
	}
	if err := sc.apply(&s, words); err != nil {
		return err
	}
	return sc.observe(s)
}

// observe does with a snapshot as Rules.observe does, as far as requests are concerned.
func (sc *probeScene) observe(s Snapshot) error {
	n := sc.state
	var srv servers
	var t traffic
	var g gpus
	n.Servers, srv = sc.rules.servers(sc.state.Servers, s.Servers, s.Elapsed, sc.state.Based)
	n.Connections, t = sc.rules.connections(sc.state.Connections, s.Sockets, srv.ports, s.Elapsed, sc.state.Based)
	n.Devices, n.Recent, g = sc.rules.devices(sc.state.Devices, sc.state.Recent, s.GPU, calmness{}, s.Elapsed)
	w := probeWindow(sc.state, s, t, g.threshold)
	tracker, f := sc.tracker.Observe(w, sc.limit)
	if !sc.unstored {
		var err error
		if tracker, err = throughStore(tracker); err != nil {
			return err
		}
		// What was given was not changed: it finds the same again.
		if _, again := sc.tracker.Observe(w, sc.limit); !reflect.DeepEqual(f, again) {
			return fmt.Errorf("the same look is judged\n%+v\n%+v", f, again)
		}
	}
	signs := len(srv.hard) + len(srv.soft) + len(t.soft) + len(g.hard)
	srv, t, g = f.excuse(w, srv, t, g)
	left := len(srv.hard) + len(srv.soft) + len(t.soft) + len(g.hard)
	if s.Rows > 0 && f.Rows == ProbesNone {
		left++
	}
	sc.left = map[string]bool{
		"work": left > 0, "pending": left == 0 && f.Pending != "", "probes": left == 0 && f.Pending == "" && (signs > 0 || f.Rows != ProbesNone),
		"quiet": left == 0 && f.Pending == "" && signs == 0, "late": len(f.Late) > 0,
		"gpu:work": len(g.hard) > 0, "gpu:quiet": len(g.hard) == 0, "detail": f.Detail != "",
	}
	n.Based = true
	sc.state, sc.tracker, sc.finding = n, tracker, f
	return nil
}

// throughStore stores a tracker and takes it up again: it goes on in the same way.
func throughStore(tracker ProbeTracker) (again ProbeTracker, err error) {
	stored, err := json.Marshal(tracker)
	if err != nil {
		return again, err
	}
	return again, json.Unmarshal(stored, &again)
}

func runProbeRows(t *testing.T, rows []probeRow) {
	t.Helper()
	var names []string
	for _, row := range rows {
		if slices.Contains(names, row.name) {
			t.Errorf("two rows are named %q", row.name)
		}
		names = append(names, row.name)
		row.run(t)
	}
}
