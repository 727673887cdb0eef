package doctor

import (
	"fmt"
	"strings"
	"time"
)

// split parts what is wrong from what to do about it, as most sentences of this program say both: "…; set …".
func split(sentence, otherwise string) (detail, remedy string) {
	detail, remedy, found := strings.Cut(sentence, "; ")
	if !found {
		return sentence, otherwise
	}
	return detail, remedy
}

// span writes a duration as people read it: two units at most.
func span(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	s := int64(d.Round(time.Second) / time.Second)
	units := []struct {
		name string
		size int64
	}{{"d", 86400}, {"h", 3600}, {"m", 60}, {"s", 1}}
	for i, u := range units[:3] {
		if s < u.size {
			continue
		}
		out := fmt.Sprintf("%d%s", s/u.size, u.name)
		if next := units[i+1]; s%u.size/next.size > 0 {
			out += fmt.Sprintf(" %d%s", s%u.size/next.size, next.name)
		}
		return out
	}
	return fmt.Sprintf("%ds", s)
}

// usd writes an amount, and small ones with the digits that tell them from nothing.
func usd(v float64) string {
	if v != 0 && v < 0.1 && v > -0.1 {
		return fmt.Sprintf("%.3f $", v)
	}
	return fmt.Sprintf("%.2f $", v)
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
