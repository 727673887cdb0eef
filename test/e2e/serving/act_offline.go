package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/test/e2e/internal/stage"
)

// printed is a row as deploy/python's helper made it. Durations are in milliseconds.
type printed struct {
	Prefill *float64 `json:"prefill_time_ms"`
	Decode  *float64 `json:"decode_time_ms"`
	Total   *float64 `json:"total_time_ms"`
	Tokens  *int     `json:"n_tokens"`
	TPOT    *float64 `json:"tpot_ms"`
	Labels  struct {
		Restaurant int    `json:"restaurant_id"`
		Analysis   string `json:"analysis_type"`
	} `json:"labels"`
}

const offlineMost = 5 * time.Minute

// offline runs LLM.generate of real offline vLLM, whose rows the helper posts.
func (p *play) offline(ctx context.Context) error {
	if p.server != nil { // there is no server where vLLM is used offline
		if err := p.server.Stop(); err != nil {
			return err
		}
		p.server = nil
	}
	if p.w == nil {
		w, err := startWatchdog(ctx, p.config, "offline", "none", true)
		if err != nil {
			return err
		}
		p.w = w
	}
	ctx, cancel := context.WithTimeout(ctx, offlineMost)
	defer cancel()
	program := exec.CommandContext(ctx, filepath.Join(p.config.venv, "bin", "python"), filepath.Join(p.config.project, "deploy/python/try_offline.py"),
		p.config.model, "--url", "http://"+p.w.ingest)
	program.Env = append(stage.Environment(p.config.venv, stage.Kernels(p.config.work)), "VLLM_LOGGING_LEVEL=ERROR")
	var complaints bytes.Buffer // apart from its rows, so that no line falls into another
	program.Stderr = &complaints
	out, err := program.Output()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	last := lines[max(0, len(lines)-2):]
	if err != nil {
		last = append(last, complaints.String()[max(0, complaints.Len()-2000):])
	}
	p.report.Check("LLM.generate of offline vLLM posts its rows by the Python helper", err == nil, append(last, fmt.Sprintf("exit: %v", err))...)

	// The rows as the view has them; the helper gives each an id of its own, so its figures tell which it is.
	db, err := open(p.w.database)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // it was only read
	found, err := db.QueryContext(ctx, "SELECT prefill_time_ms, decode_time_ms, total_time_ms, n_tokens, tpot_ms, restaurant_id, analysis_type FROM vllm_metrics WHERE request_id LIKE 'offline-%'")
	if err != nil {
		return err
	}
	defer func() { _ = found.Close() }()
	var kept []printed
	for found.Next() {
		var r printed
		if err := found.Scan(&r.Prefill, &r.Decode, &r.Total, &r.Tokens, &r.TPOT, &r.Labels.Restaurant, &r.Labels.Analysis); err != nil {
			return fmt.Errorf("read a row of the helper: %w", err)
		}
		kept = append(kept, r)
	}
	if err := found.Err(); err != nil {
		return err
	}
	made, missing := 0, 0
	for _, line := range lines {
		body, yes := strings.CutPrefix(line, "row ")
		if !yes {
			continue
		}
		var r printed
		if err := json.Unmarshal([]byte(body), &r); err != nil {
			return fmt.Errorf("a row of the helper: %w: %s", err, body)
		}
		made++
		if !slices.ContainsFunc(kept, r.equals) {
			missing++
		}
	}
	example := ""
	if len(kept) > 0 {
		r := kept[0]
		example = fmt.Sprintf("such as prefill %s ms, decode %s ms, total %s ms, restaurant_id %d, analysis_type %s", number(r.Prefill), number(r.Decode), number(r.Total), r.Labels.Restaurant, r.Labels.Analysis)
	}
	p.report.Check("each of those rows is in vllm_metrics with its figures and labels", made > 0 && missing == 0 && len(kept) == made,
		fmt.Sprintf("%d were made, %d are kept, %d are missing", made, len(kept), missing), example)
	t, err := p.w.status(ctx)
	if err != nil {
		return err
	}
	p.report.Check("/status names posted rows as its source", t.Serving.Source != nil && *t.Serving.Source == "rows", "source "+text(t.Serving.Source))
	return nil
}

// equals compares to the nanosecond, to which the view rounds.
func (r printed) equals(o printed) bool {
	same := func(a, b *float64) bool {
		return a == nil && b == nil || a != nil && b != nil && math.Abs(*a-*b) < 2e-6
	}
	return same(r.Prefill, o.Prefill) && same(r.Decode, o.Decode) && same(r.Total, o.Total) && same(r.TPOT, o.TPOT) &&
		(r.Tokens == nil) == (o.Tokens == nil) && (r.Tokens == nil || *r.Tokens == *o.Tokens) && r.Labels == o.Labels
}
