package config

import (
	"strconv"
	"strings"
)

// Selection says which GPUs count. The zero Selection counts none that it could name: All and None are explicit.
type Selection struct {
	All, None bool
	// List has indices in decimal and UUIDs, as they were given; only where neither All nor None.
	List []string
}

func (s Selection) String() string {
	switch {
	case s.All:
		return "all"
	case s.None:
		return "none"
	}
	return strings.Join(s.List, ",")
}

// maxGPUIndex is far above what one machine holds.
const maxGPUIndex = 255

func parseSelection(s string) (any, error) {
	switch s {
	case "all":
		return Selection{All: true}, nil
	case "none":
		return Selection{None: true}, nil
	}
	chosen, err := eachOnce(s, "GPU", func(part string) (string, string) { return part, gpuFlaw(part) })
	return Selection{List: chosen}, err
}

// gpuFlaw says what is wrong with one GPU's name, "" for nothing.
func gpuFlaw(part string) string {
	const want = "write an index such as 0, a UUID as nvidia-smi -L prints it (GPU-…), all, or none"
	if part == "all" || part == "none" {
		return part + " stands alone; write it by itself, or name the GPUs"
	}
	if n, err := strconv.Atoi(part); err == nil {
		if n < 0 || n > maxGPUIndex || strconv.Itoa(n) != part {
			return "is no index of a GPU; " + want
		}
		return ""
	}
	if strings.HasPrefix(part, "MIG-") {
		return "names a MIG slice, which has no utilisation of its own to measure; write none"
	}
	id, ok := strings.CutPrefix(part, "GPU-")
	if !ok || id == "" || len(id) > longestShown || !onlyNameLetters(id) {
		return "names no GPU; " + want
	}
	return ""
}
