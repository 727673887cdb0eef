package supervisor

import (
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/supervisor/link"
)

const (
	// Grace is how long the server has to end after SIGTERM, before it is killed. Docker gives a container 10 s, and vLLM never
	// ends while a client keeps its stream open.
	Grace = 8 * time.Second
	// watchGrace is how long the watchdog has to end, once the server has.
	watchGrace = 3 * time.Second
	// lastWords is how long the server's last words may take to come through its pipes, once it has ended; and wholeWords where
	// they are on their way to somebody slow, and we end.
	lastWords, wholeWords = 200 * time.Millisecond, 5 * time.Second
	// tellAgain is when a watchdog is told again that could take no more.
	tellAgain = time.Second
	// watchCalm is how long a watchdog must live to be started again at once: by then it has looked.
	watchCalm = 5 * time.Second
	// startsKept is how many starts of the server are told of.
	startsKept = 10
	// toldFor is for how long after its start each line of the server is told to the watchdog.
	toldFor = 30 * time.Minute

	statusNotFound, statusNotExecutable = 127, 126
	// statusRefused is the watchdog's exit status where its settings are wrong: it does not mend itself.
	statusRefused = 2
)

// Config is what a supervisor runs. All of it must be set but Restart.
type Config struct {
	// Server is the server's command, Watch the watchdog's.
	Server, Watch []string
	// Environ is our own environment: the watchdog gets all of it, the server what is not ours.
	Environ            []string
	Stdin, Stdout, Err *os.File
	// Restart: a server that failed is started again here, because the end of the container would not end the bill.
	Restart bool
	// Grace is the time that the server has to end.
	Grace time.Duration
	// Say writes one line to the log. It gets no secrets.
	Say func(level, message string, facts ...any)
}

// Run runs the server and the watchdog until the server is over, and returns the exit status: the server's, or 128 + n of signal n.
func Run(c Config) (status int) {
	s := &supervisor{
		Config:      c,
		signals:     make(chan os.Signal, 64),
		ended:       make(chan os.Signal, 1),
		serverAgain: backoff{first: time.Second, most: time.Minute, calm: 10 * time.Minute},
		watchAgain:  backoff{first: time.Second, most: time.Minute, calm: watchCalm},
	}
	s.tail = tail{secrets: secretsOf(c.Environ, c.Server), each: s.tellLine}
	return s.run()
}

type supervisor struct {
	Config
	signals, ended chan os.Signal
	tail           tail
	streams        streams
	told           peer

	server, watch           int // processes, 0 while none runs
	group                   int // the last server's
	serverDue, watchDue     time.Time
	tellDue                 time.Time
	serverAgain, watchAgain backoff
	starts                  []link.Start
	failures                uint64
	watchSince              time.Time
	watchAsked              bool
	done                    bool

	// asked is the signal that asked the server to end, 0 if none did or it went on all the same. killAt is when it is killed,
	// heedAt until when its end is by that signal.
	asked          syscall.Signal
	killAt, heedAt time.Time
	// remains is the group of a server that has ended, whose other processes have until killAt to do so.
	remains int
	// over: the server is, with this status; what is left has until leaveAt.
	over    bool
	status  int
	leaveAt time.Time
}

func (s *supervisor) run() int {
	// What is taken here does not end us; to ignore it would make the server ignore it, too.
	signal.Notify(s.signals, passed()...)
	signal.Notify(s.ended, syscall.SIGCHLD)
	defer signal.Stop(s.signals)
	defer signal.Stop(s.ended)
	if err := adopt(); err != nil {
		s.Say("warn", err.Error())
	}
	if status := s.startServer(); status != 0 {
		return status
	}
	s.startWatch()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for !s.left() {
		timer.Reset(s.wait())
		select {
		case got := <-s.signals:
			s.pass(got.(syscall.Signal))
		case <-s.ended:
			for pid, status := reap(); pid != 0; pid, status = reap() {
				s.buried(pid, status)
			}
		case <-timer.C:
		}
		s.due(time.Now())
	}
	foreground(s.Stdin, syscall.Getpgrp(), s.group)
	s.streams.settle(lastWords, wholeWords)
	return s.status
}

// left says that nothing is left to wait for.
func (s *supervisor) left() bool { return s.over && s.watch == 0 }

// wait is how long nothing is due.
func (s *supervisor) wait() time.Duration {
	wait := time.Hour
	for _, at := range [...]time.Time{s.serverDue, s.watchDue, s.tellDue, s.killAt, s.heedAt, s.leaveAt} {
		if !at.IsZero() {
			wait = min(wait, max(0, time.Until(at)))
		}
	}
	return wait
}

// due does what is due.
func (s *supervisor) due(now time.Time) {
	reached := func(at *time.Time) bool {
		if at.IsZero() || now.Before(*at) {
			return false
		}
		*at = time.Time{}
		return true
	}
	if reached(&s.killAt) && !s.over {
		s.Say("warn", "server killed", "reason", "it did not end within its grace", "grace_seconds", s.Grace.Seconds())
		signalGroup(s.group, syscall.SIGKILL)
		if s.remains != 0 {
			s.remains = 0
			s.finish(now, s.status)
		}
	}
	if reached(&s.heedAt) && s.asked != syscall.SIGTERM {
		s.asked = 0
	}
	if s.remains != 0 && !groupLives(s.remains) {
		s.remains = 0
		s.finish(now, s.status)
	}
	if reached(&s.tellDue) {
		s.tell()
	}
	if reached(&s.serverDue) {
		s.startServer()
	}
	if reached(&s.watchDue) {
		s.startWatch()
	}
	if reached(&s.leaveAt) && s.watch != 0 {
		signalGroup(s.watch, syscall.SIGKILL)
	}
}

// startServer starts the server, and returns a status where it cannot be.
func (s *supervisor) startServer() int {
	if err := s.streams.open(&s.tail, s.Stdout, s.Err); err != nil {
		s.Say("warn", "server writes past us", "error", err.Error())
	}
	now := time.Now()
	pid, err := spawn(s.Server, forServer(s.Environ), stdio{s.Stdin, s.streams.out, s.streams.err}, nil)
	s.streams.handedOver()
	if err != nil {
		s.Say("error", "server cannot be started", "program", s.Server[0], "error", err.Error())
		status := statusNotExecutable
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
			status = statusNotFound
		}
		if !s.Restart {
			return status
		}
		s.tail.keep([]byte("gpu-watchdog: " + s.Server[0] + " cannot be started: " + err.Error()))
		s.failures++
		s.started(link.Start{At: now, EndedAt: now, Status: status})
		s.fell(now, now, status)
		return 0
	}
	// A terminal's signals and input are for the server: it is what a person started.
	foreground(s.Stdin, pid, syscall.Getpgrp(), s.group)
	s.server, s.group = pid, pid
	s.started(link.Start{At: now})
	s.tell()
	return 0
}

// started takes note of a start.
func (s *supervisor) started(start link.Start) {
	s.starts = append(s.starts[max(0, len(s.starts)+1-startsKept):], start)
}

func (s *supervisor) startWatch() {
	if s.watchAsked {
		return
	}
	theirs, err := s.told.open()
	more, environ := []int(nil), s.Environ
	if err != nil {
		s.Say("warn", "watchdog is told nothing of the server", "error", err.Error())
	} else {
		more, environ = []int{theirs}, append(append([]string{}, s.Environ...), link.Variable+"=3")
	}
	pid, err := spawn(s.Watch, environ, stdio{s.Stdin, s.Stdout, s.Err}, more)
	s.told.handedOver()
	s.watchSince = time.Now()
	if err != nil {
		s.Say("error", "watchdog cannot be started", "error", err.Error())
		s.watchDue = s.watchSince.Add(s.watchAgain.after(0))
		return
	}
	s.watch = pid
	s.tell()
}

// buried takes note of a process that has ended. Most are neither of our two, but orphans of the server's.
func (s *supervisor) buried(pid, status int) {
	now := time.Now()
	switch pid {
	case s.server:
		s.serverEnded(now, status)
	case s.watch:
		s.watch = 0
		s.told.close()
		if s.over || s.asked == syscall.SIGTERM {
			return
		}
		pause := s.watchAgain.after(now.Sub(s.watchSince))
		if status == statusRefused {
			pause = s.watchAgain.most
			s.Say("error", "nobody watches this pod", "reason", "gpu-watchdog refuses its settings, see above", "again_seconds", pause.Seconds())
		} else {
			s.Say("error", "watchdog ended", "status", status, "again_seconds", pause.Seconds())
		}
		s.watchDue = now.Add(pause)
	}
}

func (s *supervisor) serverEnded(now time.Time, status int) {
	s.server = 0
	began := now
	if n := len(s.starts); n > 0 {
		began = s.starts[n-1].At
		s.starts[n-1].EndedAt, s.starts[n-1].Status = now, status
	}
	if status != 0 {
		s.failures++
	}
	if s.asked == syscall.SIGTERM && !s.killAt.IsZero() {
		// A shell ends at once, and what it ran has heard nothing yet.
		s.status, s.remains = status, s.group
		signalGroup(s.group, syscall.SIGTERM)
		return
	}
	s.streams.settle(lastWords, lastWords)
	// What it leaves behind of its group holds the GPU and the port that the next one needs.
	signalGroup(s.group, syscall.SIGKILL)
	switch {
	case s.asked != 0 || !s.Restart:
		s.finish(now, status)
	case status == 0:
		s.done = true
		s.Say("info", "server done", "status", status, "lived_seconds", now.Sub(began).Seconds())
		s.tell()
	default:
		s.fell(began, now, status)
	}
}

// fell has a server that failed started again after a pause.
func (s *supervisor) fell(began, now time.Time, status int) {
	pause := s.serverAgain.after(now.Sub(began))
	s.serverDue = now.Add(pause)
	s.Say("error", "server ended", "status", status, "lived_seconds", now.Sub(began).Seconds(), "again_seconds", pause.Seconds())
	s.tell()
}

// finish ends the rest: the server is over.
func (s *supervisor) finish(now time.Time, status int) {
	s.over, s.status = true, status
	s.serverDue, s.watchDue, s.tellDue, s.killAt, s.heedAt = time.Time{}, time.Time{}, time.Time{}, time.Time{}, time.Time{}
	if at := now.Add(watchGrace); s.leaveAt.IsZero() || at.Before(s.leaveAt) {
		s.leaveAt = at
	}
	s.tell()
	s.endWatch()
}

// endWatch asks the watchdog to end, once: a second signal would have it drop what it is at.
func (s *supervisor) endWatch() {
	if !s.watchAsked {
		signalGroup(s.watch, syscall.SIGTERM)
	}
	s.watchAsked = true
}

// pass hands a signal on to the server, to its first process alone: vLLM's workers would leave at once by a SIGTERM of their own
// while it lets its requests end, and SIGHUP or SIGUSR1 end whoever does not know them. SIGTERM sets it a time, and is for the
// watchdog, too: it has a memory to write.
func (s *supervisor) pass(got syscall.Signal) {
	switch got {
	case syscall.SIGTTIN, syscall.SIGTTOU: // our own, of a terminal that is the server's
		return
	case syscall.SIGPIPE:
		if broken(s.Stdout, s.Err) {
			return // it is our own
		}
	}
	if s.server != 0 {
		_ = syscall.Kill(s.server, got) // it cannot be another's: we have not buried it
	}
	now := time.Now()
	switch got {
	case syscall.SIGTERM:
		if s.asked != syscall.SIGTERM {
			s.killAt = now.Add(s.Grace)
			s.leaveAt = s.killAt
			s.endWatch()
		}
	case syscall.SIGINT, syscall.SIGQUIT:
		// Some programs end by these, and some write down where they stand, or what they have learnt.
		if s.asked != syscall.SIGTERM {
			s.heedAt = now.Add(s.Grace)
		}
	default:
		return
	}
	if s.asked != syscall.SIGTERM {
		s.asked = got
	}
	if s.server == 0 && s.remains == 0 && !s.over {
		status := 128 + int(got)
		if s.done {
			status = 0
		}
		s.finish(now, status)
	}
}

// tell tells the watchdog all of the server.
func (s *supervisor) tell() {
	sent := s.told.send(link.Message{Server: &link.Server{
		Program: s.Server[0], PID: s.server, Starts: s.starts, Failures: s.failures, Restarts: s.Restart, NextStart: s.serverDue, Done: s.done, Tail: s.tail.last(),
	}})
	if s.tellDue = (time.Time{}); !sent {
		s.tellDue = time.Now().Add(tellAgain)
	}
}

// tellLine tells it a line of the server's start. Other goroutines than run's call it.
func (s *supervisor) tellLine(text []byte) {
	if s.streams.age() < toldFor {
		s.told.sendLine(time.Now(), text)
	}
}
