package kvcache

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

const (
	none = "-" // of what is not known
	mib  = 1 << 20
)

// Table writes the report for people.
func (r *Report) Table(to io.Writer) {
	fmt.Fprintf(to, "%s at %s", r.Model, r.URL)
	if r.Version != "" {
		fmt.Fprintf(to, "   (version %s)", r.Version)
	}
	fmt.Fprintf(to, "\nprompt of %d tokens, one request at a time, %d of each length\n\n", r.PromptTokens, r.Repeats)
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "OUTPUT TOKENS\tTPOT (ms)\t±\tDECODE (ms)\tTBT P50\tP95\tPER TOKEN P50\tP95\tKV BLOCKS\tKV CACHE (MiB)\tGPU MEMORY (MiB)\tFAILED\t")
	for _, l := range r.Lengths {
		std := none
		if l.TPOT != nil && l.TPOT.Std.Known {
			std = fmt.Sprintf("%.3f", l.TPOT.Std.Value)
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%d\t\n", l.OutputTokens,
			show(l.TPOT, "%.3f", Spread.mean), std, show(l.Decode, "%.1f", Spread.mean),
			show(l.BetweenChunks, "%.3f", Spread.p50), show(l.BetweenChunks, "%.3f", Spread.p95),
			show(l.BetweenTokens, "%.3f", Spread.p50), show(l.BetweenTokens, "%.3f", Spread.p95),
			scaled(l.KVBlocks, 1, "%.0f"), scaled(l.KVBytes, mib, "%.2f"), scaled(l.GPUMemory, mib, "%.0f"), l.Failed)
	}
	w.Flush()
	fmt.Fprintln(to)
	fmt.Fprintln(to, "TPOT and decode time are means over requests (± standard deviation); TBT is the gap between two chunks of a stream, in ms.")
	if r.Cache != nil && r.Cache.BytesPerBlock.Known {
		fmt.Fprintf(to, "KV cache: the most in use by one request, in blocks of %s tokens and %.0f bytes (%s).\n",
			scaled(r.Cache.BlockTokens, 1, "%.0f"), r.Cache.BytesPerBlock.Value, r.Cache.BytesSource)
	}
	if r.GPUMemoryBefore.Known {
		fmt.Fprintf(to, "GPU memory was %.0f MiB before: vLLM takes it when it starts, so it does not grow with the output; the KV blocks do.\n", r.GPUMemoryBefore.Value/mib)
	}
	for _, note := range r.Notes {
		fmt.Fprintln(to, note+".")
	}
	if f := r.Fit; f != nil {
		const thousand = 1000
		fmt.Fprintf(to, "\nTPOT = %.3f ms %+.4f ms for each 1000 output tokens (95 %%: %+.4f to %+.4f), over %d requests.\n",
			f.Intercept, f.Slope*thousand, f.SlopeLow*thousand, f.SlopeHigh*thousand, f.Points)
	}
	if r.Verdict != nil {
		fmt.Fprintln(to, r.Verdict.Text)
	}
	if r.EndedEarly != "" {
		fmt.Fprintln(to, "Ended early: "+r.EndedEarly)
	}
}

// CSV writes a row for each length. An empty cell is unknown.
func (r *Report) CSV(to io.Writer) error {
	w := csv.NewWriter(to)
	rows := [][]string{{"output_tokens", "samples", "failed", "tpot_ms", "tpot_std_ms", "decode_ms", "ttft_ms", "tbt_chunk_mean_ms", "tbt_chunk_p50_ms",
		"tbt_chunk_p95_ms", "tbt_chunk_max_ms", "tbt_token_mean_ms", "tbt_token_p50_ms", "tbt_token_p95_ms", "kv_blocks_peak", "kv_bytes_peak", "gpu_memory_peak_bytes"}}
	number := func(s *Spread, of func(Spread) float64) string {
		if s == nil {
			return ""
		}
		return strconv.FormatFloat(of(*s), 'f', -1, 64)
	}
	maybe := func(v watchdog.Maybe[float64]) string {
		if !v.Known {
			return ""
		}
		return strconv.FormatFloat(v.Value, 'f', -1, 64)
	}
	for _, l := range r.Lengths {
		std := ""
		if l.TPOT != nil {
			std = maybe(l.TPOT.Std)
		}
		rows = append(rows, []string{strconv.Itoa(l.OutputTokens), strconv.Itoa(l.Samples), strconv.Itoa(l.Failed),
			number(l.TPOT, Spread.mean), std, number(l.Decode, Spread.mean), number(l.TTFT, Spread.mean),
			number(l.BetweenChunks, Spread.mean), number(l.BetweenChunks, Spread.p50), number(l.BetweenChunks, Spread.p95), number(l.BetweenChunks, Spread.most),
			number(l.BetweenTokens, Spread.mean), number(l.BetweenTokens, Spread.p50), number(l.BetweenTokens, Spread.p95),
			maybe(l.KVBlocks), maybe(l.KVBytes), maybe(l.GPUMemory)})
	}
	return w.WriteAll(rows)
}

func (s Spread) mean() float64 { return s.Mean }
func (s Spread) p50() float64  { return s.P50 }
func (s Spread) p95() float64  { return s.P95 }
func (s Spread) most() float64 { return s.Max }

func show(s *Spread, format string, of func(Spread) float64) string {
	if s == nil {
		return none
	}
	return fmt.Sprintf(format, of(*s))
}

func scaled(v watchdog.Maybe[float64], unit float64, format string) string {
	if !v.Known {
		return none
	}
	return fmt.Sprintf(format, v.Value/unit)
}
