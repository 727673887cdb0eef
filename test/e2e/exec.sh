#!/usr/bin/env bash
# Plays `gpu-watchdog exec` around a real vLLM on this machine's CPU:
#
#	VENV=path/to/venv [MODEL=folder] test/e2e/exec.sh [-kills 100] [ACT...]
#
# VENV is a Python environment with vLLM for the CPU; without it this prints how to make one. MODEL is a model's folder;
# without it a tiny one with random weights is made. ACTs are described by -help; without any, all are played in their
# order, in about fifteen minutes. E2E_DIR keeps logs there.
#
# RunPod is a fake on loopback. Every check prints PASS or FAIL with its evidence. The exit code is 0 if none failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck disable=SC2034 # prepare.sh reads it
play="exec"
. test/e2e/prepare.sh
"$work/e2e" "$@"
