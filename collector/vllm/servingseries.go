package vllm

import (
	"strconv"

	"github.com/gpu-watchdog/gpu-watchdog/internal/exposition"
)

// part is what one series of a histogram, or beside the histograms, is.
type part uint8

const (
	partNone part = iota
	partBucket
	partSum
	partCount
	partAborted
	partCache
)

// interTokenOld is the family that older versions have for InterToken; some have both, which count the same.
const interTokenOld = NumFamilies

// servedSeries maps the exact name of a series to its meaning.
var servedSeries = func() map[string]seriesMeaning {
	all := map[string]seriesMeaning{
		"vllm:request_success_total": {part: partAborted},
		"vllm:cache_config_info":     {part: partCache},
	}
	for base, f := range map[string]Family{
		"vllm:time_to_first_token_seconds":           TTFT,
		"vllm:inter_token_latency_seconds":           InterToken,
		"vllm:time_per_output_token_seconds":         interTokenOld,
		"vllm:request_time_per_output_token_seconds": PerOutputToken,
		"vllm:e2e_request_latency_seconds":           EndToEnd,
		"vllm:request_queue_time_seconds":            Queue,
		"vllm:request_prefill_time_seconds":          Prefill,
		"vllm:request_decode_time_seconds":           Decode,
		"vllm:request_generation_tokens":             OutputTokens,
	} {
		all[base+"_bucket"] = seriesMeaning{part: partBucket, family: f}
		all[base+"_sum"] = seriesMeaning{part: partSum, family: f}
		all[base+"_count"] = seriesMeaning{part: partCount, family: f}
	}
	return all
}()

// seriesMeaning is what a series says, as far as its name and labels tell. A server repeats the same series in every page,
// so it is worked out once and kept.
type seriesMeaning struct {
	part   part
	family Family
	engine string
	// le is a bucket's upper bound; broken says that it has none.
	le     float64
	broken bool
	// blocks and tokens are the size of the KV cache, 0 where unknown.
	blocks, tokens float64
}

// meaningOf works out a series from its labels.
func meaningOf(s *exposition.Sample) seriesMeaning {
	m, ok := servedSeries[string(s.Name)]
	if !ok {
		return seriesMeaning{}
	}
	m.engine = string(s.Get("engine"))
	if m.engine == "" {
		m.engine = string(zeroEngine)
	}
	if len(m.engine) > maxEngineID {
		return seriesMeaning{}
	}
	switch m.part {
	case partBucket:
		le, err := strconv.ParseFloat(string(s.Get("le")), 64)
		m.le, m.broken = le, err != nil || le != le
	case partAborted:
		if string(s.Get("finished_reason")) != "abort" {
			return seriesMeaning{}
		}
	case partCache:
		m.blocks = wholeNumber(s.Get("num_gpu_blocks"))
		if m.tokens = wholeNumber(s.Get("kv_cache_size_tokens")); m.tokens == 0 {
			m.tokens = m.blocks * wholeNumber(s.Get("block_size"))
		}
	}
	return m
}

// wholeNumber reads the number of a label, 0 where it is none, as in "None".
func wholeNumber(text []byte) float64 {
	n, err := strconv.ParseUint(string(text), 10, 40)
	if err != nil {
		return 0
	}
	return float64(n)
}

const (
	// maxSeriesKept bounds the memory for known series, in bytes of their text; a page of one engine needs 25 kB.
	maxSeriesKept = 512 << 10
	// maxSeriesText is the longest series that is kept.
	maxSeriesText = 4 << 10
)

// knownSeries remembers the meaning of series by their text.
type knownSeries struct {
	meanings map[string]seriesMeaning
	bytes    int
}

// room drops everything where the last page did not fit: what was kept may be of a server that is gone.
func (k *knownSeries) room() {
	if k.meanings == nil || k.bytes > maxSeriesKept {
		k.meanings, k.bytes = map[string]seriesMeaning{}, 0
	}
}

func (k *knownSeries) keep(series []byte, m seriesMeaning) {
	if len(series) > maxSeriesText || k.bytes > maxSeriesKept {
		return
	}
	k.meanings[string(series)] = m
	// Beside the text an entry takes about twice the size of its meaning in the map.
	k.bytes += len(series) + 128
}
