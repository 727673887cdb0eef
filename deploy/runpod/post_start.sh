#!/bin/bash
# Starts the watchdog in an image that has a start script of its own and lets it run /post_start.sh, as RunPod's images do:
#
#	COPY post_start.sh /post_start.sh
#
# or, without an image of your own, from a volume that holds this file and the program, as the pod's start command:
#
#	bash -c 'bash /workspace/gpu-watchdog/post_start.sh & exec /start.sh'
#
# The start script waits for this one, and the container ends if this one fails; RunPod then starts it again, and so for ever, on your
# bill. So whatever happens here, this script ends at once, and with 0. What the watchdog writes goes to the container's log.
set -u

readonly again_at_most=60  # seconds between two starts of the watchdog
readonly again_refused=300 # the same where its settings are refused: they do not mend themselves, but the log should tell

say() { printf 'post_start.sh: %s\n' "$*" >&2; }

# The watchdog is started again whatever it ends of, in pauses that grow.
keep_watching() {
	local program=$1 pause=1 started code
	while :; do
		started=$SECONDS
		"$program" run </dev/null
		code=$?
		((SECONDS - started < again_at_most)) || pause=1
		if ((code == 2)); then
			say "NOBODY WATCHES THIS POD: gpu-watchdog refuses its settings, see above; the pod goes on, and so does the bill"
			sleep "$again_refused"
			continue
		fi
		say "gpu-watchdog ended with $code and is started again in $pause s"
		sleep "$pause"
		pause=$((pause * 2 < again_at_most ? pause * 2 : again_at_most))
	done
}

if [[ ${1:-} == keep-watching ]]; then
	keep_watching "$2"
fi

# The program beside this file wins over one on the path.
here=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
program=$here/gpu-watchdog
[[ -x $program ]] || program=gpu-watchdog
# A session of its own: no terminal that closes takes the watchdog along.
setsid bash "${BASH_SOURCE[0]}" keep-watching "$program" </dev/null &
exit 0
