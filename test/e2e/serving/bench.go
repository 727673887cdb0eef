package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/test/e2e/internal/stage"
)

// prefix begins the ids of the benchmark's requests.
const prefix = "bench-"

// bench is what `vllm bench serve --save-detailed` saves, as far as it is read: of each request, in seconds, the time to its
// first token and the times between the others.
type bench struct {
	Completed   int         `json:"completed"`
	TotalInput  int         `json:"total_input_tokens"`
	TotalOutput int         `json:"total_output_tokens"`
	MeanTPOT    float64     `json:"mean_tpot_ms"`
	InputLens   []int       `json:"input_lens"`
	OutputLens  []int       `json:"output_lens"`
	TTFTs       []float64   `json:"ttfts"`
	ITLs        [][]float64 `json:"itls"`
}

// e2e is how long request i took, in seconds.
func (b bench) e2e(i int) float64 {
	sum := b.TTFTs[i]
	for _, gap := range b.ITLs[i] {
		sum += gap
	}
	return sum
}

const benchMost = 10 * time.Minute

// benchmark runs `vllm bench serve` against the server.
func (p *play) benchmark(ctx context.Context, name string) (b bench, err error) {
	ctx, cancel := context.WithTimeout(ctx, benchMost)
	defer cancel()
	c := p.config
	u, err := url.Parse(p.server.URL)
	if err != nil {
		return b, err
	}
	file := "bench-" + name + ".json"
	cmd := exec.CommandContext(ctx, filepath.Join(c.venv, "bin", "vllm"), "bench", "serve", "--backend", "openai", "--host", u.Hostname(), "--port", u.Port(),
		"--endpoint", "/v1/completions", "--model", stage.ModelName, "--tokenizer", c.model, "--dataset-name", "random", "--random-input-len", "200",
		"--random-output-len", "60", "--random-range-ratio", "0.5", "--num-prompts", strconv.Itoa(c.prompts), "--request-rate", fmt.Sprint(c.rate), "--seed", "1",
		"--ignore-eos", "--percentile-metrics", "ttft,tpot,itl,e2el", "--metric-percentiles", "50,95,99", "--request-id-prefix", prefix,
		"--save-result", "--save-detailed", "--result-dir", c.work, "--result-filename", file, "--disable-tqdm")
	cmd.Env = stage.Environment(c.venv, stage.Kernels(c.work))
	if out, err := cmd.CombinedOutput(); err != nil {
		return b, fmt.Errorf("vllm bench serve: %w: %s", err, out[max(0, len(out)-2000):])
	}
	text, err := os.ReadFile(filepath.Join(c.work, file))
	if err != nil {
		return b, err
	}
	if err := json.Unmarshal(text, &b); err != nil {
		return b, fmt.Errorf("read %s: %w", file, err)
	}
	if n := c.prompts; b.Completed != n || len(b.TTFTs) != n || len(b.ITLs) != n || len(b.InputLens) != n || len(b.OutputLens) != n {
		return b, fmt.Errorf("%s: %d of %d requests were completed, of which %d have times", file, b.Completed, n, len(b.TTFTs))
	}
	return b, nil
}
