package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

const textPage = "text/plain; version=1.0.0; charset=utf-8"

// killRow is one look at a server that was killed at t = 0; 0 as a status means that the port refused.
type killRow struct {
	T       float64  `json:"t"`
	Health  int      `json:"health"`
	Metrics int      `json:"metrics"`
	Running *float64 `json:"running"`
	Waiting *float64 `json:"waiting"`
	Success *float64 `json:"success"`
	Gen     *float64 `json:"gen"`
	KV      *float64 `json:"kv"`
	Load    string   `json:"load"`
}

// killTimeline reads the looks at a server before and after its death. The page was kept for one look of each /health
// status; the others carry its numbers, which must be the same, for they are frozen.
func (r *report) killTimeline(ctx context.Context, path string) error {
	var line struct {
		InFlight int       `json:"requests_in_flight"`
		Rows     []killRow `json:"rows"`
	}
	if err := readJSON(path, &line); err != nil {
		return err
	}
	p, err := newReplay()
	if err != nil {
		return err
	}
	defer p.close()
	prefix := strings.TrimSuffix(path, "timeline.json")
	h := history{frontends: 1}
	for _, k := range line.Rows {
		row := r.add(fmt.Sprintf("%s t=%.2f", r.name(path), k.T))
		if k.Metrics == 0 {
			row.truth = "refused"
			h.judge(row, p.read(ctx, nil))
			if row.verdict != "refused" {
				row.mismatch("the port refused")
			}
			continue
		}
		body, err := r.page(fmt.Sprintf("%shealth%d.metrics.txt.gz", prefix, k.Health))
		if err != nil {
			return err
		}
		m := moment{
			"/metrics": {Status: k.Metrics, ContentType: textPage, Body: body},
			"/health":  {Status: k.Health},
		}
		if strings.HasPrefix(k.Load, "{") {
			m["/load"] = recorded{Status: 200, Body: k.Load}
		}
		s := p.read(ctx, m)
		h.judge(row, s)
		row.truth = fmt.Sprintf("busy, %d in flight", line.InFlight)
		want := "busy"
		if k.Health == 503 {
			row.truth, want = "dead, gauges frozen", "dead"
		}
		if row.verdict != want {
			row.mismatch("the verdict should be %s", want)
		}
		for _, c := range []struct {
			name string
			says *float64
			read watchdog.Maybe[float64]
		}{
			{"running", k.Running, total(s, func(e watchdog.Engine) watchdog.Maybe[float64] { return e.Running })},
			{"waiting", k.Waiting, total(s, func(e watchdog.Engine) watchdog.Maybe[float64] { return e.Waiting })},
			{"kv", k.KV, total(s, func(e watchdog.Engine) watchdog.Maybe[float64] { return e.KVUsage })},
			{"finished", k.Success, counter(s, watchdog.FinishedRequests)},
			{"generated tokens", k.Gen, counter(s, watchdog.GenerationTokens)},
		} {
			if show(c.says) != show(c.read.Ptr()) {
				row.mismatch("%s: the look says %s, read %s", c.name, show(c.says), show(c.read.Ptr()))
			}
		}
	}
	return nil
}

// firstRequest reads the looks at a server during its very first request, whose kernels had to be compiled: nothing on
// the page moved, only /load knew. The page was kept for one look; the others are rebuilt from their numbers.
func (r *report) firstRequest(ctx context.Context, path string) error {
	var line struct {
		Rows []map[string]any `json:"rows"`
	}
	if err := readJSON(path, &line); err != nil {
		return err
	}
	kept, err := r.page(strings.Replace(path, "timeline.json", "3s-in.metrics.txt.gz", 1))
	if err != nil {
		return err
	}
	p, err := newReplay()
	if err != nil {
		return err
	}
	defer p.close()
	h := history{frontends: 1}
	inFlight, ended := 0.0, false
	for _, look := range line.Rows {
		row := r.add(fmt.Sprintf("%s t=%.2f", r.name(path), look["t"]))
		body := kept
		if look["prompt_tokens_total"].(float64) > 0 {
			look["process_start_time_seconds"] = h.last.StartedAt
			body = numbersPage(look)
		}
		s := p.read(ctx, moment{
			"/metrics": {Status: 200, ContentType: textPage, Body: body},
			"/health":  {Status: int(look["health"].(float64))},
			"/load":    {Status: 200, Body: look["load"].(string)},
		})
		h.judge(row, s)
		ended = inFlight > 0 && look["in_flight"].(float64) == 0
		inFlight = look["in_flight"].(float64)
		row.truth = fmt.Sprintf("%g in flight", inFlight)
		want := "idle"
		if inFlight > 0 || ended {
			want = "busy"
		}
		if row.verdict != want {
			row.mismatch("the verdict should be %s", want)
		}
	}
	return nil
}

// numbersPage writes a page that has the numbers of one look, for looks whose page was not kept.
func numbersPage(look map[string]any) string {
	var b strings.Builder
	for name, v := range look {
		if name == "process_start_time_seconds" {
			fmt.Fprintf(&b, "%s %v\n", name, v)
		}
		if f, ok := v.(float64); ok && (strings.HasSuffix(name, "_total") || strings.HasSuffix(name, "_count") || strings.HasPrefix(name, "num_") || strings.HasPrefix(name, "kv_")) {
			fmt.Fprintf(&b, "vllm:%s{engine=\"0\"} %v\n", name, f)
		}
	}
	return b.String()
}

// polls reads a table of several hundred looks through nine scenarios, some 35 ms apart. They carry numbers only, and
// are rebuilt as pages. With /load no look may call a server idle whose client had a request in flight before and after.
func (r *report) polls(ctx context.Context, path string) error {
	text, err := r.page(path)
	if err != nil {
		return err
	}
	delete(r.read, path)
	table, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		return err
	}
	p, err := newReplay()
	if err != nil {
		return err
	}
	defer p.close()
	names := map[string]string{
		"running": "num_requests_running", "waiting": "num_requests_waiting", "kv": "kv_cache_usage_perc",
		"prompt_tokens": "prompt_tokens_total", "generation_tokens": "generation_tokens_total",
		"ttft_count": "time_to_first_token_seconds_count", "success": "request_success_total",
		"prefix_queries": "prefix_cache_queries_total",
	}
	h := history{frontends: 1}
	row := r.add(r.name(path))
	busy, idle, late := 0, 0, 0
	for _, record := range table[1:] {
		look, load, before, after, at := map[string]any{}, "", 0, 0, record[0]
		for i, column := range table[0] {
			v, _ := strconv.ParseFloat(record[i], 64)
			switch {
			case column == "load":
				load = fmt.Sprintf(`{"server_load":%d}`, int(v))
			case column == "in_flight_before":
				before = int(v)
			case column == "in_flight_after":
				after = int(v)
			case names[column] != "":
				look[names[column]] = v
			}
		}
		s := p.read(ctx, moment{
			"/metrics": {Status: 200, ContentType: textPage, Body: numbersPage(look)},
			"/health":  {Status: 200},
			"/load":    {Status: 200, Body: load},
		})
		said := h.verdict(s) == "busy"
		switch {
		case before > 0 && after > 0 && said:
			busy++
		case before > 0 && after > 0:
			row.mismatch("t=%s: %d requests in flight, and not busy", at, before)
		case before == 0 && after == 0 && said:
			late++
		case before == 0 && after == 0:
			idle++
		}
	}
	row.verdict = fmt.Sprintf("%d looks: %d busy, %d idle", len(table)-1, busy+late, idle)
	row.truth = fmt.Sprintf("%d with requests throughout; busy for %d looks after the last one", busy, late)
	if busy == 0 || idle == 0 || late > 15*9 {
		row.mismatch("busy for too long after the last request, or no look of one kind")
	}
	return nil
}

// bench holds the difference of the pages before and after a benchmark against the benchmark's own count.
func (r *report) bench(ctx context.Context, path string) error {
	text, err := r.page(path)
	if err != nil {
		return err
	}
	delete(r.read, path)
	var result struct {
		Completed float64 `json:"completed"`
		Input     float64 `json:"total_input_tokens"`
		Output    float64 `json:"total_output_tokens"`
	}
	if err := json.Unmarshal([]byte(text), &result); err != nil {
		return err
	}
	p, err := newReplay()
	if err != nil {
		return err
	}
	defer p.close()
	row := r.add(r.name(filepath.Dir(path)) + " before, after")
	var readings [2]watchdog.Server
	h := history{frontends: 1}
	for i, when := range []string{"before", "after"} {
		body, err := r.page(filepath.Join(filepath.Dir(path), "metrics-"+when+".txt.gz"))
		if err != nil {
			return err
		}
		readings[i] = p.read(ctx, moment{"/metrics": {Status: 200, ContentType: textPage, Body: body}, "/health": {Status: 200}})
		h.judge(row, readings[i])
	}
	row.truth = fmt.Sprintf("%g requests, %g + %g tokens", result.Completed, result.Input, result.Output)
	for _, c := range []struct {
		name  string
		count watchdog.Counter
		want  float64
	}{
		{"finished", watchdog.FinishedRequests, result.Completed},
		{"first tokens", watchdog.FirstTokens, result.Completed},
		{"prompt tokens", watchdog.PromptTokens, result.Input},
		{"generated tokens", watchdog.GenerationTokens, result.Output},
	} {
		if got := counter(readings[1], c.count).Value - counter(readings[0], c.count).Value; got != c.want {
			row.mismatch("%s: the benchmark counts %g, the pages %g", c.name, c.want, got)
		}
	}
	if row.verdict != "busy" {
		row.mismatch("the verdict should be busy")
	}
	return nil
}

func readJSON(path string, into any) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}
