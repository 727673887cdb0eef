#!/usr/bin/env bash
# Holds gpu-watchdog's figures of requests against a real vLLM on this machine's CPU and against `vllm bench serve`:
#
#	VENV=path/to/venv [MODEL=folder] test/e2e/serving.sh [-prompts 100] [-rate 4] [-kills 10] [ACT...]
#
# VENV is a Python environment with vLLM for the CPU; without it this prints how to make one. MODEL is a model's folder;
# without it a tiny one with random weights is made. ACTs are described by -help; without any, all are played in their
# order, in about seven minutes. E2E_DIR keeps logs, databases and results there.
#
# vLLM sends its spans to the watchdog, once over gRPC and once over HTTP; what it sends is recorded on the way. Every check
# prints PASS or FAIL with its evidence. The exit code is 0 if none failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
# shellcheck disable=SC2034 # prepare.sh reads it
play=serving
. test/e2e/prepare.sh
E2E_PROJECT=$PWD "$work/e2e" "$@"
