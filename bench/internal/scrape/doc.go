// Package scrape reads metrics pages over HTTP as Prometheus does, kept connections and packed answers included. It knows
// nothing of what they mean.
package scrape
