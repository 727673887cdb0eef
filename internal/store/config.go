package store

import (
	"cmp"
	"time"

	"go.uber.org/zap"
)

// Config is all that a store needs.
type Config struct {
	// Path is the database, DIR/NAME/telemetry.db. Empty: there is no disk, and everything stays in memory.
	Path string
	// Run describes this process.
	Run Run
	// Now is the wall clock; nil is time.Now.
	Now func() time.Time
	// Log hears when the store loses its disk and finds it again; nil is silence.
	Log    *zap.Logger
	Limits Limits

	// Tests make time short, the disk slow and the file system a network with these.
	pace   pace
	slow   func()
	remote bool
}

// Run describes one process of the watchdog: what its decisions are to be read with.
type Run struct {
	Version string
	Name    string
	StartID string
	// Config is the settings' hash.
	Config string
	// Settings is a JSON object of variable to value; whoever fills it leaves secrets out.
	Settings string
}

// Limits bound what is kept; a zero means the default.
type Limits struct {
	// RequestsFor is how long the rows of requests and their labels stay: 90 days. The figures of their days outlive them.
	RequestsFor time.Duration
	// HistoryFor is how long minutes, decisions, attempts, starts and the figures of days stay: 400 days, so that a month
	// can be held against the same month of the year before.
	HistoryFor time.Duration
	// FileBytes is the size beyond which the oldest rows go before their time: 2 GiB, about ten million requests.
	FileBytes int64
	// QueueRows bounds the rows that wait for the writer: 8192, which are about 4 MB.
	QueueRows int
	// MemoryRows bounds the rows that are held while no disk can be written: 4096, about 2 MB. Of events of ticks (changes
	// of the decision, minutes, steps of attempts), which are larger, a quarter as many are held.
	MemoryRows int

	strip int // values in a strip; tests make it small
}

const (
	defaultRequestsFor = 90 * 24 * time.Hour
	defaultHistoryFor  = 400 * 24 * time.Hour
	defaultFileBytes   = 2 << 30
	defaultQueueRows   = 8192
	defaultMemoryRows  = 4096
)

// pace is how the store spends its time; a zero means the default.
type pace struct {
	// stalled is after how long in one operation the disk counts as hung: 5 s.
	stalled time.Duration
	// retryFirst and retryMost are the waits between attempts to use a disk that failed: 1 s, doubling, at most 1 min.
	retryFirst, retryMost time.Duration
	// tidy is how often old rows are looked for: 1 min.
	tidy time.Duration
	// busy is how long another process may hold the file: 5 s.
	busy time.Duration
	// check is how long the integrity of the file may take at the start: 2 s.
	check time.Duration
	// open is how long Open waits for the disk: 2 s.
	open time.Duration
}

func (c Config) withDefaults() Config {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	if c.Run.Settings == "" {
		c.Run.Settings = "{}"
	}
	c.Limits = Limits{
		RequestsFor: cmp.Or(c.Limits.RequestsFor, defaultRequestsFor),
		HistoryFor:  cmp.Or(c.Limits.HistoryFor, defaultHistoryFor),
		FileBytes:   cmp.Or(c.Limits.FileBytes, defaultFileBytes),
		QueueRows:   cmp.Or(c.Limits.QueueRows, defaultQueueRows),
		MemoryRows:  cmp.Or(c.Limits.MemoryRows, defaultMemoryRows),
		strip:       cmp.Or(c.Limits.strip, stripRows),
	}
	c.pace = pace{
		stalled:    cmp.Or(c.pace.stalled, 5*time.Second),
		retryFirst: cmp.Or(c.pace.retryFirst, time.Second),
		retryMost:  cmp.Or(c.pace.retryMost, time.Minute),
		tidy:       cmp.Or(c.pace.tidy, time.Minute),
		busy:       cmp.Or(c.pace.busy, 5*time.Second),
		check:      cmp.Or(c.pace.check, 2*time.Second),
		open:       cmp.Or(c.pace.open, 2*time.Second),
	}
	return c
}
