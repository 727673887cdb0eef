package doctor

import (
	"fmt"
	"strings"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/words"
)

// split parts what is wrong from what to do about it, as most sentences of this program say both: "…; set …".
func split(sentence, otherwise string) (detail, remedy string) {
	detail, remedy, found := strings.Cut(sentence, "; ")
	if !found {
		return sentence, otherwise
	}
	return detail, remedy
}

// span writes a duration, and short ones to the millisecond.
func span(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return words.Span(d)
}

// size writes a number of bytes.
func size(bytes float64) string {
	for _, u := range []struct {
		name string
		size float64
	}{{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}} {
		if bytes >= u.size {
			return fmt.Sprintf("%.*f %s", digits(bytes/u.size), bytes/u.size, u.name)
		}
	}
	return fmt.Sprintf("%.0f kB", bytes/1e3)
}

func digits(v float64) int {
	if v < 10 {
		return 1
	}
	return 0
}

// count writes a number with its noun.
func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func ports(list []uint16) string {
	words := make([]string, len(list))
	for i, p := range list {
		words[i] = fmt.Sprint(p)
	}
	noun := "port"
	if len(list) != 1 {
		noun = "ports"
	}
	return noun + " " + strings.Join(words, ", ")
}
