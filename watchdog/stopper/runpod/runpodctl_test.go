package runpod_test

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/runpod"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/runpod/runpodtest"
)

// script makes a runpodctl of a shell script; each run appends its arguments to the file runs beside it.
func script(t *testing.T, body string) (change func(*runpod.Config), runs string) {
	t.Helper()
	dir := t.TempDir()
	path, runs := filepath.Join(dir, "runpodctl"), filepath.Join(dir, "runs")
	text := "#!/bin/sh\nPATH=/usr/bin:/bin\necho \"$@\" >> " + runs + "\n" + body + "\n"
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	return func(c *runpod.Config) { c.RunpodctlPath = path }, runs
}

const (
	oldVerb = `[ "$1 $2" = "stop pod" ]`
	newVerb = `[ "$1 $2" = "pod stop" ]`
	unknown = `{ echo "Error: unknown command \"$1\" for \"runpodctl\"" >&2; exit 1; }`
)

func TestRunpodctl(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       stopper.Kind
		detail     string
		runs       string
	}{
		{"old", oldVerb + " || " + unknown + `; echo "pod \"$3\" stopped"`, stopper.Accepted, `stop pod: pod "testpod" stopped`, "stop pod testpod\n"},
		{"new", newVerb + " || " + unknown + `; echo "{\"id\": \"$3\"}"`, stopper.Accepted, `pod stop: {"id": "testpod"}`, "stop pod testpod\npod stop testpod\n"},
		{"neither", unknown, stopper.Invalid, "stop pod: unknown to this runpodctl; pod stop: unknown to this runpodctl", "stop pod testpod\npod stop testpod\n"},
		{"help, under 0", `printf "Usage:\n  runpodctl [command]\n"`, stopper.Invalid, "stop pod: unknown to this runpodctl; pod stop: unknown to this runpodctl", "stop pod testpod\npod stop testpod\n"},
		{"a failure, under 0", `echo "pod \"$3\" stop failed; status is RUNNING"`, stopper.Failed, `stop pod: pod "testpod" stop failed; status is RUNNING; pod stop: pod "testpod" stop failed; status is RUNNING`, "stop pod testpod\npod stop testpod\n"},
		{"silence, under 0", `true`, stopper.Failed, "stop pod: ended with 0 and said nothing; pod stop: ended with 0 and said nothing", "stop pod testpod\npod stop testpod\n"},
		{"denied, with its usage", oldVerb + " && " + unknown + `; echo "Error: api error: forbidden (status 403)"; echo "Usage: x"; exit 1`, stopper.Denied, "stop pod: unknown to this runpodctl; pod stop: Error: api error: forbidden (status 403) Usage: x", "stop pod testpod\npod stop testpod\n"},
		{"gone", oldVerb + " || " + unknown + `; echo "Error: pod not found" >&2; exit 1`, stopper.Gone, "stop pod: Error: pod not found; pod stop: unknown to this runpodctl", "stop pod testpod\npod stop testpod\n"},
		{"rate limit", `echo "Error: status 429"; exit 1`, stopper.RetryAfter, "stop pod: Error: status 429; pod stop: Error: status 429", "stop pod testpod\npod stop testpod\n"},
		{"no words", `exit 3`, stopper.Failed, "stop pod: exit status 3; pod stop: exit status 3", "stop pod testpod\npod stop testpod\n"},
		{"prints its address", `echo "Error: Post \"https://api.example/graphql?api_key=$RUNPOD_API_KEY\": x509 (also rpa_ANOTHERKEY99)"; exit 1`, stopper.Failed, `stop pod: Error: Post "https://api.example/graphql": x509 (also [secret]; pod stop: Error: Post "https://api.example/graphql": x509 (also [secret]`, "stop pod testpod\npod stop testpod\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			change, runs := script(t, c.body)
			b := newBench(t, runpodtest.Options{}, false, change)
			got := b.stop(t, "runpodctl")
			if got.Kind != c.want || got.Detail != c.detail {
				t.Errorf("got %s %q\nwant %s %q", got.Kind, got.Detail, c.want, c.detail)
			}
			if ran := read(t, runs); ran != c.runs {
				t.Errorf("ran %q, want %q", ran, c.runs)
			}
		})
	}
}

// TestRunpodctlNumbersInTheID: digits of the id are no status.
func TestRunpodctlNumbersInTheID(t *testing.T) {
	change, _ := script(t, `echo "Error: cannot stop $3"; exit 1`)
	b := newBench(t, runpodtest.Options{PodID: "a403b404"}, false, change)
	if got := b.stop(t, "runpodctl"); got.Kind != stopper.Failed {
		t.Errorf("got %s %q", got.Kind, got.Detail)
	}
}

func TestRunpodctlGetsTheKeyAndNoOtherSecret(t *testing.T) {
	t.Setenv("RUNPOD_API_KEY", "an older key")
	t.Setenv("WATCHDOG_WEBHOOK_SECRET", "ours")
	t.Setenv("RUNPOD_POD_ID", "testpod")
	dir := t.TempDir()
	change, _ := script(t, "env > "+dir+"/env; tr '\\0' ' ' < /proc/$$/cmdline > "+dir+"/args; echo stopped")
	newBench(t, runpodtest.Options{}, false, change).stop(t, "runpodctl")
	env := "\n" + read(t, dir+"/env")
	if strings.Count(env, "\nRUNPOD_API_KEY=") != 1 || !strings.Contains(env, "\nRUNPOD_API_KEY="+key+"\n") {
		t.Error("the key in the environment is not ours alone")
	}
	if strings.Contains(env, "WATCHDOG_") || !strings.Contains(env, "\nRUNPOD_POD_ID=testpod\n") {
		t.Errorf("environment: %s", env)
	}
	if args := read(t, dir+"/args"); strings.Contains(args, key) {
		t.Errorf("arguments: %s", args)
	}
}

// TestRunpodctlHangs: the whole process group dies, and what it had said is not waited for.
func TestRunpodctlHangs(t *testing.T) {
	dir := t.TempDir()
	change, _ := script(t, "sleep 300 & echo $! > "+dir+"/child; wait")
	b := newBench(t, runpodtest.Options{}, false, change, func(c *runpod.Config) { c.Timeout = 200 * time.Millisecond })
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	start := time.Now()
	rung := b.Rungs()[2]
	answer := rung.Stop(ctx)
	if answer.Kind != stopper.Failed || !strings.HasSuffix(answer.Detail, "no end in time") {
		t.Errorf("answer %+v", answer)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
	checkDies(t, dir+"/child")
}

// TestRunpodctlLeavesAChild that holds the output open.
func TestRunpodctlLeavesAChild(t *testing.T) {
	dir := t.TempDir()
	change, _ := script(t, "sleep 300 & echo $! > "+dir+"/child; echo stopped")
	b := newBench(t, runpodtest.Options{}, false, change)
	start := time.Now()
	answer := b.stop(t, "runpodctl")
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("took %s", took)
	}
	if answer.Kind != stopper.Accepted {
		t.Errorf("answer %+v", answer)
	}
	checkDies(t, dir+"/child")
}

func TestRunpodctlTalksWithoutEnd(t *testing.T) {
	change, _ := script(t, `head -c 3000000 /dev/zero | tr '\0' 'x'; echo; exit 1`)
	b := newBench(t, runpodtest.Options{}, false, change)
	if got := b.stop(t, "runpodctl"); got.Kind != stopper.Failed || len(got.Detail) > stopper.MaxDetail {
		t.Errorf("got %s %q", got.Kind, got.Detail)
	}
}

func TestRunpodctlIsOnlyARungWhereItExists(t *testing.T) {
	for _, there := range []bool{false, true} {
		b := newBench(t, runpodtest.Options{}, false, func(c *runpod.Config) {
			dir := t.TempDir()
			t.Setenv("PATH", dir)
			if there {
				if err := os.WriteFile(filepath.Join(dir, "runpodctl"), []byte("#!/bin/sh\n"), 0o700); err != nil {
					t.Fatal(err)
				}
			}
		})
		if got := len(b.Rungs()); (got == 3) != there {
			t.Errorf("runpodctl there: %t; %d rungs", there, got)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// checkDies waits for the end of the process whose id is in the file. A zombie, which nobody here reaps, has ended.
func checkDies(t *testing.T, path string) {
	t.Helper()
	id, err := strconv.Atoi(strings.TrimSpace(read(t, path)))
	if err != nil {
		t.Fatal(err)
	}
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for range 300 {
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(id) + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		<-poll.C
	}
	_ = syscall.Kill(id, syscall.SIGKILL)
	t.Errorf("process %d outlived its group", id)
}
