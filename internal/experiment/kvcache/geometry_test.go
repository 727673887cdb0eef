package kvcache

import (
	"strings"
	"testing"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

func TestCacheOf(t *testing.T) {
	known := watchdog.Known[float64]
	const cpu12 = `vllm:cache_config_info{block_size="128",cache_dtype="auto",cpu_kvcache_space_bytes="1073741824",engine="0",kv_cache_memory_bytes="None",num_gpu_blocks="4096",num_gpu_blocks_override="None"} 1.0`
	const gpu = `vllm:cache_config_info{block_size="16",cache_dtype="fp8",engine="0",kv_cache_memory_bytes="None",num_gpu_blocks="27000",num_gpu_blocks_override="None"} 1.0`
	for name, c := range map[string]struct {
		page string
		want Cache
		none bool
	}{
		"0.12 on the CPU":      {cpu12 + "\n", Cache{known(4096), known(128), "auto", known(262144), fromTotal}, false},
		"0.32 on the CPU":      {strings.NewReplacer(`"None",num`, `"1073741824",num`, "cpu_kvcache_space_bytes", "other").Replace(cpu12) + "\n", Cache{known(4096), known(128), "auto", known(262144), fromTotal}, false},
		"blocks given by hand": {strings.ReplaceAll(strings.ReplaceAll(cpu12, `override="None"`, `override="40"`), "4096", "40") + "\n", Cache{Blocks: known(40), BlockTokens: known(128), DType: "auto"}, false},
		"a GPU":                {"# HELP x\n" + gpu + "\nvllm:num_requests_running 1\n", Cache{Blocks: known(27000), BlockTokens: known(16), DType: "fp8"}, false},
		"two engines alike":    {cpu12 + "\n" + strings.ReplaceAll(cpu12, `engine="0"`, `engine="1"`) + "\n", Cache{known(4096), known(128), "auto", known(262144), fromTotal}, false},
		"two that differ":      {cpu12 + "\n" + strings.ReplaceAll(cpu12, "4096", "2048") + "\n", Cache{BlockTokens: known(128), DType: "auto"}, false},
		"none":                 {"up 1\n", Cache{}, true},
		"broken":               {"vllm:cache_config_info{block_size=\"\n", Cache{}, true},
	} {
		got, found := cacheOf([]byte(c.page))
		if found == c.none || got != c.want {
			t.Errorf("%s: %v %+v, want %+v", name, found, got, c.want)
		}
	}
}

func TestBytesPerToken(t *testing.T) {
	const tiny = `{"num_hidden_layers":4,"num_attention_heads":4,"num_key_value_heads":2,"head_dim":64,"hidden_size":256,"torch_dtype":"bfloat16"}`
	with := func(more string) string { return strings.TrimSuffix(tiny, "}") + "," + more + "}" }
	for name, c := range map[string]struct {
		config, dtype string
		want          float64 // 0 is unknown
	}{
		"plain":                  {tiny, "auto", 2 * 4 * 2 * 64 * 2},
		"in one byte":            {tiny, "fp8_e4m3", 2 * 4 * 2 * 64},
		"head size by division":  {strings.Replace(tiny, `"head_dim":64,`, "", 1), "auto", 2048},
		"no grouped heads":       {strings.Replace(tiny, `"num_key_value_heads":2,`, "", 1), "auto", 4096},
		"new name of the type":   {strings.Replace(tiny, "torch_dtype", "dtype", 1), "auto", 2048},
		"a window that is off":   {with(`"sliding_window":4096,"use_sliding_window":false`), "auto", 2048},
		"all attention is full":  {with(`"layer_types":["full_attention","full_attention"]`), "auto", 2048},
		"a window":               {with(`"sliding_window":4096`), "auto", 0},
		"mixed layers":           {with(`"layer_types":["full_attention","sliding_attention"]`), "auto", 0},
		"latent attention":       {with(`"kv_lora_rank":512`), "auto", 0},
		"states instead of keys": {with(`"ssm_state_size":16`), "auto", 0},
		"float32 becomes other":  {strings.Replace(tiny, "bfloat16", "float32", 1), "auto", 0},
		"an unknown type":        {tiny, "nvfp4", 0},
		"nested":                 {`{"text_config":` + tiny + `}`, "auto", 0},
		"absurd":                 {strings.Replace(tiny, `"head_dim":64`, `"head_dim":99999999999`, 1), "auto", 0},
	} {
		got, err := bytesPerToken(strings.NewReader(c.config), c.dtype)
		if err != nil || got.Known != (c.want > 0) || got.Value != c.want {
			t.Errorf("%s: %v, %v; want %v", name, got, err, c.want)
		}
	}
	for _, text := range []string{"", "[]", `{"num_hidden_layers":"four"}`, strings.Repeat(" ", modelLimit+1)} {
		if got, err := bytesPerToken(strings.NewReader(text), "auto"); err == nil || got.Known {
			t.Errorf("%.20q: %v", text, got)
		}
	}
}
