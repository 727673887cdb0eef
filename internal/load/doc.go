// Package load asks a server that speaks OpenAI's completions API for text and measures each stream as the client sees it, by
// the definitions of `vllm bench serve`: the first token is the first chunk that brings a choice, a gap lies between two such
// chunks, and the latency ends with the last of them, not with the usage that follows it.
//
// One difference is meant: a stream that ends in an error, is aborted by the server, or breaks off is a failure here, also
// where a first token had come.
//
// It must not import collectors, the configuration, or anything that knows what the figures are for.
package load
