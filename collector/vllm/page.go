package vllm

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Page is what one /metrics page says.
type Page struct {
	// EngineSeries: the page has vllm: series of an engine, or vllm:cache_config_info alone, as the V0 engine has before
	// its first request (then Engines is empty: it has done nothing yet).
	EngineSeries bool
	// HTTPSeries: the page counts HTTP requests, so it speaks of requests even where EngineSeries is false.
	HTTPSeries bool
	// Engines, sorted by ID: each that has a counter or a gauge which we know. A gauge of an engine without a request yet
	// may be missing, and is unknown.
	Engines []watchdog.Engine
	// HTTPRequests is the sum of http_requests_total over POST handlers other than "none" and statuses other than 4xx.
	HTTPRequests watchdog.Maybe[float64]
	// StartedAt is process_start_time_seconds, else the oldest _created of the counters that we read, in Unix seconds; 0
	// where the page has neither (several API servers).
	StartedAt float64
}

var (
	errHTML      = errors.New("is an HTML page, not metrics: not vLLM, or a proxy or a login stands before it")
	errHalf      = errors.New("is half a page: it ends in the middle of a line")
	errNoEOF     = errors.New("is half a page: it does not end with # EOF")
	errEmpty     = errors.New("has no sample in it")
	errAfterEOF  = errors.New("goes on after # EOF")
	errBrokenRow = errors.New("a label value is broken over two lines")
)

// ParsePage reads a /metrics page in the Prometheus text format (0.0.4 and 1.0.0) or in OpenMetrics, told apart by
// contentType; none means text. It errs on what is not such a page, wholly or in part: then nothing of it is used. Lines of
// families that we do not read are looked at only as far as it takes to see that they are lines of a page.
func ParsePage(body []byte, contentType string) (Page, error) {
	var r reader
	return r.read(body, contentType)
}

// reader reads pages; it keeps its buffers from one page to the next.
type reader struct {
	picked []byte
	lines  []int32 // line number on the page of each picked line
}

// maxKept bounds the buffers that are kept between pages, in bytes.
const maxKept = 1 << 20

// read is ParsePage. A panic of the parser library is an unreadable page, not the end of the watchdog.
func (r *reader) read(body []byte, contentType string) (page Page, err error) {
	defer func() {
		if p := recover(); p != nil {
			page, err = Page{}, fmt.Errorf("cannot be parsed: %v", p)
		}
		if cap(r.picked) > maxKept {
			r.picked, r.lines = nil, nil
		}
	}()
	return r.parse(body, contentType)
}

func (r *reader) parse(body []byte, contentType string) (Page, error) {
	openMetrics, err := isOpenMetrics(body, contentType)
	if err != nil {
		return Page{}, err
	}
	var t tally
	if err := r.pick(body, openMetrics, &t); err != nil {
		return Page{}, err
	}
	var p textparse.Parser
	if openMetrics {
		r.picked = append(r.picked, "# EOF\n"...)
		p = textparse.NewOpenMetricsParser(r.picked, labels.NewSymbolTable())
	} else {
		p = textparse.NewPromParser(r.picked, labels.NewSymbolTable(), false)
	}
	var l labels.Labels
	for n := 0; ; n++ {
		entry, err := p.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			// The library's own text quotes the page, which is not ours to repeat.
			return Page{}, fmt.Errorf("line %d is not a sample of a metrics page", r.line(n))
		}
		if entry != textparse.EntrySeries {
			continue
		}
		series, _, value := p.Series()
		f := familyOf(p, series, &l)
		if f == foreign {
			continue
		}
		p.Labels(&l)
		if err := t.add(f, l, value); err != nil {
			return Page{}, err
		}
	}
	return t.page()
}

// line is the number on the page of the n-th picked line.
func (r *reader) line(n int) int32 {
	if len(r.lines) == 0 {
		return 0
	}
	return r.lines[min(n, len(r.lines)-1)]
}

// familyOf names the family of a parsed series. A name in quotes stands inside the braces and needs the labels.
func familyOf(p textparse.Parser, series []byte, l *labels.Labels) family {
	if len(series) > 0 && series[0] == '{' {
		p.Labels(l)
		return lookup([]byte(l.Get("__name__")))
	}
	return lookup(series[:nameEnd(series)])
}

func lookup(name []byte) family {
	if f, ok := families[string(name)]; ok {
		return f
	}
	return foreign
}

// isOpenMetrics chooses the format by the content type, and refuses what is neither.
func isOpenMetrics(body []byte, contentType string) (bool, error) {
	media, _, _ := strings.Cut(contentType, ";")
	media = strings.ToLower(strings.TrimSpace(media))
	if media == "text/html" || bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("<")) {
		return false, errHTML
	}
	switch media {
	case "", "text/plain":
		return false, nil
	case "application/openmetrics-text":
		return true, nil
	}
	return false, fmt.Errorf("is %.60q, which is no format of metrics that we read", media)
}
