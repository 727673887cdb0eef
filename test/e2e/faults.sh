#!/usr/bin/env bash
# Every fault that a pod is known to have, one a row of test/faults/table_test.go, against the real program: a working pod is
# never stopped, an idle one is never forgotten, and the log says what is wrong. Each row is played with its fault and without.
#
#	test/e2e/faults.sh                           all rows, in about two minutes
#	test/e2e/faults.sh 'vllm/hangs' 'gpu/MIG'    only these
#
# It exits with 0 only if no row failed. It needs Go and a C compiler; some rows are skipped where it is not run as root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export CGO_CFLAGS="${CGO_CFLAGS:--O2 -g -Wno-deprecated-declarations}"
go test -c -o "$scratch/faults" ./test/faults

args=(-all)
if (($#)); then
	args=(-rows "$(IFS=,; printf '%s' "$*")" -test.run '^TestFaults$')
fi
cd test/faults
"$scratch/faults" -table -test.timeout 15m "${args[@]}"
