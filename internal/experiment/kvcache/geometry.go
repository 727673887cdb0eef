package kvcache

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"

	"github.com/gpu-watchdog/gpu-watchdog/internal/exposition"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Cache is the KV cache of one engine, as the server tells it.
type Cache struct {
	// Blocks is how many there are, one of them vLLM's own, which is never given to a request; BlockTokens is how many tokens
	// one holds.
	Blocks      watchdog.Maybe[float64] `json:"blocks"`
	BlockTokens watchdog.Maybe[float64] `json:"block_tokens"`
	// DType is the type of what is cached: auto is the model's own.
	DType string `json:"dtype"`
	// BytesPerBlock is the memory of one block on all GPUs together, over all layers, and BytesSource how it is known.
	BytesPerBlock watchdog.Maybe[float64] `json:"bytes_per_block"`
	BytesSource   string                  `json:"bytes_source,omitempty"`
}

// How the bytes of a block are known.
const (
	fromTotal = "the cache's memory ÷ its blocks"
	fromModel = "the model's config.json: 2 × layers × KV heads × head size × bytes of the type × tokens of a block"
)

var cacheInfo = []byte("vllm:cache_config_info{")

// cacheOf reads vllm:cache_config_info out of a page of metrics. Where engines differ, what they differ in is unknown.
func cacheOf(page []byte) (c Cache, found bool) {
	for line := range bytes.Lines(page) {
		if !bytes.HasPrefix(line, cacheInfo) {
			continue
		}
		one, ok := cacheOfLine(line)
		switch {
		case !ok:
		case !found:
			c, found = one, true
		default:
			c = common(c, one)
		}
	}
	return c, found
}

func cacheOfLine(line []byte) (c Cache, ok bool) {
	var s exposition.Sample
	if !s.Parse(bytes.TrimRight(line, "\r\n"), false) {
		return c, false
	}
	label := func(name string) string { return string(s.Get(name)) }
	c = Cache{Blocks: wholeNumber(label("num_gpu_blocks")), BlockTokens: wholeNumber(label("block_size")), DType: label("cache_dtype")}
	total := wholeNumber(label("kv_cache_memory_bytes"))
	if !total.Known {
		total = wholeNumber(label("cpu_kvcache_space_bytes"))
	}
	// Where the number of blocks was given by hand, the memory is not what they take.
	if by := label("num_gpu_blocks_override"); total.Known && c.Blocks.Known && (by == "" || by == "None") {
		c.BytesPerBlock, c.BytesSource = watchdog.Known(total.Value/c.Blocks.Value), fromTotal
	}
	return c, true
}

func common(a, b Cache) Cache {
	if a.Blocks != b.Blocks {
		a.Blocks = watchdog.Maybe[float64]{}
	}
	if a.BlockTokens != b.BlockTokens {
		a.BlockTokens = watchdog.Maybe[float64]{}
	}
	if a.DType != b.DType {
		a.DType = ""
	}
	if a.BytesPerBlock != b.BytesPerBlock {
		a.BytesPerBlock, a.BytesSource = watchdog.Maybe[float64]{}, ""
	}
	return a
}

// wholeNumber reads a positive number; "None" is none.
func wholeNumber(text string) watchdog.Maybe[float64] {
	n, err := strconv.ParseUint(text, 10, 53)
	if err != nil || n == 0 {
		return watchdog.Maybe[float64]{}
	}
	return watchdog.Known(float64(n))
}

// model is what the bytes of a token are computed from. Fields that change that sum must be absent, or say that they do not.
type model struct {
	Layers    int    `json:"num_hidden_layers"`
	Heads     int    `json:"num_attention_heads"`
	KVHeads   int    `json:"num_key_value_heads"`
	HeadSize  int    `json:"head_dim"`
	Hidden    int    `json:"hidden_size"`
	TorchType string `json:"torch_dtype"`
	Type      string `json:"dtype"`

	Latent     *int     `json:"kv_lora_rank"`
	LayerTypes []string `json:"layer_types"`
	Window     *int     `json:"sliding_window"`
	UseWindow  *bool    `json:"use_sliding_window"`
	Encoder    bool     `json:"is_encoder_decoder"`
	State      *int     `json:"mamba_d_state"`
	State2     *int     `json:"ssm_state_size"`
}

// modelLimit bounds a config.json, in bytes.
const modelLimit = 1 << 20

// bytesPerToken computes what one token takes in the KV cache of a model with plain attention in all layers; unknown for any
// other, and where the type that is cached is not certain (auto turns float32 into something else).
func bytesPerToken(config io.Reader, dtype string) (watchdog.Maybe[float64], error) {
	none := watchdog.Maybe[float64]{}
	text, err := io.ReadAll(io.LimitReader(config, modelLimit+1))
	if err != nil {
		return none, err
	}
	if len(text) > modelLimit {
		return none, errors.New("it is too large for a model's configuration")
	}
	var m model
	if err := json.Unmarshal(text, &m); err != nil {
		return none, err
	}
	if m.HeadSize == 0 && m.Heads > 0 {
		m.HeadSize = m.Hidden / m.Heads
	}
	if m.KVHeads == 0 {
		m.KVHeads = m.Heads
	}
	windowed := m.Window != nil && (m.UseWindow == nil || *m.UseWindow)
	for _, kind := range m.LayerTypes {
		windowed = windowed || kind != "full_attention"
	}
	const most = 1 << 20
	plain := m.Latent == nil && m.State == nil && m.State2 == nil && !m.Encoder && !windowed
	sane := min(m.Layers, m.KVHeads, m.HeadSize) > 0 && max(m.Layers, m.KVHeads, m.HeadSize) < most
	if m.Type == "" {
		m.Type = m.TorchType
	}
	if dtype == "auto" && m.Type != "float32" {
		dtype = m.Type
	}
	size, known := map[string]float64{"bfloat16": 2, "float16": 2, "fp8": 1, "fp8_e4m3": 1, "fp8_e5m2": 1}[dtype]
	if !plain || !sane || !known {
		return none, nil
	}
	return watchdog.Known(2 * float64(m.Layers) * float64(m.KVHeads) * float64(m.HeadSize) * size), nil
}
