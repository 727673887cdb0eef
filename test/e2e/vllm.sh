#!/usr/bin/env bash
# Runs gpu-watchdog beside a real vLLM on this machine's CPU, with a simulated RunPod, and shows what it says and does:
#
#	VENV=path/to/venv [MODEL=folder] [PORT=8100] test/e2e/vllm.sh [-untracked] [ACT...]
#
# VENV is a Python environment with vLLM for the CPU; without it this prints how to make one. MODEL is a model's folder;
# without it a tiny one with random weights is made. -untracked starts vLLM without --enable-server-load-tracking. ACTs are
# described by -help; without any, all are played in their order, in about seven minutes. E2E_DIR keeps the logs there.
#
# As root, server and watchdog get a control group of their own, as in a container. Otherwise the CPU of the whole machine
# is taken for the pod's, and the machine should be calm: what is computed beside it counts as the pod's work.
#
# Every check prints PASS or FAIL with its evidence. The exit code is 0 if none failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck disable=SC2034 # prepare.sh reads it
play=vllm
. test/e2e/prepare.sh
PORT=${PORT:-8100} "$work/e2e" "$@"
