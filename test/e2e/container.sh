#!/usr/bin/env bash
# Builds the images of Dockerfile and of deploy/runpod without a Docker engine and without an image registry, and runs them:
#
#	test/e2e/container.sh
#
# The base images are made from Debian's packages and carry the names that the Dockerfiles ask for, so the Dockerfiles are built
# as they are. Everything lives in a folder of its own, which E2E_DIR names (then it is kept, and the base images are used
# again) or which is removed at the end. As root, on amd64; the C cross compiler is fetched by the build itself.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

readonly newest_glibc=2.34 # what the program may need at most: Ubuntu 22.04, under vLLM's images, has 2.35
readonly packages=(buildah podman runc mmdebstrap qemu-user-static binutils)

say() { printf '%s\n' "$*"; }
fail() {
	printf 'FAILED: %s\n' "$*" >&2
	exit 1
}
stage() { printf '\n=== %s (%d s)\n' "$*" "$SECONDS"; }

for tool in buildah podman runc mmdebstrap qemu-aarch64-static readelf; do
	command -v "$tool" >/dev/null || fail "$tool is missing: apt-get install ${packages[*]}"
done

if [[ -n ${E2E_DIR:-} ]]; then
	work=$E2E_DIR
	mkdir -p "$work"
else
	work=$(mktemp -d)
fi
containers=()
leave() {
	local name
	for name in "${containers[@]}"; do engine rm -f "$name" >/dev/null 2>&1 || true; done
	buildah "${store[@]}" rm --all >/dev/null 2>&1 || true
	[[ -n ${E2E_DIR:-} ]] || rm -rf "$work"
}
trap leave EXIT

export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=vfs
store=(--root "$work/images" --runroot "$work/state")
engine() { podman "${store[@]}" --runtime runc --cgroup-manager cgroupfs "$@"; }
# Without more rights than the image asks for, and without a network but loopback.
readonly bounds=(--network none --ulimit nofile=1000:1000 --ulimit nproc=1000:1000 --cap-drop all --security-opt no-new-privileges)

# base NAME ARCHITECTURE TAR [buildah config options] makes an image of one layer.
base() {
	local name=$1 arch=$2 tar=$3 container
	shift 3
	container=$(buildah "${store[@]}" from --arch "$arch" scratch)
	buildah "${store[@]}" add -q "$container" "$tar" /
	buildah "${store[@]}" config --arch "$arch" --os linux "$@" "$container"
	buildah "${store[@]}" commit -q --rm "$container" "$name" >/dev/null
}

# root TAR ARCHITECTURE VARIANT PACKAGES [mmdebstrap options] makes a tree of Debian 12.
root() {
	local tar=$work/$1 arch=$2 variant=$3 include=$4
	shift 4
	[[ -s $tar ]] || mmdebstrap --quiet --variant="$variant" --architectures="$arch" --include="$include" "$@" bookworm "$tar"
}

# What distroless/base holds: glibc, CA roots in one file, time zones, a user without a name.
plain() {
	# shellcheck disable=SC2016 # mmdebstrap's shell knows the folder
	root "plain-$1.tar" "$1" extract libc6,ca-certificates,tzdata,base-files,netbase \
		--customize-hook='cd "$1" && mkdir -p etc/ssl/certs && cat usr/share/ca-certificates/mozilla/*.crt >etc/ssl/certs/ca-certificates.crt'
	base "$final" "$1" "$work/plain-$1.tar" --user 65532:65532 --workingdir /home/nonroot \
		--env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin --env SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
}

builder=$(awk '$1 == "FROM" && /golang/ { print $(NF - 2) }' Dockerfile)
final=$(awk '$1 == "FROM" && /distroless/ { print $NF }' Dockerfile)
vllm=$(awk '$1 == "FROM" { print $NF }' deploy/runpod/Dockerfile)
pytorch=$(awk '$1 == "FROM" { print $NF }' deploy/runpod/pytorch.Dockerfile)

stage "base images"
say "$builder" "$final" "$vllm" "$pytorch"
root builder.tar amd64 apt gcc,libc6-dev,ca-certificates,git --customize-hook="copy-in $(go env GOROOT) /usr/local"
# The modules and the certificates of the build are the machine's own.
go mod download

# image ARCHITECTURE builds gpu-watchdog:ARCHITECTURE. Debian 12's buildah looks for the base images of all stages under the
# platform of the first, so the builder, whose programs are this machine's, is called by the target's.
image() {
	base "$builder" "$1" "$work/builder.tar" --workingdir /go \
		--env GOPATH=/go --env GOTOOLCHAIN=local --env GOPROXY="$(go env GOPROXY)" --env GOSUMDB="$(go env GOSUMDB)" \
		--env PATH=/go/bin:/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
	plain "$1"
	buildah "${store[@]}" build --pull-never --platform "linux/$1" --build-arg "BUILDPLATFORM=linux/$1" --build-arg VERSION=e2e \
		--volume "$(go env GOMODCACHE):/go/pkg/mod" --volume /etc/ssl/certs:/etc/ssl/certs:ro -t "localhost/gpu-watchdog:$1" . >"$work/build-$1.log" 2>&1 ||
		{ tail -n 30 "$work/build-$1.log"; fail "the $1 image was not built"; }
}

# program ARCHITECTURE holds the program in the image to what it may need from the machine.
program() {
	local container mount needs
	container=$(buildah "${store[@]}" from --pull-never --arch "$1" "localhost/gpu-watchdog:$1")
	mount=$(buildah "${store[@]}" mount "$container")
	needs=$(readelf --version-info --wide "$mount/gpu-watchdog" | grep -o 'GLIBC_[0-9.]*' | sort -uV | tail -n 1)
	say "$1: needs at most $needs, $(stat -c %s "$mount/gpu-watchdog") bytes"
	[[ $(printf '%s\n' "GLIBC_$newest_glibc" "$needs" | sort -V | tail -n 1) == "GLIBC_$newest_glibc" ]] ||
		fail "the $1 program needs $needs, above GLIBC_$newest_glibc"
	! readelf --dynamic --wide "$mount/gpu-watchdog" | grep -qE 'BIND_NOW|FLAGS_1.*NOW' ||
		fail "the $1 program binds all symbols at its start: an old driver lacks some, and it would end before main"
	if [[ $1 == arm64 ]]; then
		qemu-aarch64-static -L "$mount" "$mount/gpu-watchdog" version | tee "$work/version"
		grep -q 'e2e linux/arm64' "$work/version" || fail "the arm64 program does not say its version"
	fi
	buildah "${store[@]}" rm "$container" >/dev/null
}

stage "amd64"
image amd64
program amd64
engine image inspect localhost/gpu-watchdog:amd64 --format 'size {{.Size}} bytes, user {{.User}}, entry {{.Config.Entrypoint}} {{.Config.Cmd}}, {{.Config.Env}}'
[[ $(engine image inspect localhost/gpu-watchdog:amd64 --format '{{.User}}') == 65532:65532 ]] || fail "the image does not run as 65532"

stage "amd64: version, env"
engine run --rm "${bounds[@]}" localhost/gpu-watchdog:amd64 version | tee "$work/version"
grep -q 'e2e linux/amd64' "$work/version" || fail "the program does not say its version"
engine run --rm "${bounds[@]}" -e WATCHDOG_PRICE=1.5 localhost/gpu-watchdog:amd64 env >"$work/env"
grep -E 'WATCHDOG_(PRICE|DIR|START_ID_FILE)' "$work/env"
code=0
engine run --rm "${bounds[@]}" -e WATCHDOG_PRICE=much localhost/gpu-watchdog:amd64 env >/dev/null 2>"$work/refused" || code=$?
if ((code != 2)) || ! grep -q WATCHDOG_PRICE "$work/refused"; then
	fail "a wrong price ended with $code, not 2: $(cat "$work/refused")"
fi

# decided NAME waits until the container's log holds a decision.
decided() {
	local i
	for ((i = 0; i < 150; i++)); do
		engine logs "$1" >"$work/log" 2>&1
		! grep -q '"msg":"decision"' "$work/log" || return 0
		sleep 0.1
	done
	cat "$work/log"
	fail "no decision within 15 s"
}

# watched NAME OPTIONS runs the watch dry for a while, asks it for its status, and ends it.
watched() {
	local name=$1 code=0
	shift
	containers+=("$name")
	engine run -d --name "$name" "${bounds[@]}" -e WATCHDOG_DRY_RUN=true -e WATCHDOG_CHECK_INTERVAL=500ms "$@" localhost/gpu-watchdog:amd64 >/dev/null
	decided "$name"
	engine exec "$name" /gpu-watchdog status || fail "status does not answer in $name"
	engine stop -t 10 "$name" >/dev/null
	code=$(engine inspect "$name" --format '{{.State.ExitCode}}')
	engine logs "$name" >"$work/log" 2>&1
	grep -v '"msg":"decision"' "$work/log"
	grep -m 1 '"msg":"decision"' "$work/log"
	((code == 0)) || fail "$name ended with $code after SIGTERM"
}

stage "amd64: run"
watched as-it-is
stage "amd64: run as deploy/kubernetes does, nothing writable but the volume"
mkdir -p "$work/emptydir"
chmod 0777 "$work/emptydir" # as the kubelet makes an emptyDir
watched read-only --read-only --read-only-tmpfs=false -v "$work/emptydir:/var/lib/gpu-watchdog" \
	-e POD_UID=0b0f6dd4-5a2c-4b53-9a43-7a3b9c4d2e10 -e POD_NAME=vllm-5d8 -e POD_NAMESPACE=default -e WATCHDOG_GPUS=none -e NVIDIA_VISIBLE_DEVICES=void

[[ -s $work/emptydir/default-vllm-5d8/memory.json ]] || fail "nothing was kept in the volume"

# stand_in NAME SCRIPT PLACE [buildah config options] makes an image of a shell and a script.
stand_in() {
	local name=$1 script=$2 place=$3 container
	shift 3
	container=$(buildah "${store[@]}" from --arch amd64 scratch)
	buildah "${store[@]}" add -q "$container" "$work/shell.tar" /
	buildah "${store[@]}" copy -q --chmod 0755 "$container" "$script" "$place"
	buildah "${store[@]}" config --arch amd64 --os linux --env PATH=/usr/local/bin:/usr/bin:/bin "$@" "$container"
	buildah "${store[@]}" commit -q --rm "$container" "$name" >/dev/null
}

# derived DOCKERFILE TAG builds one of deploy/runpod's images, as its file says and in its place.
derived() {
	buildah "${store[@]}" build --pull-never -f "deploy/runpod/$1" -t "localhost/$2" deploy/runpod >"$work/build-$2.log" 2>&1 ||
		{ tail -n 30 "$work/build-$2.log"; fail "deploy/runpod/$1 was not built"; }
}

root shell.tar amd64 apt bash,coreutils,grep
buildah "${store[@]}" tag localhost/gpu-watchdog:amd64 localhost/gpu-watchdog:latest
readonly keys=(-e RUNPOD_API_KEY=planted-key-of-the-pod -e WATCHDOG_RUNPOD_API_KEY=planted-key-of-ours)

stage "RunPod: vLLM's image with the watchdog in it"
# A stand-in for vLLM's image: a command of that name. It fails at its first start, for which RunPod would start the container again.
cat >"$work/vllm" <<'SERVER'
#!/bin/bash
echo "vllm $*"
env | sed 's/^/vllm has /'
[[ -e /tmp/failed ]] || { touch /tmp/failed; echo "vllm fails"; exit 3; }
trap 'echo "vllm ends"; exit 7' TERM
while :; do sleep 0.1; done
SERVER
stand_in "$vllm" "$work/vllm" /usr/local/bin/vllm --entrypoint '["vllm","serve"]'
derived Dockerfile vllm-watched
[[ $(engine image inspect localhost/vllm-watched --format '{{.Config.Entrypoint}}') == '[gpu-watchdog exec -- vllm serve]' ]] ||
	fail "the image's entry point is another one"
containers+=(runpod)
mkdir -p "$work/volume"
rm -rf "$work/volume/.gpu-watchdog"
engine run -d --name runpod "${bounds[@]}" -v "$work/volume:/workspace" -e RUNPOD_POD_ID=pod1234 "${keys[@]}" -e WATCHDOG_DRY_RUN=true \
	-e WATCHDOG_CHECK_INTERVAL=500ms localhost/vllm-watched Qwen/Qwen3-8B --served-model-name "a name" >/dev/null
decided runpod
engine exec runpod gpu-watchdog status || fail "status does not answer in the pod"
started() { (($(engine logs runpod 2>/dev/null | grep -c '^vllm serve') == 2)); }
for ((i = 0; i < 150; i++)); do
	! started || break
	sleep 0.1
done
started || { engine logs runpod; fail "the server that failed was not started again in its container"; }
engine stop -t 20 runpod >/dev/null
engine logs runpod >"$work/log" 2>&1
grep '^vllm' "$work/log"
grep -q '^vllm serve Qwen/Qwen3-8B --served-model-name a name$' "$work/log" || fail "the server did not get the pod's arguments"
grep -q '^vllm has RUNPOD_POD_ID=pod1234$' "$work/log" || fail "the server's environment is not shown, or not the pod's"
! grep -E '^vllm has (WATCHDOG_|RUNPOD_API_KEY)' "$work/log" || fail "the server was given what is the watchdog's"
! grep planted-key "$work/log" || fail "a key is in the log"
code=$(engine inspect runpod --format '{{.State.ExitCode}}')
((code == 7)) || fail "the container ended with $code, not with the server's 7"
[[ -s $work/volume/.gpu-watchdog/pod1234/memory.json ]] || fail "the memory is not on the volume"

stage "RunPod: an image with a start script of its own"
# A stand-in for RunPod's own images, whose start script looks for /post_start.sh.
cat >"$work/start.sh" <<'SCRIPT'
#!/bin/bash
set -e
echo "Pod Started"
if [[ -f /post_start.sh ]]; then bash /post_start.sh; fi
echo "Pod is ready to use"
sleep infinity
SCRIPT
stand_in "$pytorch" "$work/start.sh" /start.sh --cmd '/start.sh'
derived pytorch.Dockerfile pytorch-watched
containers+=(pytorch)
engine run -d --name pytorch "${bounds[@]}" -v "$work/volume:/workspace" -e RUNPOD_POD_ID=pod5678 "${keys[@]}" -e WATCHDOG_DRY_RUN=true \
	-e WATCHDOG_CHECK_INTERVAL=500ms localhost/pytorch-watched >/dev/null
decided pytorch
engine exec pytorch gpu-watchdog status || fail "status does not answer in the pod"
[[ $(engine exec pytorch cat /proc/1/cmdline | tr '\0' ' ') == '/bin/bash /start.sh ' ]] || fail "the image's own start script is not its first process"
engine logs pytorch >"$work/log" 2>&1
grep -q '^Pod is ready to use' "$work/log" || fail "the image's start script did not go on"
! grep planted-key "$work/log" || fail "a key is in the log"
engine stop -t 1 pytorch >/dev/null
[[ -s $work/volume/.gpu-watchdog/pod5678/memory.json ]] || fail "the memory is not on the volume"

stage "RunPod: a serverless worker is nobody's to stop"
containers+=(serverless)
engine run -d --name serverless "${bounds[@]}" -e RUNPOD_POD_ID=worker1 -e RUNPOD_ENDPOINT_ID=endpoint1 "${keys[@]}" \
	-e WATCHDOG_CHECK_INTERVAL=500ms localhost/pytorch-watched >/dev/null
decided serverless
grep -q '"msg":"decision".*"verdict":"hold","reason":"target_refused"' "$work/log" || fail "on a serverless worker the watchdog does not hold: $(cat "$work/log")"
engine stop -t 1 serverless >/dev/null

stage "arm64"
image arm64
program arm64

stage "all of it worked"
