package config

import (
	"strconv"
	"strings"
	"unicode"

	"github.com/gpu-watchdog/gpu-watchdog/internal/secret"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/command"
)

// Command is a program and its arguments. The arguments may hold keys, so every way of printing it shows the program
// alone. The zero Command is not set.
type Command struct{ words []Secret }

// IsSet says that there is a program.
func (c Command) IsSet() bool { return len(c.words) > 0 }

// Argv is the program and its arguments, for the one place that runs it; nil where it is not set.
func (c Command) Argv() []string {
	var argv []string
	for _, w := range c.words {
		argv = append(argv, w.Reveal())
	}
	return argv
}

// String is the program, and a mask for its arguments.
func (c Command) String() string {
	if !c.IsSet() {
		return ""
	}
	program := c.words[0].Reveal()
	if strings.ContainsFunc(program, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) || r == '"' }) {
		program = strconv.Quote(program)
	}
	program = clip(program)
	if len(c.words) == 1 {
		return program
	}
	return program + " " + masked
}

// GoString masks the arguments under %#v.
func (c Command) GoString() string { return c.String() }

// MarshalText masks the arguments in JSON and other encodings.
func (c Command) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// parseCommand reads what the command target reads. Its mistakes never repeat the value.
func parseCommand(s string) (any, error) {
	argv, err := command.Parse(s)
	if err != nil {
		return nil, wrong("", "cannot be read: %s (its value is not shown)", err)
	}
	c := Command{words: make([]Secret, len(argv))}
	for i, word := range argv {
		c.words[i] = secret.New(word)
	}
	return c, nil
}
