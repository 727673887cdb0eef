#!/usr/bin/env bash
# Measures what gpu-watchdog holds of the machine's memory after a month's ticks, without NVIDIA's library:
#
#	bench/plateau.sh [-ticks 518400] [-limit 25]
#
# It needs Go and a C compiler, and about ten minutes. BENCH_DIR keeps the logs there. Exits 1 if more was resident than may
# be, 2 if it could not be measured.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tags=plateau
. bench/prepare.sh

go build -o "$work/plateau" ./bench/plateau
git log -1 --format='gpu-watchdog %h of %cs' 2>/dev/null || true
"$work/plateau" -watchdog "$work/gpu-watchdog" -page "$work/page" -recorded "$recorded" -dir "$work" "$@"
