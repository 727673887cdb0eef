// Package ingest takes what is pushed to the watchdog: vLLM's own spans over OTLP, and rows that applications post. Each
// becomes a Request and is handed to a Sink; only what the Sink has made durable is acknowledged. It knows no database and
// no other source.
//
// One port takes gRPC and HTTP, from loopback peers only. Messages are decoded as they come in, one span at a time, and
// handed on in batches of 512, so that neither a burst nor a hostile body costs more than a few megabytes. That is why the
// wire format and gRPC's framing are read here instead of by generated code, which needs the whole message, and for which
// one broken span spoils all the others. The tests hold both to the generated code and to another gRPC implementation.
//
// What spans do not tell: the model, the labels, and any request that a client aborted or the server refused (no span is
// sent for those). vLLM sends a span some seconds after its request ended; OTEL_BSP_SCHEDULE_DELAY=500 in its environment
// shortens that to half a second. Where clients send a traceparent that is not sampled their requests have no span, unless
// OTEL_TRACES_SAMPLER=always_on is set there as well.
//
// It must not import other collectors, the loop or the configuration.
package ingest
