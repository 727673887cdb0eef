package program

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Line is one line of the log; one that is no JSON has only "text".
type Line map[string]any

func parse(text []byte) Line {
	var l Line
	if json.Unmarshal(text, &l) != nil || l == nil {
		return Line{"text": string(text)}
	}
	return l
}

// Text is a field that holds text; empty where there is none.
func (l Line) Text(key string) string {
	s, _ := l[key].(string)
	return s
}

// Number is a field that holds a number; 0 where there is none.
func (l Line) Number(key string) float64 {
	n, _ := l[key].(float64)
	return n
}

// Msg is the constant message.
func (l Line) Msg() string { return l.Text("msg") }

// At is when the program wrote the line.
func (l Line) At() time.Time {
	at, _ := time.Parse(time.RFC3339Nano, l.Text("ts")) // a line without is of the year 1
	return at
}

// Seconds is a field in seconds.
func (l Line) Seconds(key string) time.Duration {
	return time.Duration(l.Number(key) * float64(time.Second))
}

// Holds says whether one field of the line, a text, a list or an object, holds every one of the words.
func (l Line) Holds(words ...string) bool {
	for _, value := range l {
		text, _ := value.(string)
		switch v := value.(type) {
		case []any:
			text = fmt.Sprint(v...)
		case map[string]any:
			text = fmt.Sprint(v) // map[key:value …], by key
		}
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) }) {
			return true
		}
	}
	return false
}
