package coldstart

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

const (
	// pipeMost is how long a pipe may stay open after its program has ended, in the hands of what that one had started.
	pipeMost = time.Second
	// familyMost is how long the rest may take that a server leaves behind, before it is killed, and after.
	familyMost = 3 * time.Second
)

// child is a server in a process group of its own.
type child struct {
	cmd *exec.Cmd
	// exec is when it was started.
	exec time.Time
	out  *output
	// failed: it did not become ready, for a reason of its own.
	failed bool
	// done is closed once the process has ended, and err is how.
	done chan struct{}
	err  error
	kill context.CancelFunc
}

// startChild starts a server. The caller must stop it, whatever happens.
func startChild(ctx context.Context, argv, env []string, out *output) (*child, error) {
	c := &child{out: out, done: make(chan struct{})}
	// The end of ctx is the caller's to act on, with a grace for the server.
	ctx, c.kill = context.WithCancel(context.WithoutCancel(ctx))
	c.cmd = exec.CommandContext(ctx, argv[0], argv[1:]...)
	c.cmd.Env = env
	c.cmd.Stdout, c.cmd.Stderr = out, out
	c.cmd.WaitDelay = pipeMost
	c.cmd.SysProcAttr = ownGroup()
	began := time.Now()
	c.exec, out.since = began, func() time.Duration { return time.Since(began) }
	started := make(chan error)
	go func() {
		// The kernel ends the server when this thread dies, so the thread lives as long as the server.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := c.cmd.Start()
		started <- err
		if err == nil {
			c.err = c.cmd.Wait()
			close(c.done)
		}
	}()
	if err := <-started; err != nil {
		c.kill()
		return nil, fmt.Errorf("start the server: %w", err)
	}
	return c, nil
}

// ended says that the process has ended.
func (c *child) ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// howItEnded is its exit status in words, once it has ended.
func (c *child) howItEnded() string {
	var exit *exec.ExitError
	if errors.As(c.err, &exit) {
		return exit.String()
	}
	if c.err != nil && !errors.Is(c.err, exec.ErrWaitDelay) {
		return c.err.Error()
	}
	return "exit status 0"
}

// stop ends the server and all that it has started, and says how long that took and whether it had to be killed. It asks the
// server itself first: vLLM ends its own processes in good order. After grace everything is killed: vLLM does not end while a
// stream is open.
func (c *child) stop(grace time.Duration) (took time.Duration, killed bool) {
	began := time.Now()
	defer c.kill()
	pid := c.cmd.Process.Pid
	family := descendants(pid)
	if !c.ended() {
		_ = c.cmd.Process.Signal(syscall.SIGTERM) // it may just have ended
	}
	wait(grace, c.ended)
	if c.ended() && !gone(pid, family) {
		_ = syscall.Kill(-pid, syscall.SIGTERM)
		wait(familyMost, func() bool { return gone(pid, family) })
	}
	if !c.ended() || !gone(pid, family) {
		killed = true
		family = append(family, descendants(pid)...)
		_ = syscall.Kill(-pid, syscall.SIGKILL)
		for _, p := range family {
			p.kill()
		}
		wait(familyMost, func() bool { return c.ended() && gone(pid, family) })
	}
	c.kill() // cuts a pipe that somebody still holds
	wait(familyMost, c.ended)
	return time.Since(began), killed
}

// wait polls until a condition holds, at most that long.
func wait(most time.Duration, holds func() bool) {
	ctx, cancel := context.WithTimeout(context.Background(), most)
	defer cancel()
	poll(ctx, holds)
}

// gone says that no process of the group and none of the family runs any more.
func gone(group int, family []process) bool {
	for _, p := range family {
		if p.runs() {
			return false
		}
	}
	return !groupRuns(group)
}
