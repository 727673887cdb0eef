// Package batching is the experiment that shows what continuous batching is worth: the same prompts one at a time, in static
// batches with a barrier behind each, and as many at a time as the server may mix as it likes. It asks the server through whoever
// it is given (internal/load), looks at the server's page and at the GPU meanwhile, and computes the figures of `vllm bench serve`
// under the same names and by the same definitions, which Replay holds against files that vLLM itself wrote.
//
// It prints through the writer that it is given, and must not import the configuration, the store, the loop or the web.
package batching
