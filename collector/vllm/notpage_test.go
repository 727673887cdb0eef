package vllm

import (
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNotAPage(t *testing.T) {
	good := "vllm:prompt_tokens_total{engine=\"0\"} 5\n"
	tests := []struct {
		name, contentType, page, want string
	}{
		{"HTML by its type", "text/html; charset=utf-8", good, "HTML"},
		{"HTML by its looks", textType, "\n  <!DOCTYPE html>\n<html>\n", "HTML"},
		{"JSON", "application/json", `{"detail":"Not Found"}`, "no format of metrics"},
		{"JSON as text", textType, "{\"detail\":\"Not Found\"}\n", "line 1"},
		{"protobuf", "application/vnd.google.protobuf", "x", "no format of metrics"},
		{"nothing", textType, "", "no sample"},
		{"comments only", textType, "# nothing\n", "no sample"},
		{"a word", textType, "OK\n", "line 1"},
		{"a sentence", textType, good + "Internal Server Error\n", "line 2"},
		{"half a line", textType, good + "vllm:generation_tokens_to", "half a page"},
		{"half a number", textType, good + "vllm:generation_tokens_total{engine=\"0\"} 12", "half a page"},
		{"half a label", textType, good + "foo{engine=\"0\n", "broken over two lines"},
		{"half a label of ours", textType, good + "vllm:generation_tokens_total{engine=\"0\n", "broken over two lines"},
		{"a broken label that hides a series", textType, "foo{a=\"5\nvllm:num_requests_running 7\nb\"} 1\n", "broken over two lines"},
		{"a series of ours without a value", textType, good + "vllm:num_requests_running{engine=\"0\"}\n", "line 2"},
		{"a series of ours with a word", textType, good + "\nvllm:num_requests_running{engine=\"0\"} many\n", "line 3"},
		{"a name that starts with a digit", textType, "7up 1\n", "line 1"},
		{"OpenMetrics without its end", openType, strings.TrimSuffix(openPage, "# EOF\n"), "# EOF"},
		{"OpenMetrics that goes on", openType, openPage + good, "after # EOF"},
		{"engines without end", textType, manyEngines(maxEngines + 1), "more than 256 engines"},
		{"an engine with a long name", textType, "vllm:prompt_tokens_total{engine=\"" + strings.Repeat("9", 65) + "\"} 1\n", "label engine"},
		{"processes without end", textType, manyPIDs(maxPIDSeries + 1), "label pid"},
		{"none of our names beside vLLM's", textType, "vllm:cache_config_info{a=\"1\"} 1\nvllm:brand_new_tokens_total{engine=\"0\"} 4\n", "none of the counters"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParsePage([]byte(tt.page), tt.contentType)
			if err == nil {
				t.Fatalf("read as %+v", got)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q does not say %q", err, tt.want)
			}
			if !cmp.Equal(got, Page{}) {
				t.Errorf("an unreadable page still said %+v", got)
			}
		})
	}
}

func TestAsManyEnginesAsCanBe(t *testing.T) {
	got, err := ParsePage([]byte(manyEngines(maxEngines)), textType)
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Engines) != maxEngines {
		t.Errorf("%d engines, want %d", len(got.Engines), maxEngines)
	}
}

func manyEngines(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("vllm:prompt_tokens_total{engine=\"" + strconv.Itoa(i) + "\"} 1\n")
	}
	return b.String()
}

func manyPIDs(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString("vllm:num_requests_running{engine=\"0\",model_name=\"" + strconv.Itoa(i) + "\",pid=\"1\"} 1\n")
	}
	return b.String()
}
