package scrape

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// client keeps its connections, as Prometheus does.
var client = http.Client{Timeout: 5 * time.Second}

// Page asks as Prometheus asks: OpenMetrics if there is, packed if they like.
func Page(ctx context.Context, url string) (string, error) { return page(ctx, url, false) }

// Up says whether a server answers, and keeps no connection to it: a server that is measured idle has nobody connected.
func Up(ctx context.Context, url string) error {
	_, err := page(ctx, url, true)
	return err
}

func page(ctx context.Context, url string, once bool) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	request.Close = once
	request.Header.Set("Accept", "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"+
		"application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1")
	request.Header.Set("Accept-Encoding", "gzip")
	request.Header.Set("X-Prometheus-Scrape-Timeout-Seconds", "5")
	answer, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body := io.Reader(answer.Body)
	if answer.Header.Get("Content-Encoding") == "gzip" {
		if body, err = gzip.NewReader(body); err != nil {
			return "", err
		}
	}
	text, err := io.ReadAll(body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s", url, answer.Status)
	}
	return string(text), err
}

// Sample reads one series, written as on the page, as a whole number.
func Sample(ctx context.Context, url, series string) (int, error) {
	text, err := Page(ctx, url)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		if value, found := strings.CutPrefix(line, series+" "); found {
			v, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			return int(v), err
		}
	}
	return 0, fmt.Errorf("no %s on %s", series, url)
}
