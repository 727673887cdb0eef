// Package kvcache holds a server to the claim that the time for each output token (TPOT) stays constant however long the output
// grows, because its KV cache spares it from reading the text so far again: it asks for outputs of several lengths with the
// same prompt, one request at a time, and measures TPOT, the time between tokens, and what the KV cache holds.
//
// # The criterion
//
// A straight line is fitted to the TPOT of every request over its output length (ordinary least squares). Its change from the
// shortest to the longest output, relative to the mean TPOT, has a 95 % interval by Student's t. TPOT is "constant within ±x %"
// where x is the largest of the two ends of that interval and of the spread between the means of the lengths, so that neither a
// trend that the noise hides nor a bend that a line cannot see is called constant. The claim
//
//   - holds where x is at most the tolerance (15 %: the claim's own example grows by 12 %, from 2.5 to 2.8 ms for eight times
//     the output, and calls that constant; without a KV cache TPOT would grow with the text, several times over),
//   - does not hold where the whole interval lies beyond the tolerance,
//   - and is left open otherwise: more requests would tell.
//
// A change that is not 0 by that interval is told in any case. That it is never quite 0 follows from attention, which reads all
// of the cache for each token. Requests of one length are taken for independent; the lengths alternate within each round, in
// another order each time, so that a drift of the machine is not taken for an effect of the length.
//
// It must not import the loop, the store, or the configuration.
package kvcache
