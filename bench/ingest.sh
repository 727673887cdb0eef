#!/usr/bin/env bash
# Measures what it costs to take vLLM's spans in: gpu-watchdog's processor time and memory under 500 spans a second, beside
# idling; and, with VENV, the processor time of vLLM's API server for a request with and without tracing:
#
#	[VENV=path/to/venv [MODEL=folder]] bench/ingest.sh [-rate 500] [-lasts 1m] [-delay 500ms] [-pairs 10] [-limit 25]
#
# VENV is a Python environment with vLLM for the CPU; test/e2e/vllm.sh says how to make one. Without it only our side is
# measured, in three minutes; with it two servers are started, which takes ten and 9 GB. BENCH_DIR keeps logs there. Exits 1
# if more memory was resident than may be or a span was lost, 2 if it could not be measured.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. bench/prepare.sh

theirs=()
if [[ -n ${VENV:-} ]]; then
	if [[ ! -x $VENV/bin/vllm ]]; then
		echo "VENV must name an environment with vLLM for the CPU: test/e2e/vllm.sh says how to make one" >&2
		exit 2
	fi
	VENV=$(cd "$VENV" && pwd)
	if [[ -z ${MODEL:-} ]]; then
		MODEL=$work/model
		[[ -s $MODEL/config.json ]] || "$VENV/bin/python" test/e2e/vllm/model.py "$MODEL"
	fi
	theirs=(-venv "$VENV" -model "$(cd "$MODEL" && pwd)")
fi
go build -o "$work/ingest" ./bench/ingest
git log -1 --format='gpu-watchdog %h of %cs' 2>/dev/null || true
"$work/ingest" -watchdog "$work/gpu-watchdog" -page "$work/page" -recorded "$recorded" -dir "$work" "${theirs[@]}" "$@"
