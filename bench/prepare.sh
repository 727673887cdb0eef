# shellcheck shell=bash
# Read by the other scripts of this folder, from the project's folder: what all of them build. The program is built as the
# container builds it.
export CGO_ENABLED=1 CGO_CFLAGS="-Os -Wno-deprecated-declarations"
# shellcheck disable=SC2034 # the scripts use it
recorded=collector/vllm/testdata/0.32.0-idle.metrics.gz
if [[ -n ${BENCH_DIR:-} ]]; then
	mkdir -p "$BENCH_DIR"
	work=$(cd "$BENCH_DIR" && pwd)
else
	work=$(mktemp -d)
	trap 'rm -rf "$work"' EXIT
fi
go build -trimpath -buildvcs=false -ldflags "-s -w" -tags "${tags:-}" -o "$work/gpu-watchdog" ./cmd/gpu-watchdog
go build -o "$work/page" ./bench/page
