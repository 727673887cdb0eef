package vllm

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/gpu-watchdog/gpu-watchdog/internal/exposition"
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

// reader reads pages; it keeps its buffer from one page to the next.
type reader struct {
	sample exposition.Sample
}

func (r *reader) read(body []byte, contentType string) (Page, error) {
	openMetrics, err := isOpenMetrics(body, contentType)
	if err != nil {
		return Page{}, err
	}
	defer r.sample.Forget()
	var t tally
	if err := r.scan(body, openMetrics, &t); err != nil {
		return Page{}, err
	}
	return t.page()
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
