// Package stopper asks a provider to stop this pod, by one way after the other until one says yes.
//
// It knows no provider: the ways are Rungs, and each provider's package (runpod) makes its own. Every answer is sorted
// into a closed set of kinds. A yes is not yet a stop: the proof is the end of our own process, which is judged outside
// this package, as are the decisions whether to stop and when to try again.
package stopper
