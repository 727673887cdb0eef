package vllm

import "github.com/gpu-watchdog/gpu-watchdog/watchdog"

// family is what one series on the page means to us. Counters come first and equal watchdog's own numbers.
type family uint8

const (
	interTokensOld = family(watchdog.NumCounters) + iota
	prefixQueriesOld
	running
	waiting
	kvUsage
	kvUsageOld
	sleepState
	firstTokenSum
	created
	cacheConfig
	processStart
	httpRequests
	httpDuration
	foreign
	numCounterFamilies = running
)

// families maps the exact name of a series to its meaning. Never match by prefix: vllm:num_requests_waiting is one of
// vllm:num_requests_waiting_by_reason, and vllm:iteration_tokens_total is a histogram in spite of its name. The names
// on the wire are the same in the text format and in OpenMetrics, since we read series and not families.
var families = map[string]family{
	"vllm:prompt_tokens_total":                  family(watchdog.PromptTokens),
	"vllm:generation_tokens_total":              family(watchdog.GenerationTokens),
	"vllm:request_success_total":                family(watchdog.FinishedRequests),
	"vllm:time_to_first_token_seconds_count":    family(watchdog.FirstTokens),
	"vllm:inter_token_latency_seconds_count":    family(watchdog.InterTokens),
	"vllm:iteration_tokens_total_count":         family(watchdog.EngineSteps),
	"vllm:num_preemptions_total":                family(watchdog.Preemptions),
	"vllm:prefix_cache_queries_total":           family(watchdog.PrefixQueries),
	"vllm:time_per_output_token_seconds_count":  interTokensOld,   // until 0.11; 0.10.2 has both
	"vllm:gpu_prefix_cache_queries_total":       prefixQueriesOld, // until 0.11; 0.10.2 has both
	"vllm:num_requests_running":                 running,
	"vllm:num_requests_waiting":                 waiting,
	"vllm:kv_cache_usage_perc":                  kvUsage,
	"vllm:gpu_cache_usage_perc":                 kvUsageOld, // until 0.11; 0.10.2 has both
	"vllm:engine_sleep_state":                   sleepState,
	"vllm:time_to_first_token_seconds_sum":      firstTokenSum,
	"vllm:cache_config_info":                    cacheConfig,
	"vllm:prompt_tokens_created":                created,
	"vllm:generation_tokens_created":            created,
	"vllm:request_success_created":              created,
	"vllm:time_to_first_token_seconds_created":  created,
	"vllm:num_preemptions_created":              created,
	"process_start_time_seconds":                processStart,
	"http_requests_total":                       httpRequests,
	"http_request_duration_highr_seconds_count": httpDuration,
}

// olderNames says which older family stands in where the newer one is not on the page. Where both are, they count the
// same thing, so they are never added.
var olderNames = map[watchdog.Counter]family{
	watchdog.InterTokens:   interTokensOld,
	watchdog.PrefixQueries: prefixQueriesOld,
}
