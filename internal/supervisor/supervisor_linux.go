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
	// Grace is how long the server has to end after a signal that asks it to, before it is killed. Docker gives a container 10 s,
	// and vLLM never ends while a client keeps its stream open.
	Grace = 8 * time.Second
	// watchGrace is how long the watchdog has to end, once the server has.
	watchGrace = 3 * time.Second
	// lastWords is how long the server's last words may take to come through its pipes, once it has ended.
	lastWords = 200 * time.Millisecond
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
	// Grace replaces the time that the server has to end.
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
		watchAgain:  backoff{first: time.Second, most: time.Minute, calm: time.Minute},
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
	serverDue, watchDue     time.Time
	serverAgain, watchAgain backoff
	starts                  []link.Start
	failures                uint64
	watchSince              time.Time
	done                    bool

	// killAt is when the server is killed that was asked to end by the signal asked.
	killAt time.Time
	asked  syscall.Signal
	// over: the server is, with this status; what is left has until leaveAt.
	over    bool
	status  int
	leaveAt time.Time
}

func (s *supervisor) run() int {
	// SIGURG is the Go runtime's own. A broken pipe must not end us, so SIGPIPE is taken and dropped; to ignore it would make the
	// server ignore it, too.
	signal.Notify(s.signals, syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2,
		syscall.SIGWINCH, syscall.SIGCONT, syscall.SIGALRM, syscall.SIGPIPE, syscall.SIGTSTP)
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
	s.streams.settle(lastWords)
	return s.status
}

// left says that nothing is left to wait for.
func (s *supervisor) left() bool { return s.over && s.watch == 0 }

// wait is how long nothing is due.
func (s *supervisor) wait() time.Duration {
	wait := time.Hour
	for _, at := range [...]time.Time{s.serverDue, s.watchDue, s.killAt, s.leaveAt} {
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
	if reached(&s.killAt) && s.server != 0 {
		s.Say("warn", "server killed", "reason", "it did not end within its grace", "grace_seconds", s.Grace.Seconds())
		signalGroup(s.server, syscall.SIGKILL)
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
	pid, err := spawn(s.Server, forServer(s.Environ), stdio{s.Stdin, s.streams.out, s.streams.err}, nil, isTerminal(s.Stdin))
	s.streams.handedOver()
	if err != nil {
		s.Say("error", "server cannot be started", "program", s.Server[0], "error", err.Error())
		status := statusNotExecutable
		if errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
			status = statusNotFound
		}
		if len(s.starts) == 0 {
			return status
		}
		s.failures++
		s.fell(now, now, status)
		return 0
	}
	s.server = pid
	s.starts = append(s.starts[max(0, len(s.starts)+1-startsKept):], link.Start{At: now})
	s.tell()
	return 0
}

func (s *supervisor) startWatch() {
	theirs, err := s.told.open()
	more, environ := []int(nil), s.Environ
	if err != nil {
		s.Say("warn", "watchdog is told nothing of the server", "error", err.Error())
	} else {
		more, environ = []int{theirs}, append(append([]string{}, s.Environ...), link.Variable+"=3")
	}
	pid, err := spawn(s.Watch, environ, stdio{s.Stdin, s.Stdout, s.Err}, more, false)
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
		if s.over {
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
	group := s.server
	s.server = 0
	began := now
	if n := len(s.starts); n > 0 {
		began = s.starts[n-1].At
		s.starts[n-1].EndedAt, s.starts[n-1].Status = now, status
	}
	if status != 0 {
		s.failures++
	}
	s.streams.settle(lastWords)
	// What it leaves behind of its group holds the GPU and the port that the next one needs.
	signalGroup(group, syscall.SIGKILL)
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
	s.serverDue, s.watchDue, s.killAt = time.Time{}, time.Time{}, time.Time{}
	s.leaveAt = now.Add(watchGrace)
	s.tell()
	signalGroup(s.watch, syscall.SIGTERM)
}

// pass hands a signal on to the server. One that asks it to end sets it a time for that, and is for the watchdog, too: it has
// a memory to write.
func (s *supervisor) pass(got syscall.Signal) {
	if got == syscall.SIGPIPE {
		return
	}
	if s.server != 0 {
		signalGroup(s.server, got)
	}
	if got != syscall.SIGTERM && got != syscall.SIGINT && got != syscall.SIGQUIT {
		return
	}
	now := time.Now()
	if s.asked == 0 {
		s.asked, s.killAt = got, now.Add(s.Grace)
	}
	if s.server == 0 && !s.over {
		s.finish(now, 128+int(s.asked))
	}
}

// tell tells the watchdog all of the server.
func (s *supervisor) tell() {
	s.told.send(link.Message{Server: &link.Server{
		Program: s.Server[0], PID: s.server, Starts: s.starts, Failures: s.failures, Restarts: s.Restart, NextStart: s.serverDue, Done: s.done, Tail: s.tail.last(),
	}})
}

// tellLine tells it a line of the server's start. Other goroutines than run's call it.
func (s *supervisor) tellLine(text string) {
	if s.streams.age() < toldFor {
		s.told.send(link.Message{Line: &link.Line{At: time.Now(), Text: text}})
	}
}
