package config

import (
	"slices"
	"strings"
)

// otherVersions are names that have a meaning in other versions. Guessing a near name for one of them would mislead.
var otherVersions = []string{"WAKE"}

// isVariable says that the full name is one of ours.
func isVariable(name string) bool {
	_, ok := names[name]
	return ok
}

// names holds the full name of each variable, the _FILE twins of secrets among them.
var names = func() map[string]bool {
	m := map[string]bool{}
	for _, f := range fields {
		m[f.Variable] = true
		if f.Secret {
			m[f.Variable+fileSuffix] = true
		}
	}
	return m
}()

// mostGuesses bounds how many unknown names are compared with all known ones.
const mostGuesses = 50

// unknownText explains a name that is no variable. The value is never part of it: a misspelt name may hold a secret.
func unknownText(name string, guess bool) string {
	short := strings.TrimPrefix(name, Prefix)
	if slices.Contains(otherVersions, short) {
		return "this version has no such variable; unset it"
	}
	if base, ok := strings.CutSuffix(name, fileSuffix); ok && isVariable(base) {
		return "only a secret can come from a file; set " + base
	}
	meant := ""
	if guess {
		meant = meantVariable(strings.ToUpper(short))
	}
	if meant == "" {
		return "there is no such variable; unset it (gpu-watchdog env lists all)"
	}
	return "there is no such variable; did you mean " + Prefix + meant + "?"
}

// meantVariable guesses which variable was meant, by its name without the prefix; "" where it cannot.
func meantVariable(short string) string {
	var known, twins []string
	for _, f := range fields {
		known = append(known, strings.TrimPrefix(f.Variable, Prefix))
		if f.Secret {
			twins = append(twins, strings.TrimPrefix(f.Variable, Prefix)+fileSuffix)
		}
	}
	if meant := nearest(short, append(twins, known...)); meant != "" {
		return meant
	}
	return sharing(short, known)
}

// nearest returns the candidate with the least edit distance to s, the first of equals; "" where none is near: a third
// of its letters may differ, at most three, and always one.
func nearest(s string, candidates []string) string {
	const longest = 64
	if len(s) > longest {
		return ""
	}
	s = strings.ToLower(s)
	best, least := "", 4
	for _, c := range candidates {
		d := distance(s, strings.ToLower(c))
		if d < least && d <= max(1, len(c)/3) {
			best, least = c, d
		}
	}
	return best
}

// distance counts the insertions, deletions, replacements and swaps of neighbours (each place edited once) between two
// short strings: the optimal string alignment distance.
func distance(a, b string) int {
	older, old, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range old {
		old[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(old[j]+1, row[j-1]+1, old[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], older[j-2]+1)
			}
		}
		older, old, row = old, row, older
	}
	return old[len(b)]
}

// sharing returns the only candidate that has every word of s ("INTERVAL" is in CHECK_INTERVAL), or whose every word s
// has; "" where there is none, or more than one.
func sharing(s string, candidates []string) string {
	words := strings.Split(clip(s), "_")
	var found []string
	for _, c := range candidates {
		have := strings.Split(c, "_")
		if contains(have, words) || contains(words, have) {
			found = append(found, c)
		}
	}
	if len(found) != 1 {
		return ""
	}
	return found[0]
}

func contains(all, some []string) bool {
	for _, w := range some {
		if !slices.Contains(all, w) {
			return false
		}
	}
	return true
}
