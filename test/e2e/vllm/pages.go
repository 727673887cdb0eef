package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

var gauge = regexp.MustCompile(`(?m)^vllm:num_requests_(running|waiting)\{.*\} (\S+)$`)

// inFlight is what the server itself says of requests in flight at this moment, read from its pages by ourselves.
func inFlight(ctx context.Context, url string) string {
	var out []string
	for _, found := range gauge.FindAllStringSubmatch(body(ctx, url+"/metrics"), -1) {
		out = append(out, found[1]+" "+found[2])
	}
	var load struct {
		Load *float64 `json:"server_load"`
	}
	if json.Unmarshal([]byte(body(ctx, url+"/load")), &load) == nil && load.Load != nil {
		out = append(out, fmt.Sprintf("/load %.0f", *load.Load))
	}
	if len(out) == 0 {
		return "no gauge, no /load"
	}
	return strings.Join(out, ", ")
}

func body(ctx context.Context, url string) string {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return ""
	}
	resp, err := healthClient.Do(req)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
	if err != nil {
		return ""
	}
	return string(page)
}

// counted is how often each of the words came.
func counted(words []string) string {
	count := map[string]int{}
	for _, w := range words {
		count[w]++
	}
	var out []string
	for _, w := range slices.Sorted(maps.Keys(count)) {
		out = append(out, fmt.Sprintf("%d × (%s)", count[w], w))
	}
	return strings.Join(out, ", ")
}
