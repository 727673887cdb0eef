package config

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Problem is one mistake in the configuration.
type Problem struct {
	// Variable is the full name of the variable to change.
	Variable string
	// Value is what it holds, fit to be shown: clipped, and empty where it is, or may be, a secret.
	Value string
	// Text says what is wrong and what to do.
	Text string
}

func (p Problem) String() string {
	if p.Value == "" {
		return p.Variable + ": " + p.Text
	}
	return p.Variable + "=" + strconv.Quote(p.Value) + ": " + p.Text
}

// Error holds every mistake of a configuration, in the order of Config's fields; names that are no variable come last.
type Error struct {
	Problems []Problem
}

func (e *Error) Error() string {
	var b strings.Builder
	if len(e.Problems) == 1 {
		b.WriteString("1 mistake in the configuration:")
	} else {
		fmt.Fprintf(&b, "%d mistakes in the configuration:", len(e.Problems))
	}
	for _, p := range e.Problems {
		b.WriteString("\n  ")
		b.WriteString(p.String())
	}
	return b.String()
}

// problems gathers mistakes and knows which variables are no longer worth a further check.
type problems struct {
	list []Problem
	bad  map[string]bool
}

func (p *problems) add(variable, value, text string) {
	if p.bad == nil {
		p.bad = map[string]bool{}
	}
	p.bad[variable] = true
	p.list = append(p.list, Problem{Variable: variable, Value: clip(value), Text: text})
}

// good says that none of the variables has a mistake so far.
func (p *problems) good(variables ...string) bool {
	return !slices.ContainsFunc(variables, func(v string) bool { return p.bad[v] })
}

// err sorts by the order of the fields; variables that are no field follow by name.
func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	place := map[string]int{}
	for i, f := range fields {
		place[f.Variable] = i
		if f.Secret {
			place[f.Variable+fileSuffix] = i
		}
	}
	slices.SortStableFunc(p.list, func(a, b Problem) int {
		i, known := place[a.Variable]
		j, also := place[b.Variable]
		switch {
		case known && also:
			return cmp.Compare(i, j)
		case known:
			return -1
		case also:
			return 1
		}
		return strings.Compare(a.Variable, b.Variable)
	})
	return &Error{Problems: p.list}
}

// flaws is what a parser of one value finds wrong: one or more mistakes, each with the part of the value it is about.
type flaws []flaw

type flaw struct {
	// value is fit to be shown.
	value, text string
}

func (f flaws) Error() string {
	texts := make([]string, len(f))
	for i := range f {
		texts[i] = f[i].text
	}
	return strings.Join(texts, "; ")
}

func wrong(value, format string, args ...any) error {
	return flaws{{value, fmt.Sprintf(format, args...)}}
}

// longestShown bounds, in bytes, what a message repeats of a value or a name.
const longestShown = 100

func clip(s string) string {
	if len(s) <= longestShown {
		return s
	}
	cut := longestShown
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
