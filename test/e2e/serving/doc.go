// Command serving holds the figures of gpu-watchdog against their sources: a real vLLM sends its spans to the real watchdog,
// `vllm bench serve` is the client that knows the truth from outside, and every figure of rows, of /status, of /metrics and of
// histograms is compared with what it must be. test/e2e/serving.sh builds and starts it.
//
// What vLLM sent is recorded between the two, byte by byte, and read by generated code; the rows are read from the file by SQL.
package main
