package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"strconv"
)

const (
	// recordedModel is the name of the model with which the pages were recorded, served one such as people serve. The
	// longer name makes the page of 53 kB one of 60 kB, which is what a server of one engine shows.
	recordedModel = `model_name="tiny-llama"`
	served        = `model_name="meta-llama/Llama-3.1-8B-Instruct"`
	// least and most bound the length of the page in bytes, so that nobody measures another one unawares.
	least, most = 58_000, 64_000
	// tokensAtWork is how many tokens one page shows more than the one before, at work.
	tokensAtWork = 40
)

// shown is what changes from page to page.
type shown struct {
	pages   uint64 // how many were served before this one
	worked  uint64 // and how many of them at work
	running uint64
}

// state of the n-th page, if of each `of` pages the last busy ones show work.
func state(n, busy, of uint64) shown {
	s := shown{pages: n, worked: n / of * busy}
	if at := n % of; at >= of-busy {
		s.running = 1
		s.worked += at - (of - busy) + 1
	}
	return s
}

// living are the series whose values change, by the start of their lines.
var living = []struct {
	line  string
	value func(was float64, s shown) float64
}{
	{"process_cpu_seconds_total ", func(was float64, s shown) float64 { return was + float64(s.pages)/100 }},
	{"python_gc_collections_total{generation=\"0\"} ", func(was float64, s shown) float64 { return was + float64(s.pages/10) }},
	{"vllm:num_requests_running{", func(_ float64, s shown) float64 { return float64(s.running) }},
	{"vllm:generation_tokens_total{", func(was float64, s shown) float64 { return was + float64(s.worked*tokensAtWork) }},
	{"vllm:inter_token_latency_seconds_count{", func(was float64, s shown) float64 { return was + float64(s.worked*tokensAtWork) }},
	{"vllm:iteration_tokens_total_count{", func(was float64, s shown) float64 { return was + float64(s.worked*tokensAtWork) }},
}

// page is a page with gaps: before[i] comes before the value of gaps[i].
type page struct {
	before [][]byte
	gaps   []gap
	rest   []byte
}

type gap struct {
	was   float64
	value func(was float64, s shown) float64
}

func readPage(file string) (*page, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", file, err)
	}
	text, err := io.ReadAll(io.LimitReader(z, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("unpack %s: %w", file, err)
	}
	p, err := newPage(text)
	if err != nil {
		return nil, fmt.Errorf("page %s: %w", file, err)
	}
	return p, nil
}

func newPage(text []byte) (*page, error) {
	text = bytes.ReplaceAll(text, []byte(recordedModel), []byte(served))
	if len(text) < least || len(text) > most {
		return nil, fmt.Errorf("is %d bytes long, not between %d and %d", len(text), least, most)
	}
	p := &page{}
	var chunk []byte
	for line := range bytes.Lines(text) {
		end := bytes.LastIndexByte(line, ' ') + 1
		i := alive(line)
		if i < 0 {
			chunk = append(chunk, line...)
			continue
		}
		was, err := strconv.ParseFloat(string(bytes.TrimSpace(line[end:])), 64)
		if err != nil {
			return nil, fmt.Errorf("a series has no value: %q", line)
		}
		p.before = append(p.before, append(chunk, line[:end]...))
		p.gaps = append(p.gaps, gap{was, living[i].value})
		chunk = []byte("\n")
	}
	if len(p.gaps) != len(living) {
		return nil, fmt.Errorf("has %d of the %d series that a live server changes", len(p.gaps), len(living))
	}
	p.rest = chunk
	return p, nil
}

// alive is the index in living of the series on that line, or -1.
func alive(line []byte) int {
	for i, l := range living {
		if bytes.HasPrefix(line, []byte(l.line)) {
			return i
		}
	}
	return -1
}

// at is the page in that state.
func (p *page) at(s shown) []byte {
	out := make([]byte, 0, most+1024)
	for i, g := range p.gaps {
		out = append(out, p.before[i]...)
		out = strconv.AppendFloat(out, g.value(g.was, s), 'f', -1, 64)
	}
	return append(out, p.rest...)
}
