// Command vllm plays a real vLLM's life beside the real gpu-watchdog and a simulated RunPod, and checks what the watchdog
// says and does. test/e2e/vllm.sh builds and starts it.
//
// It looks at the watchdog from outside only: at its log, at /status, and at what RunPod is asked.
package main
