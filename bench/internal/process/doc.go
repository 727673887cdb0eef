// Package process starts programs for the benches, measures their processor time and memory from outside, and ends them.
// It knows nothing of what they are.
package process
