// Package post sends one JSON document by POST to an address that is itself a secret, as the hooks of Slack and Discord are, and
// reads what comes back. What it returns and every error is fit to be shown: of the address it holds the host alone.
//
// Redirects are not followed, certificates are verified, answers and waits are bounded, and nothing is sent twice.
//
// # Signature
//
// With a key every request carries the header
//
//	X-Gpu-Watchdog-Signature: sha256=<64 lower-case hexadecimal digits>
//
// the HMAC-SHA256 of the body, byte for byte as sent, under the key. The body says under "sent_at" when this very request was
// made (RFC 3339, UTC) and under "id" what it is about; a request that is tried again has the same id and a later sent_at. Since
// the signature covers both, a receiver is safe from forgery and from replay if it
//
//  1. computes the HMAC of the raw body before it parses it, and compares in constant time,
//  2. refuses a sent_at that is more than five minutes from its own clock,
//  3. does nothing for an id for which it has done something in that time.
//
// It must not import a room of this house, beside the one function with which stopper makes foreign text fit to be shown.
package post
