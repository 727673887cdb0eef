// Package serving says how requests were served: latencies with their quantiles, rates over wall time, the SLA and goodput.
// It knows two sources. Rows of requests give exact figures. Histograms, read from vLLM's page now and then, give windows:
// what was counted between two readings of the same start of a server. There a quantile, or the SLA, falls between two buckets;
// the figures say between which bounds the truth lies, and never more than that without calling it an estimate.
//
// Time is data: nothing here asks a clock, opens a file or a connection. It imports what it reads (collector/vllm and
// collector/ingest, for their types) and must not import the store, the loop, the configuration or the web.
package serving
