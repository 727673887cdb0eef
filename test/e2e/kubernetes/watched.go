//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/fakepod"
	"github.com/gpu-watchdog/gpu-watchdog/test/e2e/internal/stage"
)

// idleLimit is short, so that an act takes seconds.
const idleLimit = 3 * time.Second

// errNoStage: the machine does not let a process have mounts of its own, or the program has no such target.
var errNoStage = errors.New("not here")

// watched is a running watchdog in a pod of the workload: it sees the account's files where Kubernetes puts them.
type watched struct {
	url, log string
	env      []string
	tap      *tap
	server   *fakepod.Server
	process  *process
	kubelet  sync.WaitGroup
	leave    context.CancelFunc

	mu      sync.Mutex
	unready time.Time // when its readiness failed first
}

// inside runs a program with its own /run, in which are the account's files, the pod's folder for temporary files, its volume and the
// program, whatever may be read on the way to them.
const inside = `mount --make-rprivate / && mount -t proc proc /proc && mount -t tmpfs -o mode=755 tmpfs /run && mkdir -p /run/secrets/kubernetes.io/serviceaccount /run/tmp /run/volume &&
touch /run/gpu-watchdog && mount --bind "$0" /run/secrets/kubernetes.io/serviceaccount && mount --bind "$1" /run/tmp &&
mount --bind "$2" /run/volume && mount --bind "$3" /run/gpu-watchdog && shift 3 && exec "$@"`

// program is where the watchdog is inside.
const program = "/run/gpu-watchdog"

// container gives a process mounts and processes of its own, of which it is the first, as in a container.
func container() *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID}
	if os.Geteuid() != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}
	return attr
}

// asUser are the words before a command that make it the image's user, without any rights of root. Who is not root cannot become
// somebody else, and is root of what it has.
func asUser() []string {
	if os.Geteuid() != 0 {
		return nil
	}
	id := strconv.Itoa(imageUser)
	return []string{"setpriv", "--reuid", id, "--regid", id, "--clear-groups", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"}
}

// imageUser is whom the manifests let the watchdog run as, and whose group the pod's volumes have.
const imageUser = 65532

// volume makes a folder as a volume of the pod: the group may write.
func volume(path string) error {
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(path, 0, imageUser); err != nil {
			return err
		}
	}
	return os.Chmod(path, os.ModeSetgid|0o777)
}

// order runs a command of the program in the watchdog's container, as kubectl exec does.
func (w *watched) order(ctx context.Context, args ...string) (string, error) {
	words := []string{"nsenter", "--mount", "--pid", "--target", strconv.Itoa(w.process.cmd.Process.Pid)}
	if os.Geteuid() != 0 {
		words = append(words, "--user", "--preserve-credentials")
	}
	words = append(append(append(words, asUser()...), program), args...)
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Env = w.env
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// able says why the acts with the watchdog cannot be played here.
func (p *play) able(ctx context.Context) error {
	words := append([]string{"-c", inside, p.config.work, p.config.work, p.config.work, p.config.watchdog}, asUser()...)
	probe := exec.CommandContext(ctx, "sh", append(words, "test", "-d", "/var/run/secrets/kubernetes.io/serviceaccount")...)
	probe.SysProcAttr = container()
	if out, err := probe.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: a process gets no mounts and processes of its own: %w: %.200s", errNoStage, err, out)
	}
	env := exec.CommandContext(ctx, p.config.watchdog, "env")
	env.Env = []string{"PATH=" + os.Getenv("PATH"), "WATCHDOG_STOP=kubernetes"}
	if out, err := env.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: the program does not know this target: %w: %.300s", errNoStage, err, out)
	}
	return nil
}

// shippedEnv is what the rendered manifest gives the sidecar, as the kubelet would fill it in.
func (w *workload) shippedEnv() (out []string, err error) {
	filled := map[any]string{"metadata.uid": w.podUID, "metadata.name": w.pod, "metadata.namespace": w.namespace}
	for _, o := range w.rendered {
		sidecars, _ := at(o, "spec", "template", "spec", "initContainers").([]any)
		for _, sidecar := range sidecars {
			list, _ := at(sidecar, "env").([]any)
			for _, e := range list {
				value, known := at(e, "value").(string)
				if !known {
					value, known = filled[at(e, "valueFrom", "fieldRef", "fieldPath")]
				}
				if !known {
					return nil, fmt.Errorf("the manifest's %v has a value that is not known here", at(e, "name"))
				}
				out = append(out, fmt.Sprintf("%v=%s", at(e, "name"), value))
			}
		}
	}
	return out, nil
}

// watch starts a watchdog beside an idle vLLM in the workload's pod, with more settings. Before is told to the tap.
func (p *play) watch(ctx context.Context, w *workload, before func(context.Context), more ...string) (_ *watched, err error) {
	name := fmt.Sprintf("%s-%d", w.namespace, w.starts)
	dir := filepath.Join(p.config.work, "pod-"+name)
	files := filepath.Join(dir, "account")
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	kept := filepath.Join(p.config.work, "volume-"+w.namespace)
	if err := errors.Join(volume(dir), volume(files), volume(kept)); err != nil {
		return nil, err
	}
	out := &watched{log: filepath.Join(p.config.work, "watchdog-"+name+".log")}
	defer func() {
		if err != nil {
			out.close()
		}
	}()
	if out.tap, err = p.cluster.newTap(before); err != nil {
		return nil, err
	}
	token, err := w.token(ctx)
	if err != nil {
		return nil, err
	}
	err = errors.Join(os.WriteFile(filepath.Join(files, "token"), []byte(token), 0o644),
		os.WriteFile(filepath.Join(files, "namespace"), []byte(w.namespace), 0o644), out.tap.authority(filepath.Join(files, "ca.crt")))
	if err != nil {
		return nil, err
	}
	if out.server, err = fakepod.NewServer(fakepod.ServerConfig{TrackLoad: true}); err != nil {
		return nil, err
	}
	if err := out.server.Ready(); err != nil {
		return nil, err
	}
	listen, err := stage.FreeAddress(ctx)
	if err != nil {
		return nil, err
	}
	out.url = "http://" + listen
	host, port, err := net.SplitHostPort(strings.TrimPrefix(out.tap.server.URL, "https://"))
	if err != nil {
		return nil, err
	}
	shipped, err := w.shippedEnv()
	if err != nil {
		return nil, err
	}
	// Of a name that stands twice the last counts. What is changed is where things are, and how long they take.
	env := append(shipped, "PATH="+os.Getenv("PATH"), "TMPDIR=/run/tmp", "KUBERNETES_SERVICE_HOST="+host, "KUBERNETES_SERVICE_PORT="+port,
		"WATCHDOG_VLLM_URLS="+out.server.URL(), "WATCHDOG_LISTEN="+listen, "WATCHDOG_INGEST_LISTEN=off",
		"WATCHDOG_DIR=/run/volume",
		"WATCHDOG_CHECK_INTERVAL=200ms", "WATCHDOG_POLICY=fixed", "WATCHDOG_IDLE_LIMIT="+idleLimit.String(),
		"WATCHDOG_MIN_RUNTIME=0s", "WATCHDOG_WARN_BEFORE=0s", "WATCHDOG_LOG_FORMAT=json")
	out.env = append(env, more...)
	argv := append([]string{"sh", "-c", inside, files, dir, kept, p.config.watchdog}, asUser()...)
	if out.process, err = beginIn(container(), out.log, out.env, append(argv, program, "run")...); err != nil {
		return nil, err
	}
	if up := stage.Until(ctx, 15*time.Second, func() bool { return out.process.ended() || stage.Page(ctx, out.url+"/healthz") != "" }); !up || out.process.ended() {
		return nil, fmt.Errorf("the watchdog does not answer at %s; the end of its log:\n%s", out.url, stage.Tail(out.log))
	}
	beside, leave := context.WithCancel(ctx)
	out.leave = leave
	out.kubelet.Go(func() { out.probe(beside, w) })
	return out, nil
}

// probe does what the kubelet does with the readiness probe: it tells the API server.
func (w *watched) probe(ctx context.Context, of *workload) {
	client := &http.Client{Timeout: time.Second}
	told := ""
	stage.Every(ctx, 100*time.Millisecond, func() {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url+"/readyz", nil)
		if err != nil {
			return
		}
		ready := "False"
		if resp, err := client.Do(req); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				ready = "True"
			}
		}
		if ready == told || ctx.Err() != nil {
			return
		}
		w.mu.Lock()
		if ready == "False" && w.unready.IsZero() {
			w.unready = time.Now()
		}
		w.mu.Unlock()
		condition := []any{object{"type": "Ready", "status": ready}, object{"type": "ContainersReady", "status": ready}}
		if _, err := of.admin.must(ctx, http.MethodPatch, of.core("pods/"+of.pod+"/status"), object{"status": object{"phase": "Running", "conditions": condition}}); err == nil {
			told = ready
		}
	})
}

// failedReadiness is when its readiness failed first; zero if it did not.
func (w *watched) failedReadiness() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.unready
}

// close ends everything, and returns the watchdog's exit code, -1 where it never ran.
func (w *watched) close() (code int) {
	code = -1
	if w.leave != nil {
		w.leave()
		w.kubelet.Wait()
	}
	if w.process != nil {
		w.process.end()
		code = w.process.cmd.ProcessState.ExitCode()
	}
	if w.server != nil {
		w.server.Close()
	}
	if w.tap != nil {
		w.tap.close()
	}
	return code
}

// reasons are the codes and details of the last decision, the deciding one first.
func (w *watched) reasons(ctx context.Context) (codes, details []string) {
	var told struct {
		Reasons []struct{ Code, Detail string }
	}
	if json.Unmarshal([]byte(stage.Page(ctx, w.url+"/status")), &told) != nil {
		return nil, nil
	}
	for _, r := range told.Reasons {
		codes, details = append(codes, r.Code), append(details, r.Code+": "+r.Detail)
	}
	return codes, details
}

// says waits until a reason is among those of the last decision.
func (w *watched) says(ctx context.Context, most time.Duration, reason string) (details []string, said bool) {
	said = stage.Until(ctx, most, func() bool {
		var codes []string
		codes, details = w.reasons(ctx)
		return slices.Contains(codes, reason)
	})
	return details, said
}
