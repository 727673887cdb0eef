package command

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
)

const (
	// setting is the variable that people have to look at.
	setting = "WATCHDOG_STOP_COMMAND"
	// kind is the target's and the rung's word in logs.
	kind = "command"

	defaultTimeout = time.Minute
	// pipeDelay is how long a program that has ended may leave its output open.
	pipeDelay = time.Second
)

// Config is what a Command needs; New checks it.
type Config struct {
	// Argv is the program and its arguments, of Parse.
	Argv []string
	// Action is what is asked for: stop, terminate or terminate-and-lose-data. Empty means stop.
	Action string
	// Name is the pod's name for people, StartID that of its present start, Pod the provider's id. Empty is unknown.
	Name, StartID, Pod string
	// Decision is asked at each stop for the decision that led to it; nil means that nobody knows.
	Decision func() watchdog.Decision
	// Timeout bounds a run; 0 means a minute. The time of the rung bounds it too.
	Timeout time.Duration
}

// Command is the rung. Make it with New.
type Command struct {
	program string
	args    func() []string // a function, so that no verb of fmt prints what may hold a key
	facts   facts
	timeout time.Duration
}

// New finds the program. It runs nothing.
func New(c Config) (*Command, error) {
	if len(c.Argv) == 0 {
		return nil, fmt.Errorf("%s is empty; it has the form PROGRAM ARGUMENT…", setting)
	}
	found, err := exec.LookPath(c.Argv[0])
	if err != nil {
		return nil, fmt.Errorf("%s cannot be run: %w; name a program that is in this container, by its whole path if it is not on PATH", setting, err)
	}
	argv := append([]string{}, c.Argv...)
	r := &Command{
		program: found, args: func() []string { return argv }, timeout: c.Timeout,
		facts: facts{action: c.Action, name: c.Name, startID: c.StartID, pod: c.Pod, decision: c.Decision},
	}
	if r.timeout <= 0 {
		r.timeout = defaultTimeout
	}
	if r.facts.action == "" {
		r.facts.action = "stop"
	}
	return r, nil
}

// Name is the rung's word in logs.
func (*Command) Name() string { return kind }

// Target names the program, for the ladder.
func (c *Command) Target() stopper.Target {
	return stopper.Target{Kind: kind, ID: stopper.CleanDetail(filepath.Base(c.program)), Action: c.facts.action}
}

// Stop runs the program once, and waits for its end.
func (c *Command) Stop(ctx context.Context) stopper.Answer {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	inherited := os.Environ()
	var output tail
	cmd := exec.CommandContext(ctx, c.program)
	cmd.Args = c.args()
	cmd.Env = append(withoutOurs(inherited), c.facts.environ(time.Now())...)
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = pipeDelay
	killGroup := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Cancel = killGroup
	if err := cmd.Start(); err != nil {
		return stopper.Answer{Kind: stopper.Invalid, Detail: stopper.CleanDetail("cannot be run: " + reason(err))}
	}
	err := cmd.Wait()
	a := stopper.Answer{Kind: stopper.Accepted, Detail: stopper.CleanDetail(output.last(), secretsOf(inherited, cmd.Args[1:])...)}
	if err == nil || errors.Is(err, exec.ErrWaitDelay) {
		// What still holds the output may be the very stop: a program that has promised is left alone.
		return a
	}
	// Half a stop must not go on beside the next try. The number of the group is free only after its last member is gone, and
	// then it takes a whole round of the kernel's numbers until somebody else has it.
	_ = killGroup()
	a.Kind = stopper.Failed
	how := err.Error()
	switch cause := ctx.Err(); {
	case errors.Is(cause, context.DeadlineExceeded):
		how = "no end in time, killed"
	case cause != nil:
		how = "given up, killed"
	}
	if a.Detail == "" {
		a.Detail = stopper.CleanDetail(how)
	} else {
		a.Detail = stopper.CleanDetail(how + ": " + a.Detail)
	}
	return a
}

// reason is an error of the start without the path, which is shown already.
func reason(err error) string {
	if failed := (*os.PathError)(nil); errors.As(err, &failed) {
		return failed.Err.Error()
	}
	return err.Error()
}
