#!/usr/bin/env bash
# Holds deploy/kubernetes, and a stop through Kubernetes, against a real kube-apiserver with a real etcd, both on loopback:
#
#	test/e2e/kubernetes.sh [ACT...]
#
# ACTs are described by -help; without any, all are played in their order. The first run builds the API server from its Go module
# (150 MB to download, ten minutes or so on two cores, 3 GB of memory) and kustomize; E2E_DIR keeps them, and the logs, there. etcd is the
# machine's: apt-get install etcd-server. The acts with the watchdog itself want a process to have mounts and processes of its own: root,
# or user namespaces.
#
# Every check prints PASS or FAIL with its evidence. The exit code is 0 if none failed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# Those that the manifests are written for are older; the newest knows the most that could be wrong with them.
readonly kubernetes=1.37.2 kustomize=5.8.1

if [[ " $* " == *" -help "* || " $* " == *" --help "* || " $* " == *" -h "* ]]; then
	exec go run ./test/e2e/kubernetes -help
fi

fail() {
	printf 'FAILED: %s\n' "$*" >&2
	exit 1
}
stage() { printf '=== %s (%d s)\n' "$*" "$SECONDS"; }

for tool in go etcd nsenter setpriv; do
	command -v "$tool" >/dev/null || fail "$tool is missing: apt-get install etcd-server util-linux"
done

if [[ -n ${E2E_DIR:-} ]]; then
	mkdir -p "$E2E_DIR"
	work=$(cd "$E2E_DIR" && pwd)
else
	work=$(mktemp -d)
fi
leave() { [[ -n ${E2E_DIR:-} ]] || rm -rf "$work"; }
trap leave EXIT

# apiserver FILE builds the API server. Its module names its own parts as folders beside it, which do not come along: each of them
# is a module of its own with the version 0 in place of 1.
apiserver() {
	local module=$work/apiserver-module part parts
	local -x GOFLAGS=-mod=mod GOWORK=off CGO_ENABLED=0
	rm -rf "$module"
	mkdir -p "$module"
	printf 'module apiserver\n\ngo 1.26\n\nrequire k8s.io/kubernetes v%s\n' "$kubernetes" >"$module/go.mod"
	local requirements
	requirements=$(cd / && GOFLAGS='' go list -m -json "k8s.io/kubernetes@v$kubernetes" | awk -F'"' '$2 == "GoMod" { print $4 }')
	[[ -s $requirements ]] || fail "the module k8s.io/kubernetes v$kubernetes was not found"
	mapfile -t parts < <(awk '$1 ~ /^k8s\.io\// && $2 == "v0.0.0" { print $1 }' "$requirements" | sort -u)
	((${#parts[@]} > 20)) || fail "$requirements names ${#parts[@]} parts of Kubernetes only"
	for part in "${parts[@]}"; do
		go -C "$module" mod edit -replace "$part=$part@v0.${kubernetes#1.}"
	done
	local version=k8s.io/component-base/version minor=${kubernetes#1.}
	go -C "$module" build -trimpath -o "$1" \
		-ldflags "-s -w -X $version.gitVersion=v$kubernetes -X $version.gitMajor=1 -X $version.gitMinor=${minor%.*}" \
		k8s.io/kubernetes/cmd/kube-apiserver
}

server=$work/kube-apiserver-$kubernetes
if [[ ! -x $server ]]; then
	stage "kube-apiserver $kubernetes"
	apiserver "$server"
fi
builder=$work/kustomize-$kustomize
if [[ ! -x $builder ]]; then
	stage "kustomize $kustomize"
	(cd / && GOFLAGS='' CGO_ENABLED=0 GOBIN=$work go install "sigs.k8s.io/kustomize/kustomize/v5@v$kustomize")
	mv "$work/kustomize" "$builder"
fi
stage "gpu-watchdog and the play"
go build -o "$work/gpu-watchdog" ./cmd/gpu-watchdog
go build -o "$work/e2e" ./test/e2e/kubernetes

export E2E_WORK=$work E2E_PROJECT=$PWD E2E_WATCHDOG=$work/gpu-watchdog E2E_APISERVER=$server E2E_KUSTOMIZE=$builder
E2E_ETCD=$(command -v etcd)
export E2E_ETCD
"$work/e2e" "$@"
