package watchdog

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// scene plays a timeline on the fixture.
//
// A timeline is a row of steps, parted by semicolons. A step is what is different from the fixture in its looks, then
// how many looks it lasts, then what must have been decided about the last of them:
//
//	idle x20; tokens -> busy tokens_moved idle=0s; idle x14 -> quiet hold idle=70s
//
// "let WORDS" changes the fixture from there on and takes no look. "killed" restarts the watchdog alone, "resumed" the
// pod. A word with "b:" before it is about the second server. words_test.go has the words; expect_test.go has what can be
// asked. Every timeline begins with one first look, unless it says "raw" first.
type scene struct {
	rules *Rules
	state State
	last  Decision
	base  Snapshot
	at    time.Time
	tick  uint64
}

// act is one word's effect: on this look's snapshot, and, where it moves a counter, on the fixture for good.
type act func(sc *scene, s *Snapshot, arg string) error

var times = regexp.MustCompile(`^x(\d+)$`)

// timeline is one row of a table.
type timeline struct {
	// name says in our own words which sentence of the design the row holds.
	name  string
	steps string
	// servers is how many there are, 1 where 0, none where negative.
	servers int
	rules   func(*Rules)
}

func (tl timeline) run(t *testing.T) {
	t.Helper()
	t.Run(tl.name, func(t *testing.T) {
		t.Helper()
		n := max(0, tl.servers)
		if tl.servers == 0 {
			n = 1
		}
		sc := &scene{rules: fixtureRules(), base: fixtureSnapshot(n), at: fixtureEpoch}
		if tl.rules != nil {
			tl.rules(sc.rules)
		}
		steps := strings.TrimSpace(tl.steps)
		if rest, raw := strings.CutPrefix(steps, "raw;"); raw {
			steps = rest
		} else if err := sc.look(nil); err != nil {
			t.Fatal(err)
		}
		checked := 0
		for n, step := range strings.Split(steps, ";") {
			asked, err := sc.play(step)
			checked += asked
			if err != nil {
				t.Fatalf("step %d, %q: %v", n+1, strings.Join(strings.Fields(step), " "), err)
			}
		}
		if checked == 0 {
			t.Error("the timeline asks nothing, so it cannot fail")
		}
	})
}

func runTimelines(t *testing.T, rows []timeline) {
	t.Helper()
	seen := map[string]bool{}
	for _, row := range rows {
		if seen[row.name] {
			t.Errorf("two rows are named %q", row.name)
		}
		seen[row.name] = true
		row.run(t)
	}
}

// play plays one step and returns how many expectations it checked.
func (sc *scene) play(step string) (checked int, err error) {
	left, right, _ := strings.Cut(step, "->")
	words := strings.Fields(left)
	count := 1
	if n := len(words); n > 0 {
		if m := times.FindStringSubmatch(words[n-1]); m != nil {
			count, _ = strconv.Atoi(m[1])
			words = words[:n-1]
		}
	}
	switch {
	case len(words) == 0:
		return 0, fmt.Errorf("a step without a word")
	case words[0] == "let":
		return 0, sc.apply(&sc.base, words[1:])
	case words[0] == "killed":
		return 0, sc.restart(sc.base.StartID)
	case words[0] == "resumed":
		sc.base.StartID = "start-2"
		return 0, sc.restart(sc.base.StartID)
	}
	for range count {
		if err := sc.look(words); err != nil {
			return checked, err
		}
	}
	for _, want := range strings.Fields(right) {
		checked++
		if have, ok := expect(sc.last, sc.state, want); !ok {
			return checked, fmt.Errorf("want %s, have %s\n%s", want, have, describeDecision(sc.last))
		}
	}
	return checked, nil
}

// look takes one look with the given words.
func (sc *scene) look(words []string) error {
	s := sc.base.clone()
	if sc.tick == 0 || !sc.state.Based {
		s.Elapsed = 0
	}
	if err := sc.apply(&s, words); err != nil {
		return err
	}
	sc.tick++
	sc.at = sc.at.Add(s.Elapsed + s.WallStep)
	s.Tick, s.At = sc.tick, sc.at
	sc.state, sc.last = sc.rules.Decide(sc.state, s)
	return nil
}

func (sc *scene) apply(s *Snapshot, words []string) error {
	for _, word := range words {
		if m := connectionWord.FindStringSubmatch(word); m != nil {
			if err := connect(s, m); err != nil {
				return err
			}
			continue
		}
		name, arg, _ := strings.Cut(word, "=")
		f, ok := vocabulary[name]
		if !ok {
			return fmt.Errorf("there is no word %q", name)
		}
		if err := f(sc, s, arg); err != nil {
			return fmt.Errorf("%s: %w", word, err)
		}
	}
	return nil
}

// restart stores the state as the memory does, and takes it up again.
func (sc *scene) restart(startID string) error {
	text, err := json.Marshal(sc.state)
	if err != nil {
		return err
	}
	var stored State
	if err := json.Unmarshal(text, &stored); err != nil {
		return err
	}
	sc.state = Resume(stored, startID)
	return nil
}

// connectionWord is one connection: c1[348/0,2.6s/2.6s] has cookie 1, 348 bytes received, none sent, the last data came
// and went 2.6 s ago; ",left" after it is CLOSE_WAIT, ",:8001" another port.
var connectionWord = regexp.MustCompile(`^c(\d+)\[(\d+)/(\d+),([^/]+)/([^\],]+)(,left)?(?:,:(\d+))?\]$`)

func connect(s *Snapshot, m []string) error {
	cookie, _ := strconv.ParseUint(m[1], 10, 64)
	received, _ := strconv.ParseUint(m[2], 10, 64)
	sent, _ := strconv.ParseUint(m[3], 10, 64)
	came, err := time.ParseDuration(m[4])
	if err != nil {
		return err
	}
	went, err := time.ParseDuration(m[5])
	if err != nil {
		return err
	}
	port := uint64(8000)
	if m[7] != "" {
		port, _ = strconv.ParseUint(m[7], 10, 16)
	}
	s.Sockets.Connections = append(slices.Clone(s.Sockets.Connections), Connection{
		Cookie: cookie, Port: uint16(port), Peer: fmt.Sprintf("10.0.0.%d:4000", cookie),
		Received: received, Sent: sent, SinceReceived: came, SinceSent: went, HalfClosed: m[6] != "",
	})
	return nil
}
