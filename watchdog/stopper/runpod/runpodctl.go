package runpod

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
)

const (
	// maxOutput bounds what is kept of a program's output.
	maxOutput = 64 << 10
	// pipeDelay is how long a program that has ended may leave its output open.
	pipeDelay = time.Second
)

// runpodctl is RunPod's own command line, which its images carry in versions of two grammars.
type runpodctl struct{ c *Client }

// Name is the rung's word in logs.
func (runpodctl) Name() string { return "runpodctl" }

// The words of both grammars: the old one, verb first, asks GraphQL, the new one, noun first, asks REST.
var (
	stopCommands      = [][]string{{"stop", "pod"}, {"pod", "stop"}}
	terminateCommands = [][]string{{"remove", "pod"}, {"pod", "delete"}}
)

// Stop tries the old grammar and then the new one.
func (r runpodctl) Stop(ctx context.Context) stopper.Answer {
	var answers []stopper.Answer
	commands := stopCommands
	if r.c.terminates() {
		commands = terminateCommands
	}
	for _, grammar := range commands {
		args := append(slices.Clone(grammar), r.c.podID)
		output, err := r.c.runProgram(ctx, args)
		answer := r.c.sortRun(output, err)
		answer.Detail = r.c.clean(strings.Join(grammar, " ") + ": " + answer.Detail)
		if answer.Kind.Done() || ctx.Err() != nil {
			return answer
		}
		answers = append(answers, answer)
	}
	// A program that does not know a grammar says nothing about the pod.
	told := slices.IndexFunc(answers, func(a stopper.Answer) bool { return a.Kind != stopper.Invalid })
	merged := answers[max(0, told)]
	merged.Detail = r.c.clean(answers[0].Detail + "; " + answers[1].Detail)
	return r.c.withRemedy(merged)
}

// runProgram runs runpodctl in a process group of its own, which is killed as a whole when the time is over. The key
// goes through the environment: arguments can be read by everybody on the machine.
func (c *Client) runProgram(ctx context.Context, args []string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var output capped
	cmd := exec.CommandContext(ctx, c.runpodctl, args...)
	cmd.Env = append(slices.DeleteFunc(os.Environ(), isSecretVariable), "RUNPOD_API_KEY="+c.key())
	cmd.Stdout, cmd.Stderr = &output, &output
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = pipeDelay
	killGroup := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Cancel = killGroup
	err := cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) {
		// It ended well and left a child behind that still holds the output, so the group still exists.
		_ = killGroup()
		err = nil
	}
	if err != nil && ctx.Err() != nil {
		err = ctx.Err()
	}
	return output.text(len(c.key())), err
}

// isSecretVariable keeps our own secrets from a program that has no use for them, and any other key than ours.
func isSecretVariable(assignment string) bool {
	return strings.HasPrefix(assignment, "WATCHDOG_") || strings.HasPrefix(assignment, "RUNPOD_API_KEY=")
}

// sortRun sorts a run by how it ended and by what it printed. A run that printed its help ended with 0 as well.
func (c *Client) sortRun(output string, err error) stopper.Answer {
	// The pod's id could hold the digits of a status.
	text := strings.ToLower(strings.ReplaceAll(output, c.podID, ""))
	says := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(text, w) })
	}
	a := stopper.Answer{Kind: stopper.Failed, Detail: c.clean(output)}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		a.Detail = "no end in time"
	case errors.Is(err, context.Canceled):
		a.Detail = "given up"
	case says("unknown command"), err == nil && says("usage:"):
		a.Kind, a.Detail = stopper.Invalid, "unknown to this runpodctl"
	case err == nil && a.Detail == "":
		a.Detail = "ended with 0 and said nothing"
	case err == nil && !says("stop failed") && !strings.HasPrefix(text, "error"):
		a.Kind = stopper.Accepted
	case says("unauthorized", "forbidden", "access denied", "401", "403"):
		a.Kind = stopper.Denied
	case says("too many requests", "rate limit", "429"):
		a.Kind = stopper.RetryAfter
	case says("not found", "404", "410"):
		a.Kind = stopper.Gone
	}
	if a.Detail == "" && err != nil {
		a.Detail = c.clean(err.Error())
	}
	return a
}

// capped keeps the first maxOutput bytes and swallows the rest, so that a talkative program neither fills memory nor
// blocks. Only the one goroutine of exec that copies both streams writes to it.
type capped struct {
	kept []byte
	lost bool
}

// Write never fails.
func (w *capped) Write(p []byte) (int, error) {
	room := maxOutput - len(w.kept)
	w.kept = append(w.kept, p[:min(room, len(p))]...)
	w.lost = w.lost || len(p) > room
	return len(p), nil
}

// text is what was kept; where something was lost, without the last margin bytes, which may be half a secret.
func (w *capped) text(margin int) string {
	if w.lost {
		return string(w.kept[:max(0, len(w.kept)-margin)])
	}
	return string(w.kept)
}
