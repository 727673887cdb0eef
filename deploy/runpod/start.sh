#!/bin/bash
# Runs a server and the watchdog beside it, for a pod that is a single container:
#
#	start.sh vllm serve MODEL --enable-server-load-tracking
#
# The server is what the container is for: signals go to its process group, and its exit code is the container's. The
# watchdog is started again whatever it ends of, in pauses that grow, and never takes the server along.
#
# What the watchdog writes goes to the container's log. Where there is a volume, a second process copies it there, to
# /workspace/.gpu-watchdog/NAME/watchdog.log: a network volume may hang, and neither server nor watchdog may hang with it.
set -um # -m: every job has a process group of its own

readonly again_at_most=60     # seconds between two starts of the watchdog
readonly again_refused=300    # the same where its settings are refused: they do not mend themselves, but the log should tell
readonly end_at_most=5        # seconds that the watchdog gets to end
readonly log_at_most=10485760 # bytes; a longer file becomes watchdog.log.1 at the next start

say() { printf 'start.sh: %s\n' "$*" >&2; }

if (($# == 0)); then
	say "which server? for example: start.sh vllm serve Qwen/Qwen3-8B"
	exit 2
fi

copy_to_volume() {
	local folder=${WATCHDOG_DIR:-/workspace/.gpu-watchdog}/${WATCHDOG_NAME:-${RUNPOD_POD_ID:-pod}}
	mkdir -p "$folder" || return
	if [[ -f $folder/watchdog.log ]] && (($(stat -c %s "$folder/watchdog.log") > log_at_most)); then
		mv -f "$folder/watchdog.log" "$folder/watchdog.log.1"
	fi
	exec tail -n +1 -s 0.2 -F "$1" >>"$folder/watchdog.log" 2>/dev/null
}

keep_watching() {
	local log=$1 pause=1 started rc pid=
	trap 'trap - TERM; [[ -z $pid ]] || { kill -TERM "$pid" 2>/dev/null && wait "$pid"; }; exit' TERM
	while :; do
		started=$SECONDS
		gpu-watchdog run > >(exec tee -a -- "$log") 2>&1 </dev/null &
		pid=$!
		wait "$pid"
		rc=$?
		((SECONDS - started < again_at_most)) || pause=1
		if ((rc == 2)); then
			pause=$again_refused
			say "NOBODY WATCHES THIS POD: gpu-watchdog refuses its settings, see above; the server goes on, and so does the bill"
		else
			say "gpu-watchdog ended with $rc and is started again in $pause s"
		fi
		sleep "$pause" &
		pid=$!
		wait "$pid"
		pause=$((pause * 2 < again_at_most ? pause * 2 : again_at_most))
	done
}

server=
# shellcheck disable=SC2317 # traps call it
pass_on() {
	[[ -n $server ]] || exit 143
	kill -s "$1" -- "-$server" 2>/dev/null
}
for signal in HUP INT QUIT TERM USR1 USR2; do
	# shellcheck disable=SC2064 # the signal's name is meant now
	trap "pass_on $signal" "$signal"
done

log=/dev/null copier=
# Whether it is mounted is read from the kernel's list: asking the folder itself may hang.
if [[ -n ${WATCHDOG_DIR:-} ]] || grep -q '^[^ ]* [^ ]* [^ ]* [^ ]* /workspace ' /proc/self/mountinfo; then
	if log=$(mktemp); then
		copy_to_volume "$log" </dev/null &
		copier=$!
	else
		log=/dev/null
	fi
fi
keep_watching "$log" </dev/null &
watching=$!
# The watchdog's key may do more than the pod's own: the server has no use for it.
env -u WATCHDOG_RUNPOD_API_KEY -u WATCHDOG_RUNPOD_API_KEY_FILE "$@" </dev/null &
server=$!

# wait returns early for each signal that is passed on.
while kill -0 "$server" 2>/dev/null; do wait "$server"; done
wait "$server"
code=$?
say "the server ended with $code"

kill -TERM "$watching" 2>/dev/null
for ((i = 0; i < end_at_most * 10; i++)); do
	kill -0 "$watching" 2>/dev/null || break
	sleep 0.1
done
if [[ -n $copier ]]; then
	sleep 0.5 # the last lines
	kill -TERM "$copier" 2>/dev/null
	rm -f "$log"
fi
exit "$code"
