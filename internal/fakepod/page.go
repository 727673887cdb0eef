package fakepod

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// modelName is what the pod serves.
const modelName = "demo/llama-8b-instruct"

// page writes /metrics as vLLM 0.32 does with one engine and one API server: the families, their labels and their order,
// the text format of Python's client with its _created gauges, constant families that nobody measures among them.
type page struct {
	bytes.Buffer
	started time.Time
}

// labels of every series of an engine, and one more label where it has one ("key", "value").
func engineLabels(more ...string) string {
	pairs := map[string]string{"engine": "0", "model_name": modelName}
	for i := 0; i+1 < len(more); i += 2 {
		pairs[more[i]] = more[i+1]
	}
	return braces(pairs)
}

func braces(pairs map[string]string) string {
	texts := make([]string, 0, len(pairs))
	for _, k := range slices.Sorted(maps.Keys(pairs)) {
		texts = append(texts, fmt.Sprintf("%s=%q", k, pairs[k]))
	}
	return "{" + strings.Join(texts, ",") + "}"
}

// series is one line: labels in braces, and a value.
type series struct {
	labels string
	value  float64
}

func one(v float64) []series { return []series{{engineLabels(), v}} }

// each gives a series for each value of a label, all 0 but the first.
func each(first float64, label string, values ...string) []series {
	out := make([]series, len(values))
	for i, v := range values {
		out[i] = series{engineLabels(label, v), 0}
	}
	out[0].value = first
	return out
}

func (p *page) head(name, kind, help string) {
	fmt.Fprintf(p, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

func (p *page) gauge(name, help string, lines []series) {
	p.head(name, "gauge", help)
	for _, l := range lines {
		fmt.Fprintf(p, "%s%s %s\n", name, l.labels, pythonFloat(l.value))
	}
}

func (p *page) counter(name, help string, lines []series) {
	p.head(name+"_total", "counter", help)
	for _, l := range lines {
		fmt.Fprintf(p, "%s_total%s %s\n", name, l.labels, pythonFloat(l.value))
	}
	p.created(name, help, lines)
}

func (p *page) created(name, help string, lines []series) {
	at := make([]series, len(lines))
	for i, l := range lines {
		at[i] = series{l.labels, float64(p.started.UnixMicro()) / 1e6}
	}
	p.gauge(name+"_created", help, at)
}

func (p *page) histogram(name, help string, pairs map[string]string, h *histogram) {
	p.head(name, "histogram", help)
	labelled := func(le string) string {
		with := maps.Clone(pairs)
		with["le"] = le
		return braces(with)
	}
	total := uint64(0)
	for i, bound := range h.bounds {
		total += h.counts[i]
		fmt.Fprintf(p, "%s_bucket%s %s\n", name, labelled(pythonFloat(bound)), pythonFloat(float64(total)))
	}
	own := ""
	if len(pairs) > 0 {
		own = braces(pairs)
	}
	fmt.Fprintf(p, "%s_bucket%s %s\n", name, labelled("+Inf"), pythonFloat(float64(h.count)))
	fmt.Fprintf(p, "%s_count%s %s\n%s_sum%s %s\n", name, own, pythonFloat(float64(h.count)), name, own, pythonFloat(h.sum))
	p.created(name, help, []series{{own, 0}})
}

// process writes what Python's client says of its own process.
func (p *page) process() {
	const scrape = "of the API server's process"
	for i, name := range []string{"objects_collected", "objects_uncollectable", "collections"} {
		p.head("python_gc_"+name+"_total", "counter", "garbage collector "+scrape)
		for generation := range 3 {
			fmt.Fprintf(p, "python_gc_%s_total{generation=\"%d\"} %s\n", name, generation, pythonFloat(float64((3-generation)*(100-40*i))))
		}
	}
	p.gauge("python_info", "Python "+scrape, []series{{`{implementation="CPython",major="3",minor="12",patchlevel="1",version="3.12.1"}`, 1}})
	p.gauge("process_virtual_memory_bytes", "memory "+scrape, []series{{"", 4.7e9}})
	p.gauge("process_resident_memory_bytes", "memory "+scrape, []series{{"", 1.03e9}})
	p.gauge("process_start_time_seconds", "start "+scrape, []series{{"", float64(p.started.UnixMicro()) / 1e6}})
	p.head("process_cpu_seconds_total", "counter", "CPU "+scrape)
	fmt.Fprintf(p, "process_cpu_seconds_total %s\n", pythonFloat(20+time.Since(p.started).Seconds()/10))
	p.gauge("process_open_fds", "files "+scrape, []series{{"", 35}})
	p.gauge("process_max_fds", "files "+scrape, []series{{"", 20000}})
}

// engine writes one engine's families.
func (p *page) engine(s *stats) {
	n := func(v uint64) []series { return one(float64(v)) }
	for _, what := range []string{"flops", "read_bytes", "write_bytes"} {
		p.counter("vllm:estimated_"+what+"_per_gpu", "measured on demand only", one(0))
	}
	p.gauge("vllm:num_requests_running", "requests that run", n(uint64(s.running)))
	p.gauge("vllm:num_requests_waiting", "requests that wait to run", n(uint64(s.waiting)))
	p.gauge("vllm:num_requests_waiting_by_reason", "the same by reason", each(float64(s.waiting), "reason", "capacity", "deferred"))
	p.gauge("vllm:engine_sleep_state", "sleep mode", each(1, "sleep_state", "awake", "weights_offloaded", "discard_all"))
	p.gauge("vllm:kv_cache_usage_perc", "share of the KV blocks in use", one(float64(s.running)*0.021))
	p.counter("vllm:prefix_cache_queries", "prompt tokens looked up", n(s.prefixQueries))
	p.counter("vllm:prefix_cache_hits", "prompt tokens found", one(0))
	p.counter("vllm:external_prefix_cache_queries", "by a connector", one(0))
	p.counter("vllm:external_prefix_cache_hits", "by a connector", one(0))
	p.counter("vllm:mm_cache_queries", "multimodal inputs", one(0))
	p.counter("vllm:mm_cache_hits", "multimodal inputs", one(0))
	p.counter("vllm:num_preemptions", "preemptions", one(0))
	p.counter("vllm:prompt_tokens", "prompt tokens", n(s.prompt))
	p.counter("vllm:prompt_tokens_by_source", "the same by source", each(float64(s.prompt), "source", "local_compute", "local_cache_hit", "external_kv_transfer"))
	p.counter("vllm:prompt_tokens_cached", "prompt tokens that were cached", one(0))
	p.counter("vllm:prompt_tokens_cached_by_source", "the same by source", each(0, "source", "device", "host", "p2p", "disk", "external_unspecified"))
	p.counter("vllm:generation_tokens", "generated tokens", n(s.generation))
	p.counter("vllm:request_success", "finished requests", each(float64(s.success), "finished_reason", "length", "stop", "abort", "error", "repetition"))
	p.counter("vllm:admission_rejections", "rejected requests", []series{
		{braces(map[string]string{"model_name": modelName, "reason": "max_num_queued_reqs"}), 0},
		{braces(map[string]string{"model_name": modelName, "reason": "max_num_queued_tokens"}), 0},
	})
	for _, h := range []struct {
		name, help string
		of         *histogram
	}{
		{"request_prompt_tokens", "prompt tokens of finished requests", s.promptTokens},
		{"request_generation_tokens", "generated tokens of finished requests", s.generatedTokens},
		{"iteration_tokens_total", "tokens of each step", s.steps},
		{"time_to_first_token_seconds", "arrival to first token", s.firstToken},
		{"inter_token_latency_seconds", "token to token", s.interToken},
		{"request_time_per_output_token_seconds", "mean of each finished request", s.perToken},
		{"e2e_request_latency_seconds", "arrival to end", s.latest},
		{"request_queue_time_seconds", "arrival to running", s.queue},
		{"request_inference_time_seconds", "running to end", s.inference},
		{"request_prefill_time_seconds", "running to first token", s.prefill},
		{"request_decode_time_seconds", "first token to end", s.decode},
	} {
		p.histogram("vllm:"+h.name, h.help, map[string]string{"engine": "0", "model_name": modelName}, h.of)
	}
	p.gauge("vllm:cache_config_info", "cache settings", []series{{engineLabels(
		"block_size", "16", "cache_dtype", "auto", "enable_prefix_caching", "True", "gpu_memory_utilization", "0.92",
		"num_gpu_blocks", "8192", "kv_cache_size_tokens", "131072", "sliding_window", "None"), 1}})
}

// pythonFloat writes a number as Python's client does.
func pythonFloat(v float64) string {
	s := strconv.FormatFloat(v, 'f', -1, 64)
	whole, fraction, _ := strings.Cut(s, ".")
	if len(whole) > 6 {
		mantissa := strings.TrimRight(whole[1:]+fraction, "0")
		if mantissa == "" {
			mantissa = "0"
		}
		return fmt.Sprintf("%s.%se+%02d", whole[:1], mantissa, len(whole)-1)
	}
	if fraction == "" {
		fraction = "0"
	}
	return whole + "." + fraction
}
