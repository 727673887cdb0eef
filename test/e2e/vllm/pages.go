package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/gpu-watchdog/gpu-watchdog/test/e2e/internal/stage"
)

var gauge = regexp.MustCompile(`(?m)^vllm:num_requests_(running|waiting)\{.*\} (\S+)$`)

// inFlight is what the server itself says of requests in flight at this moment, read from its pages by ourselves.
func inFlight(ctx context.Context, url string) string {
	var out []string
	for _, found := range gauge.FindAllStringSubmatch(stage.Page(ctx, url+"/metrics"), -1) {
		out = append(out, found[1]+" "+found[2])
	}
	var load struct {
		Load *float64 `json:"server_load"`
	}
	if json.Unmarshal([]byte(stage.Page(ctx, url+"/load")), &load) == nil && load.Load != nil {
		out = append(out, fmt.Sprintf("/load %.0f", *load.Load))
	}
	if len(out) == 0 {
		return "no gauge, no /load"
	}
	return strings.Join(out, ", ")
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
