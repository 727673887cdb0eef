package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// state is one entry of LABEL-states.json.
type state struct {
	State    string              `json:"state"`
	Label    string              `json:"label"`
	At       float64             `json:"at"`
	Pages    moment              `json:"pages"`
	Says     map[string]*float64 `json:"page_says"`
	Requests []request           `json:"requests"`
	Post     any                 `json:"post"` // the recorder's own call of /sleep, /pause and their like
	Truth    struct {
		InFlight int `json:"in_flight"`
		Finished int `json:"finished"`
		Aborted  int `json:"aborted_by_client"`
	} `json:"truth"`

	reading watchdog.Server
	row     *row
}

// request is the client's own record of one request; times in Unix seconds.
type request struct {
	Start float64  `json:"t_start"`
	First *float64 `json:"t_first_chunk"`
	End   *float64 `json:"t_end"`
}

// A page is read within this many seconds of its moment, and the server counts an event within this long of the client.
const (
	pageTakes  = 0.1
	countTakes = 0.5
)

// states reads one LABEL-states.json and every page that it names.
func (r *report) states(ctx context.Context, path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var all []*state
	if err := json.Unmarshal(raw, &all); err != nil {
		return err
	}
	p, err := newReplay()
	if err != nil {
		return err
	}
	defer p.close()
	dir := filepath.Dir(path)
	version := filepath.Base(dir)
	h := history{frontends: 1}
	requests := requestsOf(all)
	var before *state
	for _, s := range all {
		page := s.Pages["/metrics"]
		file := filepath.Join(dir, page.File)
		if page.Body, err = r.page(file); err != nil {
			return err
		}
		s.Pages["/metrics"] = page
		if s.Label == "api2" || s.Label == "dp2" {
			h.frontends = 2
		}
		s.row = r.add(r.name(file))
		s.reading = p.read(ctx, s.Pages)
		h.judge(s.row, s.reading)
		s.checkPage(version)
		s.checkEngines(version)
		s.checkVerdict(version, before, requests)
		if before != nil {
			checkStillness(before, s, requests)
		}
		before = s
		switch {
		case strings.Contains(s.State, "all-clients-gone"):
			r.lookAgain(ctx, p, &h, s, "hung?") // nothing moved, /load is 0, and a request is said to run
		case strings.HasSuffix(s.row.verdict, "yet"):
			r.lookAgain(ctx, p, &h, s, s.row.verdict) // never used, and so quiet from the second look on
		}
	}
	checkEvents(version, all, requests)
	return nil
}

// lookAgain reads an unchanged page a second time, as the next tick would.
func (r *report) lookAgain(ctx context.Context, p *replay, h *history, s *state, want string) {
	row := r.add(s.row.where + ", again")
	row.truth = "nothing happened in between"
	if h.judge(row, p.read(ctx, s.Pages)); row.verdict != want {
		row.mismatch("the verdict should be %s", want)
	}
}

// requestsOf joins the records of each request over all states: the last one knows its end.
func requestsOf(all []*state) []request {
	var joined []request
	at := map[float64]int{}
	for _, s := range all {
		for _, q := range s.Requests {
			i, known := at[q.Start]
			if !known {
				i = len(joined)
				at[q.Start] = i
				joined = append(joined, q)
			}
			if q.End != nil {
				joined[i].End = q.End
			}
		}
	}
	return joined
}

// checkPage holds every number of the reading against the recorder's own.
func (s *state) checkPage(version string) {
	read := s.reading
	if read.Outcome != watchdog.OutcomeAnswered {
		s.row.mismatch("the page was not read: %s", read.Detail)
		return
	}
	kv := s.Says["vllm:kv_cache_usage_perc"]
	if kv == nil {
		kv = s.Says["vllm:gpu_cache_usage_perc"]
	}
	for _, c := range []struct {
		name string
		says *float64
		read watchdog.Maybe[float64]
	}{
		{"running", s.Says["vllm:num_requests_running"], total(read, func(e watchdog.Engine) watchdog.Maybe[float64] { return e.Running })},
		{"waiting", s.Says["vllm:num_requests_waiting"], total(read, func(e watchdog.Engine) watchdog.Maybe[float64] { return e.Waiting })},
		{"kv", kv, total(read, func(e watchdog.Engine) watchdog.Maybe[float64] { return e.KVUsage })},
		{"prompt tokens", s.Says["vllm:prompt_tokens_total"], counter(read, watchdog.PromptTokens)},
		{"generated tokens", s.Says["vllm:generation_tokens_total"], counter(read, watchdog.GenerationTokens)},
		{"finished", s.Says["vllm:request_success_total"], counter(read, watchdog.FinishedRequests)},
		{"first tokens", s.Says["vllm:time_to_first_token_seconds_count"], counter(read, watchdog.FirstTokens)},
	} {
		if (c.says != nil) != c.read.Known || c.says != nil && math.Abs(*c.says-c.read.Value) > 1e-9 {
			s.row.mismatch("%s: the page says %s, read %s", c.name, show(c.says), show(c.read.Ptr()))
		}
	}
	health := watchdog.HealthUnknown
	switch s.Pages["/health"].Status {
	case 200:
		health = watchdog.HealthOK
	case 503:
		health = watchdog.HealthDead
	}
	if read.Health != health {
		s.row.mismatch("/health %d was read as %d", s.Pages["/health"].Status, read.Health)
	}
	var load struct {
		N *float64 `json:"server_load"`
	}
	_ = json.Unmarshal([]byte(s.Pages["/load"].Body), &load)
	if got := read.Load.Ptr(); (got == nil) != (load.N == nil) || got != nil && *got != *load.N {
		s.row.mismatch("/load is %s, read %s", show(load.N), show(got))
	}
	if read.Version != version {
		s.row.mismatch("version %q, read %q", version, read.Version)
	}
}

// checkEngines holds the shape of the page against how the server was started.
func (s *state) checkEngines(version string) {
	v0 := strings.HasPrefix(version, "0.8.")
	quietStats := s.Label == "nologstats"
	engines := 1
	switch {
	case s.Label == "dp2":
		engines = 2
	case quietStats, v0 && s.State == "b-ready-no-request-yet":
		engines = 0
	}
	if len(s.reading.Engines) != engines {
		s.row.mismatch("%d engines, read %d", engines, len(s.reading.Engines))
	}
	if s.reading.EngineSeries == quietStats {
		s.row.mismatch("EngineSeries is %v", s.reading.EngineSeries)
	}
	if s.reading.HTTPSeries == v0 {
		s.row.mismatch("HTTPSeries is %v", s.reading.HTTPSeries)
	}
	for _, e := range s.reading.Engines {
		asleep := s.Label == "sleep" && (strings.Contains(s.State, "sleep-level") || strings.Contains(s.State, "asleep"))
		if e.Awake.Known && e.Awake.Value == asleep {
			s.row.mismatch("engine %s: awake is %v", e.ID, e.Awake.Value)
		}
	}
}

// checkVerdict holds the word against the client's count.
func (s *state) checkVerdict(version string, before *state, requests []request) {
	in, recent := 0, false
	for _, q := range requests {
		if q.Start > s.At {
			continue
		}
		if q.End == nil || *q.End > s.At {
			in++
		}
		if before != nil && (q.End == nil || *q.End > before.At-countTakes) {
			recent = true
		}
	}
	in = min(in, s.Truth.InFlight)
	busy := strings.HasSuffix(s.row.verdict, "busy")
	s.row.truth = fmt.Sprintf("%d in flight, %d finished, %d aborted", s.Truth.InFlight, s.Truth.Finished, s.Truth.Aborted)
	switch {
	case s.Pages["/health"].Status == 503:
		s.want(version, s.row.verdict == "dead", "dead")
	case in > 0:
		s.want(version, busy, "busy")
	case s.ownCall() && busy:
		s.row.allowed = append(s.row.allowed, ownCalls)
	case recent:
		// Work ended since the page before: busy by its counters, or seen as ended already.
	case s.Label == "sleep" && strings.Contains(s.State, "sleep-level"):
		s.want(version, s.row.verdict == "asleep", "asleep")
	case strings.Contains(s.State, "ready") && s.Label == "nologstats":
		s.want(version, s.row.verdict == "no vllm series, idle", "no vllm series, idle")
	case strings.Contains(s.State, "ready"):
		s.want(version, s.row.verdict == "no request yet", "no request yet")
	default:
		s.want(version, strings.HasSuffix(s.row.verdict, "idle"), "idle")
	}
}

func (s *state) want(version string, holds bool, word string) {
	if holds {
		return
	}
	if why := allowedVerdict(version, s.Label, s.State); why != "" {
		s.row.allowed = append(s.row.allowed, why)
		return
	}
	s.row.mismatch("the verdict should be %s", word)
}

// checkStillness: between two pages around which no request was alive, no counter may move, and no gauge may be up.
func checkStillness(a, b *state, requests []request) {
	for _, q := range requests {
		if q.Start < b.At+pageTakes && (q.End == nil || *q.End > a.At-countTakes) {
			return
		}
	}
	if a.Pages["/health"].Status == 503 || b.Pages["/health"].Status == 503 {
		return
	}
	if b.ownCall() && onlyHTTP(a.reading, b.reading) {
		return
	}
	if moved(a.reading, b.reading) {
		b.row.mismatch("a counter moved since %s, though no request was alive", a.State)
	}
	if gauges(b.reading) > 0 {
		b.row.mismatch("a gauge is up, though no request was alive since %s", a.State)
	}
}

// onlyHTTP says that no engine's counter moved.
func onlyHTTP(before, after watchdog.Server) bool {
	before.HTTPRequests, after.HTTPRequests = watchdog.Maybe[float64]{}, watchdog.Maybe[float64]{}
	return !moved(before, after)
}

// checkEvents: each request that ended or got its first chunk has moved a counter between the last page before that and
// the first page after it.
func checkEvents(version string, all []*state, requests []request) {
	for i, q := range requests {
		for _, e := range []struct {
			what string
			at   *float64
		}{{"the first chunk", q.First}, {"the end", q.End}} {
			if e.at == nil {
				continue
			}
			before, after := around(all, *e.at)
			if before == nil || after == nil || moved(before.reading, after.reading) {
				continue
			}
			if why := allowedStill(version, after.Label, after.State, e.what); why != "" {
				after.row.allowed = append(after.row.allowed, why)
				continue
			}
			after.row.mismatch("%s of request %d moved no counter since %s", e.what, i, before.State)
		}
	}
}

// around finds the pages that bracket an event.
func around(all []*state, at float64) (before, after *state) {
	for _, s := range all {
		if s.At+pageTakes < at {
			before = s
		}
		if after == nil && s.At > at+countTakes {
			after = s
		}
	}
	return before, after
}

func total(s watchdog.Server, of func(watchdog.Engine) watchdog.Maybe[float64]) watchdog.Maybe[float64] {
	var t watchdog.Maybe[float64]
	for _, e := range s.Engines {
		if v := of(e); v.Known {
			t = watchdog.Known(t.Value + v.Value)
		}
	}
	return t
}

func counter(s watchdog.Server, c watchdog.Counter) watchdog.Maybe[float64] {
	return total(s, func(e watchdog.Engine) watchdog.Maybe[float64] { return e.Counters[c] })
}

func show(v *float64) string {
	if v == nil {
		return "nothing"
	}
	return fmt.Sprint(*v)
}
