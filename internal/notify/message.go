package notify

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Kind says what a message is about, for programs.
type Kind string

// The kinds. Others may be sent: a receiver must be ready for kinds that it does not know.
const (
	// StopAnnounced: the pod will be stopped at StopAt unless work comes.
	StopAnnounced Kind = "stop_announced"
	// StopTakenBack: an announcement no longer holds.
	StopTakenBack Kind = "stop_taken_back"
	// StopRequested: the provider has accepted to stop the pod.
	StopRequested Kind = "stop_requested"
	// StopUnproven: a stop was accepted or refused, and the pod still runs and costs money.
	StopUnproven Kind = "stop_unproven"
	// StopReverted: somebody or something starts the pod again right after its stops.
	StopReverted Kind = "stop_reverted"
	// Alarm: something that a person should look at; AlarmOver: it is over.
	Alarm     Kind = "alarm"
	AlarmOver Kind = "alarm_over"
	// HoldEnded: a hold that kept the pod running is over.
	HoldEnded Kind = "hold_ended"
	// Test: somebody wanted to see whether messages arrive.
	Test Kind = "test"
)

const (
	// maxText and maxFields bound a message, in bytes; maxWord a kind or key.
	maxText   = 4096
	maxFields = 16 << 10
	maxWord   = 256
)

// Message is what is to be told.
type Message struct {
	Kind Kind
	// Key says which one of its kind: of each kind and key one message is sent. It is shown to programs.
	Key string
	// At is when it happened; zero means now.
	At time.Time
	// StopAt is when the pod will be stopped; zero where that is unknown. An announcement is not delivered after it.
	StopAt time.Time
	// Text is for people, in plain words without markup; what is beyond 4 KiB is cut off. The name of the pod and StopAt are
	// put beside it.
	Text string
	// Fields are for programs, in names of the log's kind; they must be JSON of at most 16 KiB, else they are left out.
	Fields map[string]any
}

// letter is a message on its way.
type letter struct {
	Message
	id     string
	fields json.RawMessage
	// taken is when the notifier got it.
	taken time.Time
	// tries is how often its sending was begun; the queue counts it.
	tries int
	// withdrawn is closed when it is no longer true.
	withdrawn chan struct{}
}

// newLetter makes a message fit to be sent. The error is about its fields, without which it goes then.
func newLetter(m Message, now time.Time) (*letter, error) {
	m.Kind, m.Key = Kind(printable(string(m.Kind), maxWord)), printable(m.Key, maxWord)
	m.Text = printable(m.Text, maxText)
	if m.At.IsZero() {
		m.At = now
	}
	l := &letter{Message: m, id: rand.Text(), taken: now, withdrawn: make(chan struct{}), fields: json.RawMessage("{}")}
	l.Fields = nil // the caller's map may change from here on
	if len(m.Fields) == 0 {
		return l, nil
	}
	encoded, err := json.Marshal(m.Fields)
	switch {
	case err != nil:
		return l, fmt.Errorf("encode fields: %w", err)
	case len(encoded) > maxFields:
		return l, fmt.Errorf("encode fields: they have %d bytes, more than %d", len(encoded), maxFields)
	}
	l.fields = encoded
	return l, nil
}

// about is what the letter is one of its kind of.
func (l *letter) about() subject { return subject{l.Kind, l.Key} }

// document is the JSON for programs.
type document struct {
	Schema  int             `json:"schema"`
	ID      string          `json:"id"`
	Kind    Kind            `json:"kind"`
	Key     string          `json:"key"`
	Name    string          `json:"name"`
	StartID string          `json:"start_id"`
	At      time.Time       `json:"at"`
	SentAt  time.Time       `json:"sent_at"`
	StopAt  *time.Time      `json:"stop_at"`
	Text    string          `json:"text"`
	Fields  json.RawMessage `json:"fields"`
}

func (l *letter) document(name, startID string, now time.Time) document {
	d := document{
		Schema: 1, ID: l.id, Kind: l.Kind, Key: l.Key, Name: name, StartID: startID,
		At: l.At.UTC(), SentAt: now.UTC(), Text: l.Text, Fields: l.fields,
	}
	if !l.StopAt.IsZero() {
		at := l.StopAt.UTC()
		d.StopAt = &at
	}
	return d
}

// printable is text without control characters other than line breaks, valid, and cut to at most n bytes between two letters.
func printable(text string, n int) string {
	text = strings.Map(func(r rune) rune {
		if r == '\n' || unicode.IsPrint(r) {
			return r
		}
		if unicode.IsSpace(r) {
			return ' '
		}
		return -1
	}, strings.ToValidUTF8(text[:min(len(text), 4*n)], ""))
	return cut(strings.TrimSpace(text), n)
}

// cut shortens text to at most n bytes between two letters, with an ellipsis where something was lost.
func cut(text string, n int) string {
	const ellipsis = "…"
	if len(text) <= n {
		return text
	}
	end := n - len(ellipsis)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + ellipsis
}

// encode is the body of a request; HTML needs no care here, and a signature covers the bytes as they are.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("encode message: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
