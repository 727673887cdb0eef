//go:build linux

package main

import (
	"math/rand/v2"
	"slices"
)

// resamples is how often the bootstrap draws.
const resamples = 20_000

// interval is the 95 % percentile bootstrap interval of the median: the pairs are drawn with replacement, as many as
// there are, and of the medians of all draws the middle 95 % are taken. It draws the same for the same input.
func interval(of []float64) (low, high float64) {
	draw := rand.New(rand.NewPCG(1, uint64(len(of))))
	medians := make([]float64, resamples)
	sample := make([]float64, len(of))
	for i := range medians {
		for j := range sample {
			sample[j] = of[draw.IntN(len(of))]
		}
		medians[i] = median(sample)
	}
	slices.Sort(medians)
	return medians[resamples*25/1000], medians[resamples*975/1000-1]
}

// median sorts what it is given.
func median(of []float64) float64 {
	slices.Sort(of)
	middle := len(of) / 2
	if len(of)%2 == 1 {
		return of[middle]
	}
	return (of[middle-1] + of[middle]) / 2
}
