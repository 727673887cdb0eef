package command

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpu-watchdog/gpu-watchdog/test/eventually"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
)

var _ stopper.Rung = (*Command)(nil)

// shell makes a command of a script, with whatever else.
func shell(t *testing.T, script string, change ...func(*Config)) *Command {
	t.Helper()
	c := Config{Argv: []string{"/bin/sh", "-c", script}, Name: "pod-1", StartID: "s1", Pod: "abc123", Timeout: 8 * time.Second}
	for _, f := range change {
		f(&c)
	}
	r, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func given(arguments ...string) func(*Config) {
	return func(c *Config) { c.Argv = append(c.Argv, arguments...) }
}

func within(d time.Duration) func(*Config) { return func(c *Config) { c.Timeout = d } }

// stop runs it once, and holds the answer to what is promised of every answer.
func stop(t *testing.T, c *Command) stopper.Answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	a := c.Stop(ctx)
	if strings.ContainsAny(a.Detail, "\n\x00") || len(a.Detail) > stopper.MaxDetail || a.Status != 0 || a.RetryAfter != 0 {
		t.Errorf("answer %+v", a)
	}
	return a
}

func TestEnds(t *testing.T) {
	for _, c := range []struct {
		name, script string
		want         stopper.Kind
		detail       string
	}{
		{"a promise", "echo working; echo 'stopping the pod'", stopper.Accepted, "stopping the pod"},
		{"a promise without words", "true", stopper.Accepted, ""},
		{"a promise on the error stream", "echo done >&2", stopper.Accepted, "done"},
		{"a refusal", "echo one; echo 'no such pod' >&2; exit 3", stopper.Failed, "exit status 3: no such pod"},
		{"a refusal without words", "exit 255", stopper.Failed, "exit status 255"},
		{"blank lines behind", "printf 'why\\n\\n \\t\\n'; exit 1", stopper.Failed, "exit status 1: why"},
		{"a progress bar", "printf '10 %%\\r100 %%\\r'; exit 1", stopper.Failed, "exit status 1: 100 %"},
		{"no end of line", "printf why; exit 1", stopper.Failed, "exit status 1: why"},
		{"by a signal", "kill -TERM $$", stopper.Failed, "signal: terminated"},
		{"what cannot be printed", "printf '\\033[31mred\\000\\377\\n'; exit 1", stopper.Failed, "exit status 1: [31mred"},
		{"an unknown program", "/nowhere/poweroff 2>/dev/null || { echo 'not found'; exit 127; }", stopper.Failed, "exit status 127: not found"},
		{"input that is asked for", "read answer && exit 0; echo 'no input'; exit 1", stopper.Failed, "exit status 1: no input"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, want := stop(t, shell(t, c.script)), (stopper.Answer{Kind: c.want, Detail: c.detail}); got != want {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

// Its facts, the rest of our environment, and none of our secrets.
func TestEnvironment(t *testing.T) {
	const planted = "PLANTED0123456789"
	for name, value := range map[string]string{
		"WATCHDOG_WEBHOOK_SECRET": planted, "WATCHDOG_NOTIFY_URL": "https://h/" + planted, "WATCHDOG_RUNPOD_API_KEY": planted, "RUNPOD_API_KEY": planted,
		"WATCHDOG_STOP_COMMAND": "x", "GPU_WATCHDOG_REASON": "forged", "GPU_WATCHDOG_PRICE_USD_PER_HOUR": "forged",
		"RUNPOD_POD_ID": "abc123", "CLOUD_TOKEN": "users-own-token",
	} {
		t.Setenv(name, value)
	}
	out := filepath.Join(t.TempDir(), "env")
	at := time.Date(2026, 11, 24, 21, 0, 0, 0, time.FixedZone("KST", 9*3600))
	c := shell(t, "env > "+out, func(c *Config) {
		c.Action = "terminate"
		c.Decision = func() watchdog.Decision {
			return watchdog.Decision{
				At: at, Idle: 90500 * time.Millisecond, Threshold: watchdog.Known(time.Minute),
				Reasons: []watchdog.Because{{Code: watchdog.ThresholdReached, Detail: "idle\x00 for\nlong"}}, Quote: watchdog.Quote{BreakEven: 50 * time.Second},
			}
		}
	})
	if a := stop(t, c); a.Kind != stopper.Accepted {
		t.Fatalf("answer %+v", a)
	}
	env, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(env), planted) || strings.Contains("\n"+string(env), "\nWATCHDOG_") || strings.Contains(string(env), "forged") {
		t.Errorf("environment:\n%s", env)
	}
	var facts, own []string
	for line := range strings.Lines(string(env)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "GPU_WATCHDOG_") {
			facts = append(facts, line)
		}
		if strings.HasPrefix(line, "RUNPOD_POD_ID=") || strings.HasPrefix(line, "CLOUD_TOKEN=") || strings.HasPrefix(line, "PATH=") {
			own = append(own, line)
		}
	}
	slices.Sort(facts)
	if diff := cmp.Diff([]string{
		"GPU_WATCHDOG_ACTION=terminate", "GPU_WATCHDOG_BREAK_EVEN_SECONDS=50", "GPU_WATCHDOG_DETAIL=idle for", "GPU_WATCHDOG_IDLE_SECONDS=90.5",
		"GPU_WATCHDOG_NAME=pod-1", "GPU_WATCHDOG_POD=abc123", "GPU_WATCHDOG_REASON=threshold_reached", "GPU_WATCHDOG_REQUESTED_AT=2026-11-24T12:00:00Z",
		"GPU_WATCHDOG_START_ID=s1", "GPU_WATCHDOG_THRESHOLD_SECONDS=60",
	}, facts); diff != "" {
		t.Errorf("facts: %s", diff)
	}
	if len(own) != 3 {
		t.Errorf("of our environment there is %q", own)
	}
}

func TestNothingKnown(t *testing.T) {
	out := filepath.Join(t.TempDir(), "env")
	stop(t, shell(t, "env | grep ^GPU_WATCHDOG_ | cut -d= -f1 | sort | tr '\\n' ' ' > "+out, func(c *Config) { c.Name, c.StartID, c.Pod = "", "", "" }))
	if got, err := os.ReadFile(out); err != nil || string(got) != "GPU_WATCHDOG_ACTION GPU_WATCHDOG_REQUESTED_AT " {
		t.Errorf("facts %q, error %v", got, err)
	}
}

// A key that a program has of its own environment is not shown when it prints it.
func TestKeysAreNotRepeated(t *testing.T) {
	t.Setenv("CLOUD_TOKEN", "users-own-token")
	a := stop(t, shell(t, `echo "401 for $CLOUD_TOKEN by https://me:pw@h/x?key=hunter2"; exit 1`))
	if a.Detail != "exit status 1: 401 for [secret] by https://h/x" {
		t.Errorf("shown: %q", a.Detail)
	}
}

// Neither is one that it was given as an argument, or as a part of one.
func TestArgumentsAreNotRepeated(t *testing.T) {
	a := stop(t, shell(t, `echo "$0 and $1 refused: user-given-key, --key=another-given-key"; exit 1`, given("user-given-key", "--key=another-given-key")))
	if a.Detail != "exit status 1: [secret] and [secret] refused: [secret], [secret]" {
		t.Errorf("shown: %q", a.Detail)
	}
	a = stop(t, shell(t, `echo "another-given-key refused"; exit 1`, given("ignored", "--key=another-given-key")))
	if a.Detail != "exit status 1: [secret] refused" {
		t.Errorf("shown: %q", a.Detail)
	}
}

// A program that goes on for ever dies with all that it began, and what it said last is told.
func TestHangs(t *testing.T) {
	dir := t.TempDir()
	begun := time.Now()
	a := stop(t, shell(t, "sleep 300 & echo $! > "+dir+"/child; echo asking; wait", within(time.Second)))
	if want := (stopper.Answer{Kind: stopper.Failed, Detail: "no end in time, killed: asking"}); a != want {
		t.Errorf("got %+v, want %+v", a, want)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
	checkEnds(t, dir+"/child")
}

// A program that will not be told to end has no choice.
func TestIgnoresSignals(t *testing.T) {
	dir := t.TempDir()
	a := stop(t, shell(t, "trap '' TERM INT HUP; echo $$ > "+dir+"/child; while :; do sleep 1; done", within(time.Second)))
	if a.Detail != "no end in time, killed" {
		t.Errorf("answer %+v", a)
	}
	checkEnds(t, dir+"/child")
}

// When work comes, a program that is half through is stopped.
func TestGivenUp(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	answered := make(chan stopper.Answer, 1)
	c := shell(t, "sleep 300 & echo $! > "+dir+"/new; mv "+dir+"/new "+dir+"/child; wait")
	go func() { answered <- c.Stop(ctx) }()
	eventually.Holds(t, "the program's child", func() bool { _, err := os.Stat(dir + "/child"); return err == nil })
	cancel()
	select {
	case a := <-answered:
		if want := (stopper.Answer{Kind: stopper.Failed, Detail: "given up, killed"}); a != want {
			t.Errorf("got %+v, want %+v", a, want)
		}
	case <-time.After(8 * time.Second):
		t.Fatal("it does not give up")
	}
	checkEnds(t, dir+"/child")
}

// Half a stop does not go on after its program failed.
func TestFailsAndLeavesAChild(t *testing.T) {
	dir := t.TempDir()
	a := stop(t, shell(t, "sleep 300 >/dev/null 2>&1 & echo $! > "+dir+"/child; echo why; exit 2"))
	if a.Kind != stopper.Failed || a.Detail != "exit status 2: why" {
		t.Errorf("answer %+v", a)
	}
	checkEnds(t, dir+"/child")
}

// A stop that goes on behind a promise is left alone, also one that still holds the output, and is not waited for.
func TestPromisesAndGoesOn(t *testing.T) {
	for _, output := range []string{"", " >/dev/null 2>&1"} {
		dir := t.TempDir()
		begun := time.Now()
		a := stop(t, shell(t, "(i=0; while [ ! -e "+dir+"/go ] && [ $i -lt 300 ]; do i=$((i+1)); sleep 0.05; done; echo done > "+dir+"/stopped)"+output+" & echo soon"))
		if want := (stopper.Answer{Kind: stopper.Accepted, Detail: "soon"}); a != want {
			t.Errorf("got %+v, want %+v", a, want)
		}
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("took %s", took)
		}
		if err := os.WriteFile(dir+"/go", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		eventually.Holds(t, "what goes on behind the promise", func() bool { _, err := os.Stat(dir + "/stopped"); return err == nil })
	}
}

// 30 MB are neither kept nor do they block; of a line without end nothing is shown.
func TestTalksWithoutEnd(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	a := stop(t, shell(t, `head -c 30000000 /dev/zero | tr '\0' 'x'; exit 1`))
	runtime.ReadMemStats(&after)
	if want := (stopper.Answer{Kind: stopper.Failed, Detail: "exit status 1: (a line too long to be shown)"}); a != want {
		t.Errorf("got %+v, want %+v", a, want)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 4<<20 {
		t.Errorf("%d bytes were allocated", used)
	}
	if a := stop(t, shell(t, `head -c 3000000 /dev/zero | tr '\0' 'x'; echo; echo why; exit 1`)); a.Detail != "exit status 1: why" {
		t.Errorf("shown: %q", a.Detail)
	}
}

func TestCannotBeRun(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("no program"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, argv := range [][]string{nil, {"/nowhere/stop", "hunter2"}, {"no-such-program-here", "hunter2"}, {text, "hunter2"}, {dir, "hunter2"}} {
		if _, err := New(Config{Argv: argv}); err == nil || !strings.HasPrefix(err.Error(), "WATCHDOG_STOP_COMMAND ") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: error %v", argv, err)
		}
	}
	// One that was there when we began.
	program := filepath.Join(dir, "stop")
	if err := os.WriteFile(program, []byte("#!/nowhere/interpreter\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	c, err := New(Config{Argv: []string{program}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := stop(t, c), (stopper.Answer{Kind: stopper.Invalid, Detail: "cannot be run: no such file or directory"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got, want := c.Target(), (stopper.Target{Kind: "command", ID: "stop", Action: "stop"}); got != want {
		t.Errorf("target %+v, want %+v", got, want)
	}
}

// A program by its name alone is found on PATH, and gets its words as they are.
func TestArguments(t *testing.T) {
	dir := t.TempDir()
	argv, err := Parse(`sh -c 'printf "%s|" "$0" "$@" > ` + dir + `/args' name 'a b' "" $'x' `)
	if err == nil {
		t.Fatalf("read as %q", argv)
	}
	argv, err = Parse(`sh -c 'printf "%s|" "$0" "$@" > ` + dir + `/args' name 'a b' "" '*' \$HOME`)
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(Config{Argv: argv})
	if err != nil {
		t.Fatal(err)
	}
	if a := stop(t, c); a.Kind != stopper.Accepted {
		t.Errorf("answer %+v", a)
	}
	if got, err := os.ReadFile(dir + "/args"); err != nil || string(got) != "name|a b||*|$HOME|" {
		t.Errorf("got %q, error %v", got, err)
	}
}

func TestArgumentsDoNotPrint(t *testing.T) {
	c, err := New(Config{Argv: []string{"sh", "hunter2"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"%v", "%+v", "%#v"} {
		if got := fmt.Sprintf(format, c); strings.Contains(got, "hunter2") {
			t.Errorf("%s: %s", format, got)
		}
	}
}

// checkEnds waits for the end of the process whose id is in the file. A zombie, which nobody here reaps, has ended.
func checkEnds(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	id, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			_ = syscall.Kill(id, syscall.SIGKILL)
		}
	})
	eventually.Holds(t, "the end of process "+strconv.Itoa(id), func() bool {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(id) + "/stat")
		return err != nil || strings.Contains(string(stat), ") Z ")
	})
}
