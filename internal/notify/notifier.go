package notify

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/gpu-watchdog/gpu-watchdog/internal/post"
	"github.com/gpu-watchdog/gpu-watchdog/internal/secret"
)

// setting is the variable that people have to look at.
const setting = "WATCHDOG_NOTIFY_URL"

// Config is what a Notifier needs.
type Config struct {
	// URL is where messages go. It is a secret: who has it can write there.
	URL secret.Secret
	// Key signs what goes to hosts other than Slack and Discord; not set, nothing is signed.
	Key secret.Secret
	// Name is the pod's, StartID that of its present start.
	Name, StartID string
	// UserAgent names us; empty means gpu-watchdog.
	UserAgent string
	// Timeout bounds each try; 0 means 10 s.
	Timeout time.Duration
	// Transport carries the requests; nil means one of our own.
	Transport http.RoundTripper
	// Log gets a line about each message; nil drops them.
	Log *zap.Logger
}

// Counts are how many messages had which end since the start.
type Counts struct {
	// Sent were accepted by the host. Failed were refused by it, or tried in vain. Dropped were never tried: there were too many,
	// they were too old, or the watchdog ended. TakenBack were no longer true before they were delivered.
	Sent, Failed, Dropped, TakenBack uint64
	// Waiting are on their way now.
	Waiting int
}

// Notifier sends messages to one place. Make it with New; a nil Notifier takes every message and sends none. All methods but Run
// are safe for concurrent use, and none of them waits.
type Notifier struct {
	client        *post.Client
	form          form
	name, startID string
	log           *zap.Logger
	queue         *queue

	mu      sync.Mutex
	counts  Counts
	problem string
}

// CheckURL says what New would say of the URL, in words that show its host at most.
func CheckURL(url secret.Secret) error {
	_, _, err := place(url)
	return err
}

func place(url secret.Secret) (form, post.Address, error) {
	form, target, err := recognise(url)
	if err != nil {
		return form, post.Address{}, fmt.Errorf("%s cannot be used: %w", setting, err)
	}
	address, err := post.ParseAddress(setting, target)
	return form, address, err
}

// New checks the URL. It reaches nothing; messages go out once Run runs.
func New(c Config) (*Notifier, error) {
	form, address, err := place(c.URL)
	if err != nil {
		return nil, err
	}
	n := &Notifier{form: form, name: printable(c.Name, maxWord), startID: c.StartID, log: c.Log, queue: newQueue()}
	if n.log == nil {
		n.log = zap.NewNop()
	}
	to := post.Config{Address: address, UserAgent: c.UserAgent, Timeout: c.Timeout, Transport: c.Transport}
	if form == formJSON {
		to.Key = c.Key
	}
	n.client = post.NewClient(to)
	return n, nil
}

// String says where messages go: "Slack (hooks.slack.com)".
func (n *Notifier) String() string {
	if n == nil {
		return "nobody"
	}
	return fmt.Sprintf("%s (%s)", n.form, n.client.Address().Host())
}

// Reach connects to the host and sends nothing (see post.Client).
func (n *Notifier) Reach(ctx context.Context) error {
	if n == nil {
		return nil
	}
	if err := n.client.Reach(ctx); err != nil {
		return fmt.Errorf("reach %s: %w", n.client.Address().Host(), err)
	}
	return nil
}

// Notify takes a message, unless one of the same kind and key is on its way or has been delivered.
func (n *Notifier) Notify(m Message) {
	if n == nil {
		return
	}
	if n.queue.knows(subject{Kind(printable(string(m.Kind), maxWord)), printable(m.Key, maxWord)}) {
		return
	}
	l, err := newLetter(m, time.Now())
	if err != nil {
		n.log.Warn("notification goes without its fields", zap.String("kind", string(l.Kind)), zap.String("key", l.Key), zap.Error(err))
	}
	if lost, why := n.queue.put(l); lost != nil {
		n.dropped(lost, why)
	}
}

// TakeBack ends the announcement (StopAnnounced) of that key. If somebody may have read it, they are told by a message of the
// kind StopTakenBack with the same key, this text and these fields; one that is still on its way is not sent. Without such an
// announcement nothing happens.
func (n *Notifier) TakeBack(key, text string, fields map[string]any) {
	if n == nil {
		return
	}
	gone, told := n.queue.withdraw(subject{StopAnnounced, printable(key, maxWord)})
	if gone != nil {
		n.takenBack(gone)
	}
	if told {
		n.Notify(Message{Kind: StopTakenBack, Key: key, Text: text, Fields: fields})
	}
}

// Counts are the numbers up to now.
func (n *Notifier) Counts() Counts {
	if n == nil {
		return Counts{}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	c := n.counts
	c.Waiting = n.queue.waits()
	return c
}

// Warnings says in one sentence that messages do not arrive, why, and what to do; it is empty while they do.
func (n *Notifier) Warnings() []string {
	if n == nil {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.problem == "" {
		return nil
	}
	return []string{fmt.Sprintf("notifications to %s do not arrive (%s): correct %s, or look at that host; the watch goes on", n.client.Address().Host(), n.problem, setting)}
}

var (
	errTooMany = errors.New("too many notifications wait")
	errTooOld  = errors.New("it is too old by its next turn")
	errPast    = errors.New("the announced instant has passed")
	errEnd     = errors.New("the watchdog ends")
)

func (n *Notifier) sent(l *letter) {
	n.note(func() { n.counts.Sent++; n.problem = "" })
	n.log.Info("notification sent", n.about(l)...)
}

func (n *Notifier) failed(l *letter, why string) {
	n.note(func() { n.counts.Failed++ })
	n.log.Warn("notification failed", append(n.about(l), zap.String("detail", why))...)
}

func (n *Notifier) dropped(l *letter, why error) {
	n.note(func() { n.counts.Dropped++ })
	n.log.Warn("notification dropped", append(n.about(l), zap.Error(why))...)
}

func (n *Notifier) takenBack(l *letter) {
	n.note(func() { n.counts.TakenBack++ })
	n.log.Debug("notification taken back", n.about(l)...)
}

// pending notes why a try failed, which is shown until a message arrives.
func (n *Notifier) pending(l *letter, why string) {
	n.note(func() { n.problem = why })
	n.log.Debug("notification not delivered yet", append(n.about(l), zap.String("detail", why))...)
}

// note changes what the lock guards; nobody logs under it, since a log may block.
func (n *Notifier) note(change func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change()
}

func (n *Notifier) about(l *letter) []zap.Field {
	return []zap.Field{
		zap.String("kind", string(l.Kind)), zap.String("key", l.Key),
		zap.String("to", n.client.Address().Host()), zap.Int("tries", l.tries),
	}
}
