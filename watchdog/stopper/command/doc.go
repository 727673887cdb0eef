// Package command runs a program of the user's that stops this pod: STOP_COMMAND. No shell reads it; whoever wants one names it:
//
//	sh -c 'poweroff || shutdown -h now'
//
// The program gets what is to be done and why in its environment, where what is unknown is not set:
//
//	GPU_WATCHDOG_ACTION, GPU_WATCHDOG_NAME, GPU_WATCHDOG_START_ID, GPU_WATCHDOG_POD, GPU_WATCHDOG_REASON,
//	GPU_WATCHDOG_DETAIL, GPU_WATCHDOG_IDLE_SECONDS, GPU_WATCHDOG_THRESHOLD_SECONDS, GPU_WATCHDOG_BREAK_EVEN_SECONDS,
//	GPU_WATCHDOG_PRICE_USD_PER_HOUR, GPU_WATCHDOG_REQUESTED_AT
//
// and of our own environment all but our settings and RunPod's key. Its end with 0 promises that the pod ends; anything else is a
// refusal, whose reason is the last line that it wrote. It has a process group of its own, which is killed when its time is over,
// when it fails, or when work has come meanwhile; what it leaves behind after a promise goes on.
//
// It must not import the loop, the rules beside their plain types, or the configuration.
package command
