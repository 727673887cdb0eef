#!/usr/bin/env bash
# Measures what a tick of gpu-watchdog costs beside a plain Python poller and prometheus-node-exporter, all at once:
#
#	bench/tick.sh [-phases 1s:90s,5s:120s]
#
# It needs Go, a C compiler, Python 3 with a package index (requests and prometheus_client go into an environment of their
# own) and Debian's prometheus-node-exporter. BENCH_DIR keeps the logs and the environment there. Exits 1 if a figure is
# not what it must be, 2 if it could not be measured.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. bench/prepare.sh

if ! command -v prometheus-node-exporter >/dev/null; then
	echo "prometheus-node-exporter is missing: apt-get install prometheus-node-exporter" >&2
	exit 2
fi
if [[ ! -x $work/venv/bin/python ]]; then
	python3 -m venv "$work/venv"
	"$work/venv/bin/pip" install -q requests==2.34.2 prometheus_client==0.26.0
fi
go build -o "$work/tick" ./bench/tick
git log -1 --format='gpu-watchdog %h of %cs' 2>/dev/null || true
"$work/venv/bin/pip" list 2>/dev/null | grep -iE '^(requests|prometheus)' || true
prometheus-node-exporter --version 2>&1 | head -n 1
# A pod has a network of its own. With another's connections in it, the watchdog looks through the kernel's table more often.
alone=()
if unshare --net ip link set lo up 2>/dev/null; then
	# shellcheck disable=SC2016 # the inner shell expands it
	alone=(unshare --net sh -c 'ip link set lo up && exec "$@"' sh)
else
	echo "no network of its own (that takes root): connections of others are in the figures"
fi
"${alone[@]}" "$work/tick" -watchdog "$work/gpu-watchdog" -page "$work/page" -recorded "$recorded" -dir "$work" \
	-python "$work/venv/bin/python" -poller bench/tick/poller.py "$@"
