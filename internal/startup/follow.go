package startup

import (
	"strings"
	"sync"
	"time"
)

// servesSign is the line by which an API server says that it takes requests.
const servesSign = "Application startup complete"

// longestUnheard is how long a server may have run when somebody begins to listen who still hears its first line.
const longestUnheard = 2 * time.Second

// Follower reads the lines of a server that somebody else starts, perhaps more than once. Its methods may be called by several
// goroutines.
type Follower struct {
	// Since is when it began to listen. Of a start that had begun well before, the end of the boot is not known.
	Since time.Time

	mu    sync.Mutex
	began time.Time
	marks Marks
}

// Line takes a line that was written at that time by the server that was started at began.
func (f *Follower) Line(began, at time.Time, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !began.Equal(f.began) {
		f.began, f.marks = began, Marks{}
	}
	after := max(0, at.Sub(began))
	if f.Since.Sub(began) < longestUnheard {
		f.marks.First(FirstLine, after, ByLog)
	}
	f.marks.ReadLine([]byte(text), after)
	if strings.Contains(text, servesSign) {
		f.marks.First(Ready, after, ByLog)
	}
}

// Phases are those of the server that was started at began, which was seen to be ready at that time. There are none where it has
// written nothing.
func (f *Follower) Phases(began, ready time.Time) []Phase {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !began.Equal(f.began) || f.marks == (Marks{}) {
		return nil
	}
	m := f.marks
	m.First(Ready, max(0, ready.Sub(began)), ByHTTP)
	return m.Phases()
}
