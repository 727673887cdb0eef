package vllm

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

const (
	textType = "text/plain; version=1.0.0; charset=utf-8"
	openType = "application/openmetrics-text; version=1.0.0; charset=utf-8"
)

// known is short for watchdog.Known.
func known(v float64) watchdog.Maybe[float64] { return watchdog.Known(v) }

// one is a page of one engine that says only what set says.
func one(set func(*watchdog.Engine)) Page {
	e := watchdog.Engine{ID: "0"}
	set(&e)
	return Page{EngineSeries: true, Engines: []watchdog.Engine{e}}
}

func count(c watchdog.Counter, v float64) func(*watchdog.Engine) {
	return func(e *watchdog.Engine) { e.Counters[c] = known(v) }
}

func TestParsePage(t *testing.T) {
	tests := []struct {
		name string
		page string
		want Page
	}{
		{
			"a gauge is not one that begins like it",
			`vllm:num_requests_waiting{engine="0",model_name="m"} 2
vllm:num_requests_waiting_by_reason{engine="0",model_name="m",reason="capacity"} 7
vllm:num_requests_running_other{engine="0"} 9
`,
			one(func(e *watchdog.Engine) { e.Waiting = known(2) }),
		},
		{
			"reasons, models and unknown labels are summed",
			`vllm:request_success_total{engine="0",finished_reason="stop",model_name="a"} 1
vllm:request_success_total{engine="0",finished_reason="length",model_name="a"} 2
vllm:request_success_total{engine="0",finished_reason="abort",model_name="b"} 4
vllm:request_success_total{engine="0",finished_reason="stop",model_name="a",priority="7"} 8
`,
			one(count(watchdog.FinishedRequests, 15)),
		},
		{
			"gauges of several models are summed",
			`vllm:num_requests_running{engine="0",model_name="a"} 1
vllm:num_requests_running{engine="0",model_name="b"} 2
vllm:num_requests_waiting{engine="0",model_name="a"} 3
`,
			one(func(e *watchdog.Engine) { e.Running, e.Waiting = known(3), known(3) }),
		},
		{
			"without a label engine there is one engine, whose steps count while it idles",
			`vllm:prompt_tokens_total{model_name="m"} 5
vllm:iteration_tokens_total_count{model_name="m"} 3666.0
`,
			one(count(watchdog.PromptTokens, 5)),
		},
		{
			"an engine with a label has steps",
			"vllm:iteration_tokens_total_count{engine=\"0\",model_name=\"m\"} 3666.0\n",
			one(count(watchdog.EngineSteps, 3666)),
		},
		{
			"the newer of two names wins, and they are never added",
			`vllm:gpu_prefix_cache_queries_total{engine="0"} 2200
vllm:prefix_cache_queries_total{engine="0"} 2201
vllm:time_per_output_token_seconds_count{engine="0"} 10
vllm:inter_token_latency_seconds_count{engine="0"} 11
vllm:gpu_cache_usage_perc{engine="0"} 0.25
vllm:kv_cache_usage_perc{engine="0"} 0.5
`,
			one(func(e *watchdog.Engine) {
				e.Counters[watchdog.PrefixQueries] = known(2201)
				e.Counters[watchdog.InterTokens] = known(11)
				e.KVUsage = known(0.5)
			}),
		},
		{
			"the older name stands in",
			`vllm:gpu_prefix_cache_queries_total{engine="0"} 2200
vllm:time_per_output_token_seconds_count{engine="0"} 10
vllm:gpu_cache_usage_perc{engine="0"} 0.25
`,
			one(func(e *watchdog.Engine) {
				e.Counters[watchdog.PrefixQueries] = known(2200)
				e.Counters[watchdog.InterTokens] = known(10)
				e.KVUsage = known(0.25)
			}),
		},
		{
			"what cannot be is unknown, and so is a sum with it",
			`vllm:prompt_tokens_total{engine="0"} NaN
vllm:generation_tokens_total{engine="0"} +Inf
vllm:num_preemptions_total{engine="0"} -1
vllm:request_success_total{engine="0",finished_reason="stop"} 3
vllm:request_success_total{engine="0",finished_reason="length"} -1
vllm:num_requests_running{engine="0"} -2
vllm:num_requests_waiting{engine="0"} NaN
vllm:kv_cache_usage_perc{engine="0"} 90.4
vllm:time_to_first_token_seconds_sum{engine="0"} -48.2
vllm:engine_sleep_state{engine="0",sleep_state="awake"} NaN
`,
			one(func(*watchdog.Engine) {}),
		},
		{
			"a sum that overflows is unknown",
			"vllm:prompt_tokens_total{engine=\"0\",model_name=\"a\"} 1.7e308\nvllm:prompt_tokens_total{engine=\"0\",model_name=\"b\"} 1.7e308\n",
			one(func(*watchdog.Engine) {}),
		},
		{
			"an unknown newer value is not replaced by an older name",
			"vllm:prefix_cache_queries_total{engine=\"0\"} NaN\nvllm:gpu_prefix_cache_queries_total{engine=\"0\"} 7\n",
			one(func(*watchdog.Engine) {}),
		},
		{
			"gauges that differ in pid only are one: the highest",
			`vllm:kv_cache_usage_perc{engine="0",pid="11"} 0
vllm:kv_cache_usage_perc{engine="0",pid="12"} 0.75
vllm:kv_cache_usage_perc{engine="0",pid="13"} 0
vllm:num_requests_running{engine="0",model_name="a",pid="11"} 2
vllm:num_requests_running{engine="0",model_name="a",pid="12"} 5
vllm:num_requests_running{engine="0",model_name="a",pid="13"} 4
vllm:num_requests_running{engine="0",model_name="b",pid="11"} 1
`,
			one(func(e *watchdog.Engine) { e.KVUsage, e.Running = known(0.75), known(6) }),
		},
		{
			"engines come sorted, and each for itself, with gauges missing where it had no request",
			`vllm:prompt_tokens_total{engine="1",model_name="m"} 427
vllm:prompt_tokens_total{engine="0",model_name="m"} 0
vllm:num_requests_running{engine="1",model_name="m"} 2
`,
			Page{EngineSeries: true, Engines: []watchdog.Engine{
				{ID: "0", Counters: watchdog.Counters{watchdog.PromptTokens: known(0)}},
				{ID: "1", Counters: watchdog.Counters{watchdog.PromptTokens: known(427)}, Running: known(2)},
			}},
		},
		{
			"an engine that shows a gauge and no counter is not lost",
			"vllm:num_requests_running{engine=\"3\"} 1\n",
			Page{EngineSeries: true, Engines: []watchdog.Engine{{ID: "3", Running: known(1)}}},
		},
		{
			"asleep at level 1",
			`vllm:engine_sleep_state{engine="0",sleep_state="awake"} 0
vllm:engine_sleep_state{engine="0",sleep_state="weights_offloaded"} 1
vllm:engine_sleep_state{engine="0",sleep_state="discard_all"} 0
`,
			one(func(e *watchdog.Engine) { e.Awake = watchdog.Known(false) }),
		},
		{
			"awake",
			`vllm:engine_sleep_state{engine="0",sleep_state="awake"} 1
vllm:engine_sleep_state{engine="0",sleep_state="discard_all"} 0
`,
			one(func(e *watchdog.Engine) { e.Awake = watchdog.Known(true) }),
		},
		{
			"first token sum and count",
			`vllm:time_to_first_token_seconds_bucket{engine="0",le="0.001"} 1
vllm:time_to_first_token_seconds_count{engine="0"} 10
vllm:time_to_first_token_seconds_sum{engine="0"} 34.5
`,
			one(func(e *watchdog.Engine) {
				e.Counters[watchdog.FirstTokens], e.FirstTokenSecondsSum = known(10), known(34.5)
			}),
		},
		{
			"requests that can be work: POST, a handler of the server, not refused",
			`http_requests_total{handler="/v1/completions",method="POST",status="2xx"} 13
http_requests_total{handler="/v1/chat/completions",method="POST",status="200"} 2
http_requests_total{handler="/v1/completions",method="POST",status="5xx"} 4
http_requests_total{handler="/v1/completions",method="POST",status="4xx"} 100
http_requests_total{handler="/v1/completions",method="POST",status="429"} 100
http_requests_total{handler="/v1/models",method="GET",status="2xx"} 100
http_requests_total{handler="none",method="POST",status="2xx"} 100
`,
			Page{HTTPSeries: true, HTTPRequests: known(19)},
		},
		{
			"requests that do not say what they were cannot be judged",
			"http_requests_total{handler=\"/v1/completions\",status=\"2xx\"} 13\n",
			Page{HTTPSeries: true},
		},
		{
			"a family that is declared and has no sample yet counts 0",
			"# HELP http_requests_total Total.\n# TYPE http_requests_total counter\nprocess_open_fds 1\n",
			Page{HTTPSeries: true, HTTPRequests: known(0)},
		},
		{
			"no request at all was served: several API servers declare nothing before the first",
			"http_request_duration_highr_seconds_count 0.0\n",
			Page{HTTPSeries: true, HTTPRequests: known(0)},
		},
		{
			"requests were served, and the family that tells them apart is missing",
			"http_request_duration_highr_seconds_count 3.0\n",
			Page{},
		},
		{
			"the V0 engine before its first request",
			"vllm:cache_config_info{block_size=\"16\"} 1.0\n",
			Page{EngineSeries: true},
		},
		{
			"another part of vLLM counts, and no engine does",
			"vllm:tool_call_parser_invocations_total{mode=\"auto\"} 3\nhttp_requests_total{handler=\"/v1/x\",method=\"POST\",status=\"2xx\"} 1\n",
			Page{HTTPSeries: true, HTTPRequests: known(1)},
		},
		{
			"the process's start comes before any stamp",
			`process_start_time_seconds 1.79550034872e+09
vllm:prompt_tokens_total{engine="0"} 1
vllm:prompt_tokens_created{engine="0"} 1.7955004e+09
`,
			Page{EngineSeries: true, StartedAt: 1795500348.72, Engines: one(count(watchdog.PromptTokens, 1)).Engines},
		},
		{
			"the oldest stamp stands in for the process's start; stamps are no counters",
			`vllm:prompt_tokens_total{engine="0"} 1
vllm:request_success_created{engine="0",finished_reason="stop"} 1795500412
vllm:prompt_tokens_created{engine="0"} 1795500411
vllm:generation_tokens_created{engine="0"} 1795500413
`,
			Page{EngineSeries: true, StartedAt: 1795500411, Engines: one(count(watchdog.PromptTokens, 1)).Engines},
		},
		{
			"escapes, spaces, time stamps and comments are read as the format has them",
			"# just a comment\n\nvllm:prompt_tokens_total { engine = \"0\" , model_name = \"a\\\"\\\\b\\nc\" , } 5 1795500411000\n" +
				"go_info{version=\"a\\\"b\"} 1\n",
			one(count(watchdog.PromptTokens, 5)),
		},
		{
			"a name in quotes",
			"{\"vllm:prompt_tokens_total\",engine=\"0\"} 5\n",
			one(count(watchdog.PromptTokens, 5)),
		},
		{
			"a page of something else",
			"# TYPE up gauge\nup 1\nnode_cpu_seconds_total{cpu=\"0\"} 17.5\n",
			Page{},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParsePage([]byte(tt.page), textType)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// openPage is OpenMetrics as the Rust frontend writes it.
const openPage = `# HELP vllm:num_requests_running Requests running.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{model_name="m",engine="0"} 2
# HELP vllm:prompt_tokens Prompt tokens.
# TYPE vllm:prompt_tokens counter
# UNIT vllm:prompt_tokens tokens
vllm:prompt_tokens_total{model_name="m",engine="0"} 614 # {trace_id="a#b"} 12.0 1795500411.5
vllm:prompt_tokens_created{model_name="m",engine="0"} 1795500411.5
# HELP vllm:time_to_first_token_seconds Time to first token.
# TYPE vllm:time_to_first_token_seconds histogram
vllm:time_to_first_token_seconds_sum{model_name="m",engine="0"} 1.5
vllm:time_to_first_token_seconds_count{model_name="m",engine="0"} 3
vllm:time_to_first_token_seconds_bucket{le="0.5",model_name="m",engine="0"} 2 # {trace_id="c"} 0.25
vllm:time_to_first_token_seconds_bucket{le="+Inf",model_name="m",engine="0"} 3
# TYPE http_requests counter
# EOF
`

func TestParseOpenMetrics(t *testing.T) {
	want := one(func(e *watchdog.Engine) {
		e.Running = known(2)
		e.Counters[watchdog.PromptTokens] = known(614)
		e.Counters[watchdog.FirstTokens] = known(3)
		e.FirstTokenSecondsSum = known(1.5)
	})
	want.StartedAt = 1795500411.5
	want.HTTPSeries, want.HTTPRequests = true, known(0)
	for _, page := range []string{openPage, strings.TrimSuffix(openPage, "\n")} {
		got, err := ParsePage([]byte(page), openType)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	}
}

// A reader that reads page after page must not let one shine through in the next.
func TestReaderKeepsNothing(t *testing.T) {
	var r reader
	long := manyEngines(20)
	if _, err := r.read([]byte(long), textType); err != nil {
		t.Fatal(err)
	}
	if _, err := r.read([]byte("<html>"), textType); err == nil {
		t.Fatal("HTML was read")
	}
	body := []byte("vllm:prompt_tokens_total{engine=\"7\"} 5\n")
	got, err := r.read(body, textType)
	if err != nil {
		t.Fatal(err)
	}
	for i := range body {
		body[i] = 'x' // the buffer is used again for the next answer
	}
	if _, err := r.read([]byte(long), textType); err != nil {
		t.Fatal(err)
	}
	want := Page{EngineSeries: true, Engines: []watchdog.Engine{{ID: "7", Counters: watchdog.Counters{watchdog.PromptTokens: known(5)}}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
