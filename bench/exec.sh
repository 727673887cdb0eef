#!/usr/bin/env bash
# Measures what `gpu-watchdog exec` costs the server that it runs: how much later the server's first word comes, and the memory of
# the supervisor, beside tini where there is one (Debian's package tini):
#
#	bench/exec.sh [-starts 50] [-settle 20s] [-latest 50ms] [-limit 3]
#
# It needs Go and a C compiler, and a minute. BENCH_DIR keeps logs there. Exits 1 if a figure is not what it must be, 2 if it could
# not be measured.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. bench/prepare.sh

go build -o "$work/exec" ./bench/exec
git log -1 --format='gpu-watchdog %h of %cs' 2>/dev/null || true
"$work/exec" -watchdog "$work/gpu-watchdog" -tini "$(command -v tini || true)" -dir "$work" "$@"
