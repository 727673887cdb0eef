// Package ingest takes what is pushed to the watchdog: vLLM's own spans over OTLP, and rows that applications post. Each
// becomes a Request and is handed to a Sink; only what the Sink has made durable is acknowledged. It knows no database and
// no other source.
package ingest
