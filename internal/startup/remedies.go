package startup

// Remedies are what shortens a phase, by its name.
var Remedies = map[string]string{
	"boot":        "keep the Python environment byte-compiled (python -m compileall) and on a local disk",
	"prepare":     "mostly imports of Python, once for each process: keep the environment byte-compiled and on a local disk",
	"weights":     "keep the weights on a local disk, as safetensors; a network volume reads faster with --safetensors-load-strategy=prefetch",
	"compile":     "keep the compile cache on a volume: VLLM_CACHE_ROOT=/workspace/vllm-cache",
	"capture":     "capture fewer graphs: a lower --max-num-seqs or fewer --cudagraph-capture-sizes",
	"warm_up":     "a given --kv-cache-memory-bytes spares the profiling run; nothing else is known to help",
	"serve":       "little to win: the API server's own start",
	"first_token": "kernels are compiled at the first request: keep TORCHINDUCTOR_CACHE_DIR and TRITON_CACHE_DIR on a volume, and send one request before users come",
}
