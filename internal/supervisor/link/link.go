// Package link is what the supervisor tells the watchdog beside it of the server that it runs: one message for each change, over
// a pair of sockets that the two share. It is read by the watchdog as a source like any other.
package link

import "time"

// Variable names the file descriptor of the watchdog's end in its environment. It does not begin as the settings do, because it
// is none.
const Variable = "GPU_WATCHDOG_LINK"

// MostBytes bounds a message.
const MostBytes = 64 << 10

// Message is the whole of what is known of the server at one moment, or one line of what it writes.
type Message struct {
	Server *Server `json:"server,omitempty"`
	Line   *Line   `json:"line,omitempty"`
}

// Server is the program that the supervisor runs.
type Server struct {
	// Program is its name, without its arguments, which may hold keys.
	Program string `json:"program"`
	// PID is its process, 0 while none runs.
	PID int `json:"pid"`
	// Starts are its last starts, oldest first, of which the last may be running still.
	Starts []Start `json:"starts"`
	// Failures counts the starts that ended otherwise than with 0.
	Failures uint64 `json:"failures"`
	// Restarts says that the supervisor starts it again when it fails; NextStart is when, zero where none is due.
	Restarts  bool      `json:"restarts"`
	NextStart time.Time `json:"next_start,omitzero"`
	// Done: it ended with 0, and is not started again.
	Done bool `json:"done"`
	// Tail is what it wrote last, a line each, cut and without the secrets that are known.
	Tail []string `json:"tail"`
}

// Start is one start of the server.
type Start struct {
	At time.Time `json:"at"`
	// EndedAt is zero while it runs. Status is its exit code, 128 + n where signal n ended it.
	EndedAt time.Time `json:"ended_at,omitzero"`
	Status  int       `json:"status"`
}

// Line is one line that the server wrote while it started.
type Line struct {
	At   time.Time `json:"at"`
	Text string    `json:"text"`
}
