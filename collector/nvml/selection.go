package nvml

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// maxNames bounds a list; no machine has as many GPUs.
const maxNames = 64

var uuidShape = regexp.MustCompile(`^(?i:GPU-|MIG-)[0-9A-Za-z/-]{1,88}$`)

// Selection says which GPUs count. The zero value is all of them.
type Selection struct {
	none  bool
	names []string
}

// SelectNone is the selection in which the GPU is no evidence, and NVML is never loaded.
func SelectNone() Selection { return Selection{none: true} }

// ParseSelection reads "all", "none", or a list of indices (as nvidia-smi counts, from 0) and UUIDs, separated by commas.
// Its errors name the item and what would be right.
func ParseSelection(text string) (Selection, error) {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "all":
		return Selection{}, nil
	case "none":
		return SelectNone(), nil
	case "":
		return Selection{}, fmt.Errorf("no GPU is named: use all, none, or a list of indices and UUIDs")
	}
	if n := strings.Count(text, ",") + 1; n > maxNames {
		return Selection{}, fmt.Errorf("%d GPUs are named: at most %d can be", n, maxNames)
	}
	var names []string
	for item := range strings.SplitSeq(text, ",") {
		name, err := parseName(strings.TrimSpace(item))
		if err != nil {
			return Selection{}, err
		}
		if slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) }) {
			return Selection{}, fmt.Errorf("GPU %s is named twice: name each once", name)
		}
		names = append(names, name)
	}
	return Selection{names: names}, nil
}

func parseName(item string) (string, error) {
	if index, err := strconv.ParseUint(item, 10, 8); err == nil {
		return strconv.FormatUint(index, 10), nil
	}
	switch {
	case uuidShape.MatchString(item):
		return item, nil
	case item == "":
		return "", fmt.Errorf("an item of the list is empty: remove the comma too many")
	case strings.EqualFold(item, "all"), strings.EqualFold(item, "none"):
		return "", fmt.Errorf("%q cannot be part of a list: use it alone", item)
	}
	return "", fmt.Errorf("%.100q is neither an index (0, 1, …) nor a UUID (GPU-…): nvidia-smi -L shows both", item)
}

// None says that no GPU counts.
func (s Selection) None() bool { return s.none }

// All says that every GPU counts that NVML shows.
func (s Selection) All() bool { return !s.none && len(s.names) == 0 }

// Names returns the indices and UUIDs that are named, in their order; none where All or None.
func (s Selection) Names() []string { return slices.Clone(s.names) }

// String is what ParseSelection would read as the same selection.
func (s Selection) String() string {
	switch {
	case s.none:
		return "none"
	case len(s.names) == 0:
		return "all"
	}
	return strings.Join(s.names, ",")
}

// UnmarshalText is ParseSelection, for configuration.
func (s *Selection) UnmarshalText(text []byte) error {
	parsed, err := ParseSelection(string(text))
	if err == nil {
		*s = parsed
	}
	return err
}

// MarshalText is String.
func (s Selection) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// names says whether this name means the GPU with that index and UUID.
func names(name string, index int, uuid string) bool {
	return name == strconv.Itoa(index) || strings.EqualFold(name, uuid)
}
