package costmodel_test

import (
	"slices"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/costmodel"
)

// starts makes pod starts of so many seconds each, oldest first.
func podStarts(seconds ...int) (out []costmodel.Start) {
	for _, s := range seconds {
		out = append(out, costmodel.Start{Kind: costmodel.PodStart, Ready: time.Duration(s) * time.Second})
	}
	return out
}

// The wanted values are numpy.percentile(…, 75), method linear, computed by hand: rank 0.75·(n − 1) in the sorted list
// of samples + 30 s and twice the prior of 180 s.
func TestColdStart(t *testing.T) {
	const prior, unseen = 3 * time.Minute, 30 * time.Second
	slow := podStarts(400)
	slow[0].FirstToken = 70 * time.Second
	for _, row := range []struct {
		name    string
		starts  []costmodel.Start
		want    time.Duration
		samples int
	}{
		{"no start: the prior", nil, prior, 0},
		{"one fast start: rank 1.5 of 90 180 180", podStarts(60), 180 * time.Second, 1},
		{"one slow start: rank 1.5 of 180 180 430", podStarts(400), 305 * time.Second, 1},
		{"what the first token took beyond the usual counts: rank 1.5 of 180 180 500", slow, 340 * time.Second, 1},
		{"two starts: rank 2.25 of 130 180 180 230", podStarts(100, 200), 192500 * time.Millisecond, 2},
		{"three starts: rank 3 of 130 180 180 230 1030", podStarts(200, 100, 1000), 230 * time.Second, 3},
		{"eight starts: rank 6.75 of 40 … 110 180 180", podStarts(10, 20, 30, 40, 50, 60, 70, 80), 107500 * time.Millisecond, 8},
		{"a ninth and older start no longer counts", podStarts(1000, 10, 20, 30, 40, 50, 60, 70, 80), 107500 * time.Millisecond, 8},
		{"the order of arrival does not matter among the last eight", podStarts(80, 10, 70, 20, 60, 30, 50, 40), 107500 * time.Millisecond, 8},
		{"only starts of the pod feed it", []costmodel.Start{
			{Kind: costmodel.ServerRestart, Ready: time.Hour}, {Kind: costmodel.PodStart, Ready: 400 * time.Second}, {Kind: costmodel.ContainerRestart, Ready: time.Hour},
		}, 305 * time.Second, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			before := slices.Clone(row.starts)
			c, samples := costmodel.ColdStart(prior, unseen, row.starts)
			if c != row.want || samples != row.samples {
				t.Errorf("have %s of %d samples, want %s of %d", c, samples, row.want, row.samples)
			}
			if !slices.Equal(before, row.starts) {
				t.Error("the starts were changed")
			}
		})
	}
	if c, _ := costmodel.ColdStart(prior, time.Hour, nil); c != prior {
		t.Errorf("the prior is the whole start, and yet the unseen part was added: %s", c)
	}
}

func TestKeepStarts(t *testing.T) {
	var all []costmodel.Start
	for n := range 20 {
		kind := costmodel.PodStart
		if n%2 == 1 {
			kind = costmodel.ServerRestart
		}
		all = append(all, costmodel.Start{Kind: kind, Ready: time.Duration(n)})
	}
	all = append(all, costmodel.Start{Kind: costmodel.ContainerRestart, Ready: 20})
	kept := costmodel.KeepStarts(all)
	if want := all[4:]; !slices.Equal(kept, want) {
		t.Errorf("have %v, want the newest eight of each kind in their order, %v", kept, want)
	}
	before, _ := costmodel.ColdStart(time.Minute, 0, all)
	if after, _ := costmodel.ColdStart(time.Minute, 0, kept); after != before {
		t.Errorf("the estimate changed from %s to %s", before, after)
	}
}
