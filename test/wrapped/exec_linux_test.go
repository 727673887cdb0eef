package wrapped

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/runpod/runpodtest"
)

func TestEveryExitCodePassesOn(t *testing.T) {
	t.Parallel()
	const few = 4 // at a time
	slots := make(chan struct{}, few)
	var all sync.WaitGroup
	for code := range 256 {
		if testing.Short() && code%16 != 0 {
			continue
		}
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			cmd := command(t, []string{refused}, nil, fmt.Sprintf("exit %d", code))
			_ = cmd.Run() // its status tells
			if got := statusOf(cmd); got != code {
				t.Errorf("the server ended with %d, the wrapper with %d", code, got)
			}
		})
	}
	all.Wait()
}

// Each signal comes to the server, which does not know it and ends by it.
func TestEverySignalPassesOn(t *testing.T) {
	t.Parallel()
	for _, n := range []syscall.Signal{1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15, 24, 30, 40, 64} {
		t.Run(fmt.Sprint(int(n)), func(t *testing.T) {
			t.Parallel()
			w := wrap(t, []string{refused}, "echo READY; exec sleep 1000")
			w.said("READY")
			w.signal(n)
			if got := w.status(); got != 128+int(n) {
				t.Errorf("status %d", got)
			}
		})
	}
	t.Run("9, from elsewhere", func(t *testing.T) {
		t.Parallel()
		if got := wrap(t, []string{refused}, "kill -9 $$").status(); got != 128+9 {
			t.Errorf("status %d", got)
		}
	})
}

func TestWrongUse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		argv   []string
		status int
		says   string
	}{
		{[]string{"exec"}, 2, "gpu-watchdog exec -- vllm serve"},
		{[]string{"exec", "--"}, 2, "gpu-watchdog exec -- vllm serve"},
		{[]string{"exec", "vllm", "serve"}, 2, "gpu-watchdog exec -- vllm serve"},
		{[]string{"exec", "vllm", "--", "serve"}, 2, "gpu-watchdog exec -- vllm serve"},
		{[]string{"exec", "--grace", "0s", "--", "true"}, 2, "--grace"},
		{[]string{"exec", "--no-such-flag", "--", "true"}, 2, "no-such-flag"},
		{[]string{"exec", "--", "no-such-program-of-ours"}, 127, "no-such-program-of-ours"},
		{[]string{"exec", "--", t.TempDir()}, 126, "cannot be started"},
		{[]string{"exec", "--help"}, 0, "gpu-watchdog exec -- vllm serve"},
		{[]string{"help", "exec"}, 0, "--grace"},
	} {
		cmd := exec.Command(binary, c.argv...)
		out, _ := cmd.CombinedOutput() // its status tells
		if got := statusOf(cmd); got != c.status || !strings.Contains(string(out), c.says) {
			t.Errorf("%q: status %d, not %d, or it does not say %q: %s", c.argv, got, c.status, c.says, out)
		}
	}
}

// What a process inherits is the same with the wrapper and without, but for what is ours.
func TestTheServerInheritsWhatItWouldWithoutUs(t *testing.T) {
	t.Parallel()
	const script = `env | sort; grep -E "^(Sig(Blk|Ign|Cgt)|Cap|Seccomp|NoNewPrivs)" /proc/self/status; cat /proc/self/limits /proc/self/timerslack_ns /proc/self/oom_score_adj; ls /proc/self/fd; umask; pwd`
	theirs := []string{"PATH=" + os.Getenv("PATH"), "MINE=kept", "WATCHDOG_USEC=5", "GOMAXPROCS=3", "RUNPOD_POD_ID=pod", "RUNPOD_ENDPOINT_ID=serverless"}
	ours := []string{"RUNPOD_API_KEY=planted-1", "WATCHDOG_RUNPOD_API_KEY=planted-2", "WATCHDOG_PRICE=1.5", refused, "GPU_WATCHDOG_LINK=9"}
	for _, with := range []struct{ without, ignored string }{{}, {without: "GOMAXPROCS=3"}, {ignored: "HUP INT"}} {
		environ := []string{}
		for _, e := range theirs {
			if e != with.without {
				environ = append(environ, e)
			}
		}
		ignoring := fmt.Sprintf(`trap "" %s; exec "$@"`, with.ignored)
		if with.ignored == "" {
			ignoring = `exec "$@"`
		}
		plain := exec.Command("/bin/sh", "-c", ignoring, "sh", "/bin/sh", "-c", script)
		plain.Env = environ
		want, err := plain.Output()
		if err != nil {
			t.Fatal(err)
		}
		wrapped := exec.Command("/bin/sh", "-c", ignoring, "sh", binary, "exec", "--", "/bin/sh", "-c", script)
		wrapped.Env = append(append([]string{}, environ...), ours...)
		got, err := wrapped.Output()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("under exec a server finds\n%s\nwithout it\n%s", got, want)
		}
	}
}

func TestARefusedConfigurationIsNotInTheWay(t *testing.T) {
	t.Parallel()
	w := wrap(t, []string{"WATCHDOG_IDLE_LIMIT=-1m"}, `echo "SERVER $$"; exec sleep 1000`)
	server := number(t, w.said("SERVER"))
	w.logged(`WATCHDOG_IDLE_LIMIT="-1m"`)
	if line := w.logged("nobody watches this pod"); !strings.Contains(line, `"level":"error"`) || !strings.Contains(line, `"again_seconds":60`) {
		t.Errorf("it is not an error each minute: %s", line)
	}
	if err := syscall.Kill(server, 0); err != nil {
		t.Errorf("the server: %v", err)
	}
	w.signal(syscall.SIGTERM)
	if got := w.status(); got != 128+15 {
		t.Errorf("status %d", got)
	}
}

func TestAServerThatIgnoresSIGTERMIsKilledInTime(t *testing.T) {
	t.Parallel()
	const grace = 700 * time.Millisecond
	w := wrap(t, nil, `trap "echo ASKED" TERM; echo READY; while :; do sleep 0.02; done`, "--grace", grace.String())
	w.said("READY")
	w.logged("watchdog started")
	began := time.Now()
	w.signal(syscall.SIGTERM)
	w.said("ASKED")
	if took := time.Since(began); took > grace/2 {
		t.Errorf("SIGTERM came to it after %s", took)
	}
	if got := w.status(); got != 128+9 {
		t.Errorf("status %d", got)
	}
	if took := time.Since(began); took < grace || took > grace+2*time.Second {
		t.Errorf("all was gone after %s", took)
	}
	w.logged("watchdog ended")
}

// A shell that is no more leaves who it ran; they are asked as it was.
func TestWhatAShellRunsIsAskedToo(t *testing.T) {
	t.Parallel()
	w := wrap(t, []string{refused}, `(trap "echo ASKED; sleep 0.2; echo DONE; exit" TERM; echo READY; while :; do sleep 0.02; done) & wait`)
	w.said("READY")
	w.signal(syscall.SIGTERM)
	w.said("DONE")
	if got := w.status(); got != 128+15 {
		t.Errorf("status %d", got)
	}
}

func TestAKilledWatchdogComesAgain(t *testing.T) {
	t.Parallel()
	w := wrap(t, nil, `echo "SERVER $$"; exec sleep 1000`)
	server := number(t, w.said("SERVER"))
	first := w.watchdog(0)
	w.logged("watchdog started")
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	w.logged(`"msg":"watchdog ended","status":137`)
	w.watchdog(first)
	if err := syscall.Kill(server, 0); err != nil {
		t.Errorf("the server: %v", err)
	}
	w.signal(syscall.SIGTERM)
	if got := w.status(); got != 128+15 {
		t.Errorf("status %d", got)
	}
}

// Bytes of any kind come through as they are, each stream by itself, to somebody who takes his time after the end, too.
func TestStreamsComeThroughWhole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := bytes.Repeat([]byte{0, 1, '\n', '\r', 0xff, 0xfe, 'x', ' ', 0x1b, '[', 'K'}, 200_000)
	for i := range text {
		text[i] ^= byte(i >> 9)
	}
	file := filepath.Join(dir, "bytes")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := command(t, []string{refused}, nil, fmt.Sprintf(`cat %[1]s & cat >/dev/null; wait; cat %[1]s`, file))
	cmd.Stdin = bytes.NewReader(text)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 2*len(text)-50_000)
	if _, err := io.ReadFull(stdout, got); err != nil {
		t.Fatal(err)
	}
	<-time.After(700 * time.Millisecond) // the server has ended by now
	rest, err := io.ReadAll(stdout)
	if err != nil {
		t.Fatal(err)
	}
	if got = append(got, rest...); sha256.Sum256(got) != sha256.Sum256(append(text, text...)) {
		t.Errorf("%d bytes came through of %d, or others", len(got), 2*len(text))
	}
	_ = cmd.Wait() // its status tells
	if got := statusOf(cmd); got != 0 {
		t.Errorf("status %d", got)
	}
}

// Where both streams go to one place, lines stand in their order.
func TestStreamsOfOneFileKeepTheirOrder(t *testing.T) {
	t.Parallel()
	cmd := command(t, []string{refused}, nil, `i=0; while [ $i -lt 2000 ]; do echo $i; echo $i >&2; i=$((i+1)); done`)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatal(err)
	}
	next := 0
	for line := range strings.Lines(string(out)) {
		if strings.TrimSpace(line) == fmt.Sprint(next/2) {
			next++
		}
	}
	if next != 4000 {
		t.Errorf("%d of 4000 lines in their order", next)
	}
}

// On RunPod the end of a container is followed by the next start: one that is done stays, for the watchdog to stop the pod.
func TestADoneJobOnRunPodStaysAndIsTold(t *testing.T) {
	t.Parallel()
	const podID, key = "wrappedpod", "rpa_key_of_no_account"
	provider := runpodtest.New(runpodtest.Options{PodID: podID, APIKey: key, CostUSDPerHour: 1.5})
	t.Cleanup(provider.Close)
	w := wrap(t, []string{
		"RUNPOD_POD_ID=" + podID, "RUNPOD_API_KEY=" + key, "WATCHDOG_RUNPOD_API_URL=" + provider.URL(), "WATCHDOG_RUNPOD_GRAPHQL_URL=" + provider.GraphQLURL(),
		"WATCHDOG_VLLM_URLS=http://127.0.0.1:9", "WATCHDOG_CHECK_INTERVAL=200ms", "WATCHDOG_WARN_BEFORE=0s", "WATCHDOG_MIN_RUNTIME=0s", "WATCHDOG_DRY_RUN=false",
	}, "echo all of it is computed")
	w.logged(`"msg":"server done"`)
	w.logged(`"reason":"job_done"`) // and the pod is stopped once its CPU is quiet, which this machine's is not (test/e2e/exec.sh)
	select {
	case <-w.ended:
		t.Error("it ended before it was told to, and the container with it")
	default:
	}
	w.signal(syscall.SIGTERM)
	if got := w.status(); got != 0 {
		t.Errorf("status %d", got)
	}
}
