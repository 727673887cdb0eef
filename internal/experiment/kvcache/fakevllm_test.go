package kvcache

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/load"
)

const (
	promptTokens = 100
	blockTokens  = 16
	blocks       = 1025 // one of them is the server's own
	blockBytes   = 32768
)

// fakeVLLM streams with a known time for each token, and shows the blocks that a request takes.
type fakeVLLM struct {
	// tpot is the time for each token of an output of that length.
	tpot func(length int) time.Duration
	// perChunk is how many tokens come in a chunk; silent tells no tokens of chunks.
	perChunk int
	silent   bool
	// short makes every output that many tokens shorter than asked for.
	short int
	// noPage answers 404 for /metrics.
	noPage bool
	// most is max_model_len; 0 tells none.
	most int
	// lingers says which requests stay at their end until the page was read twice more.
	lingers func(n int64) bool
	// forgets shows an empty cache whatever it holds.
	forgets bool
	// before is called with each request.
	before func(n int64)

	asked   atomic.Int64
	reads   atomic.Int64
	mu      sync.Mutex
	holding int // tokens in the KV cache
	lengths []int
}

func (f *fakeVLLM) hold(tokens int) {
	if f.forgets {
		return
	}
	f.mu.Lock()
	f.holding = tokens
	f.mu.Unlock()
}

func (f *fakeVLLM) serve(t *testing.T) *load.Client {
	t.Helper()
	if f.perChunk == 0 {
		f.perChunk = 1
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"data":[{"id":"tiny","root":"/nowhere/tiny","max_model_len":%d}]}`, f.most)
	})
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"version":"0.0.1-fake"}`) })
	if !f.noPage {
		mux.HandleFunc("GET /metrics", f.page)
	}
	mux.HandleFunc("POST /v1/completions", f.complete)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	client, err := load.New(load.Config{URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

func (f *fakeVLLM) page(w http.ResponseWriter, _ *http.Request) {
	defer f.reads.Add(1)
	f.mu.Lock()
	used := math.Ceil(float64(f.holding) / blockTokens)
	f.mu.Unlock()
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	fmt.Fprintf(w, `vllm:cache_config_info{block_size="%d",cache_dtype="auto",engine="0",kv_cache_memory_bytes="%d",num_gpu_blocks="%d",num_gpu_blocks_override="None"} 1.0
vllm:num_requests_running{engine="0",model_name="tiny"} 0.0
vllm:num_requests_waiting{engine="0",model_name="tiny"} 0.0
vllm:kv_cache_usage_perc{engine="0",model_name="tiny"} %v
vllm:generation_tokens_total{engine="0",model_name="tiny"} 1.0
`, blockTokens, blocks*blockBytes, blocks, used/(blocks-1))
}

// complete paces by a schedule, so that a late token does not make the next one late.
func (f *fakeVLLM) complete(w http.ResponseWriter, r *http.Request) {
	var q struct {
		MaxTokens int  `json:"max_tokens"`
		IgnoreEOS bool `json:"ignore_eos"`
		Options   struct {
			Continuous bool `json:"continuous_usage_stats"`
		} `json:"stream_options"`
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil || !q.IgnoreEOS {
		http.Error(w, "ignore_eos is missing", http.StatusBadRequest)
		return
	}
	n := f.asked.Add(1)
	if f.before != nil {
		f.before(n)
	}
	f.mu.Lock()
	f.lengths = append(f.lengths, q.MaxTokens)
	f.mu.Unlock()
	w.Header().Set("Content-Type", "text/event-stream")
	flush := http.NewResponseController(w)
	began, tpot := time.Now(), f.tpot(q.MaxTokens)
	timer := time.NewTimer(0)
	defer timer.Stop()
	total := q.MaxTokens - f.short
	for sent := 0; sent < total; {
		now := min(f.perChunk, total-sent)
		if sent == 0 {
			now = 1
		}
		sent += now
		if d := time.Until(began.Add(time.Duration(sent-1) * tpot)); d > 0 {
			timer.Reset(d)
			select {
			case <-timer.C:
			case <-r.Context().Done():
				return
			}
		}
		f.hold(promptTokens + sent)
		usage := ""
		if q.Options.Continuous && !f.silent {
			usage = fmt.Sprintf(`,"usage":{"prompt_tokens":%d,"completion_tokens":%d}`, promptTokens, sent)
		}
		fmt.Fprintf(w, `data: {"choices":[{"text":"x"}]%s}`+"\n\n", usage)
		_ = flush.Flush()
	}
	if f.lingers != nil && f.lingers(n) {
		f.linger(r.Context())
	}
	fmt.Fprintf(w, `data: {"choices":[],"usage":{"prompt_tokens":%d,"completion_tokens":%d}}`+"\n\ndata: [DONE]\n\n", promptTokens, total)
	_ = flush.Flush()
	f.hold(0)
}

// linger waits for two more readings of the page, the second of which began after it.
func (f *fakeVLLM) linger(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for before := f.reads.Load(); f.reads.Load() < before+2; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func flat(d time.Duration) func(int) time.Duration { return func(int) time.Duration { return d } }
