package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	// maxCommand bounds a command, in bytes; maxWords its words.
	maxCommand = 64 << 10
	maxWords   = 1024
)

// Parse reads a command: a JSON array of strings, or words between blanks. Of a shell's language it knows the quotes alone:
// 'anything' as it is, "anything" in which a backslash makes " and \ plain, and outside of quotes a backslash that makes the next
// character plain. Marks that a shell would act upon are refused where they are not quoted, since nobody would act upon them
// here. Errors never repeat a word of the command, which may hold a key.
func Parse(text string) ([]string, error) {
	if len(text) > maxCommand {
		return nil, fmt.Errorf("it has %d bytes, more than %d; write a script, and name that", len(text), maxCommand)
	}
	read := parseWords
	if strings.HasPrefix(strings.TrimLeft(text, " \t\r\n"), "[") {
		read = parseArray
	}
	argv, err := read(text)
	switch {
	case err != nil:
		return nil, err
	case len(argv) == 0:
		return nil, errors.New("it is empty; it has the form PROGRAM ARGUMENT…")
	case argv[0] == "":
		return nil, errors.New("its first word is empty; it must name a program")
	case len(argv) > maxWords:
		return nil, fmt.Errorf("it has %d words, more than %d; write a script, and name that", len(argv), maxWords)
	}
	for i, word := range argv {
		if strings.ContainsRune(word, 0) {
			return nil, fmt.Errorf("word %d has a NUL in it, which no program can be given", i+1)
		}
	}
	return argv, nil
}

func parseArray(text string) (argv []string, err error) {
	var words []*string // a null is no word
	if err := json.Unmarshal([]byte(text), &words); err != nil {
		return nil, errors.New(`it begins like a JSON array and is none of strings; it has the form ["PROGRAM", "ARGUMENT"]`)
	}
	for i, word := range words {
		if word == nil {
			return nil, fmt.Errorf("element %d of its array is null; it must be a string", i+1)
		}
		argv = append(argv, *word)
	}
	return argv, nil
}

// marks are what a shell would act upon.
const marks = "|&;<>()`$\n"

// parseWords goes by bytes: all that mean something are ASCII, and no byte of a longer character is.
func parseWords(text string) ([]string, error) {
	var (
		argv   []string
		word   []byte
		inWord bool
	)
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n' && strings.TrimSpace(text[i:]) == "":
			if inWord {
				argv, word, inWord = append(argv, string(word)), nil, false
			}
		case c == '\'':
			end := strings.IndexByte(text[i+1:], '\'')
			if end < 0 {
				return nil, fmt.Errorf("the ' at place %d is never closed", place(text, i))
			}
			word, inWord = append(word, text[i+1:i+1+end]...), true
			i += end + 1
		case c == '"':
			quoted, length, closed := doubleQuoted(text[i+1:])
			if !closed {
				return nil, fmt.Errorf(`the " at place %d is never closed`, place(text, i))
			}
			word, inWord = append(word, quoted...), true
			i += length
		case c == '\\':
			if i+1 == len(text) {
				return nil, errors.New(`it ends in a \ that stands before nothing`)
			}
			i++
			word, inWord = append(word, text[i]), true
		case strings.IndexByte(marks, c) >= 0:
			return nil, fmt.Errorf("the %q at place %d means something to a shell, and no shell reads this: put it into quotes, or write sh -c '…'", c, place(text, i))
		default:
			word, inWord = append(word, c), true
		}
	}
	if inWord {
		argv = append(argv, string(word))
	}
	return argv, nil
}

// doubleQuoted reads up to the closing mark, and counts the bytes with it.
func doubleQuoted(text string) (quoted []byte, length int, closed bool) {
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return quoted, i + 1, true
		case c == '\\' && i+1 < len(text) && (text[i+1] == '"' || text[i+1] == '\\'):
			i++
			quoted = append(quoted, text[i])
		default:
			quoted = append(quoted, c)
		}
	}
	return nil, 0, false
}

// place counts characters, from 1.
func place(text string, i int) int { return utf8.RuneCountInString(text[:i]) + 1 }
