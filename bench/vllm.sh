#!/usr/bin/env bash
# Measures what gpu-watchdog costs a real vLLM on this machine's CPU, in pairs with and without it:
#
#	VENV=path/to/venv [MODEL=folder] bench/vllm.sh [-client path/to/venv] [-pairs 10] [-prompts 260] [-turn 200ms]
#
# VENV is a Python environment with vLLM for the CPU; test/e2e/vllm.sh says how to make one. MODEL is a model's folder;
# without it a tiny one with random weights is made. A benchmark that tells when each request was sent comes with vLLM 0.32, not with 0.12; but
# 0.12 serves a model from the engine's own process, where 0.32 lets two processes wait for each other in a loop, which
# leaves a machine of two cores no room for anybody else: -client takes the benchmark from another environment than the server's. It takes 25 minutes;
# whatever else runs on the machine is in the figures. BENCH_DIR keeps logs
# and results there. Exits 1 if the cost is not within its bound, 2 if it could not be measured.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [[ ! -x ${VENV:-}/bin/vllm ]]; then
	echo "VENV must name an environment with vLLM for the CPU: test/e2e/vllm.sh says how to make one" >&2
	exit 2
fi
VENV=$(cd "$VENV" && pwd)
. bench/prepare.sh

if [[ -z ${MODEL:-} ]]; then
	MODEL=$work/model
	[[ -s $MODEL/config.json ]] || "$VENV/bin/python" test/e2e/vllm/model.py "$MODEL"
fi
go build -o "$work/vllm" ./bench/vllm
git log -1 --format='gpu-watchdog %h of %cs' 2>/dev/null || true
"$VENV/bin/python" -c "import importlib.metadata as m; print('vLLM', m.version('vllm'))"
"$work/vllm" -watchdog "$work/gpu-watchdog" -venv "$VENV" -model "$(cd "$MODEL" && pwd)" -dir "$work" "$@"
