package doctor

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/nvml/standin"
	"github.com/gpu-watchdog/gpu-watchdog/internal/fakepod"
	"github.com/gpu-watchdog/gpu-watchdog/test/program"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/runpod/runpodtest"
)

var binary string

func TestMain(m *testing.M) { os.Exit(program.Main(m, &binary)) }

// longest is how long the doctor may take on a machine that others use as well; it promises about ten seconds.
const longest = 20 * time.Second

// secrets are planted wherever one may stand.
const (
	key      = "rpa_PLANTEDKEY0123456789ABCDEF"
	hookPath = "PLANTEDHOOK0123456789"
	signing  = "PLANTEDSIGNING0123456789"
	argument = "PLANTEDARGUMENT0123456789"
	podsOwn  = "PLANTEDINTHEPODSENVIRONMENT"
)

// finding is one check of --output json.
type finding struct{ Name, Verdict, Detail, Remedy string }

// visit is one run of the doctor.
type visit struct {
	code           int
	stdout, stderr string
	Checks         []finding
	Verdict        string
}

// see runs the doctor with nothing in its environment but what is given.
func see(t *testing.T, env []string, args ...string) visit {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), longest)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, append([]string{"doctor"}, args...)...)
	cmd.Env = append([]string{"PATH=/usr/bin:/bin"}, env...)
	cmd.Dir = t.TempDir()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("doctor: %v\n%s%s", err, out.String(), errs.String())
	}
	return visit{code: cmd.ProcessState.ExitCode(), stdout: out.String(), stderr: errs.String()}
}

// ask is see, for programs.
func ask(t *testing.T, env []string) visit {
	t.Helper()
	v := see(t, env, "--output", "json")
	if err := json.Unmarshal([]byte(v.stdout), &v); err != nil {
		t.Fatalf("no JSON: %v\n%s%s", err, v.stdout, v.stderr)
	}
	return v
}

// of returns the findings of one check.
func (v visit) of(name string) (out []finding) {
	for _, f := range v.Checks {
		if f.Name == name {
			out = append(out, f)
		}
	}
	return out
}

// expect holds one finding to a verdict and to words in its text.
func (v visit) expect(t *testing.T, name, verdict string, words ...string) {
	t.Helper()
	for _, f := range v.of(name) {
		all := f.Detail + " → " + f.Remedy
		ok := f.Verdict == verdict
		for _, w := range words {
			ok = ok && strings.Contains(all, w)
		}
		if ok {
			return
		}
	}
	t.Errorf("no finding %s (%s) with %q among %+v", name, verdict, words, v.of(name))
}

// pod is a healthy pod of RunPod's, and the environment that the doctor is asked in.
type pod struct {
	dir    string
	env    []string
	runpod *runpodtest.Server
	server *fakepod.Server
	script *standin.Script
}

// healthy makes a pod that has everything. Settings of the same name that come later count, as in a shell that sets them anew.
func healthy(t *testing.T) *pod {
	t.Helper()
	p := &pod{dir: t.TempDir()}
	p.runpod = runpodtest.New(runpodtest.Options{PodID: "pod1", APIKey: key, CostUSDPerHour: 2, Env: map[string]string{"HF_TOKEN": podsOwn}})
	t.Cleanup(p.runpod.Close)
	var err error
	if p.server, err = fakepod.NewServer(fakepod.ServerConfig{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.server.Close)
	if err := p.server.Ready(); err != nil {
		t.Fatal(err)
	}
	library := filepath.Join(p.dir, "nvidia")
	p.folders(t, "nvidia", "volume", "disk", "temp")
	path, err := standin.Build(library)
	if errors.Is(err, standin.ErrNoCompiler) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	p.script = standin.NewScript(filepath.Join(library, "script"), 1)
	p.script.GPUs[0] = standin.GPU{UUID: "GPU-1", Name: "NVIDIA H100 80GB HBM3", MemoryUsed: 60e9, MemoryTotal: 80e9, PowerMilliwatts: 71000}
	if err := p.script.Write(); err != nil {
		t.Fatal(err)
	}
	p.env = []string{
		"RUNPOD_POD_ID=pod1", "RUNPOD_API_KEY=" + key, "RUNPOD_GPU_COUNT=1", "TMPDIR=" + filepath.Join(p.dir, "temp"), p.script.Env(),
		"WATCHDOG_RUNPOD_API_URL=" + p.runpod.URL(), "WATCHDOG_RUNPOD_GRAPHQL_URL=" + p.runpod.GraphQLURL(),
		"WATCHDOG_VLLM_URLS=" + p.server.URL(), "WATCHDOG_NVML_LIBRARY=" + path,
		"WATCHDOG_DIR=" + filepath.Join(p.dir, "volume"), "WATCHDOG_START_ID_FILE=" + filepath.Join(p.dir, "disk", "start-id"),
		"WATCHDOG_LISTEN=" + free(t), "WATCHDOG_INGEST_LISTEN=" + free(t), "WATCHDOG_CONTROL_SOCKET=" + filepath.Join(p.dir, "s"),
	}
	return p
}

// with is the pod's environment with other settings.
func (p *pod) with(settings ...string) []string {
	out := append([]string(nil), p.env...)
	for _, s := range settings {
		name, _, _ := strings.Cut(s, "=")
		for i, line := range out {
			if strings.HasPrefix(line, name+"=") {
				out = append(out[:i], out[i+1:]...)
				break
			}
		}
		out = append(out, s)
	}
	return out
}

func (p *pod) folders(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := os.MkdirAll(filepath.Join(p.dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// free is an address that nobody listens at.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// tree is what lies in a folder, with names, kinds, modes, times and contents.
func tree(t *testing.T, folder string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %s %s", path, info.Mode(), info.ModTime().Format(time.RFC3339Nano))
		if info.Mode().IsRegular() {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			sum := sha256.Sum256(text)
			b.WriteString(" " + hex.EncodeToString(sum[:]))
		}
		b.WriteString("\n")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// vague takes out of a text what differs from machine to machine and from run to run.
func (p *pod) vague(text string) string {
	for pattern, word := range map[string]string{
		`127\.0\.0\.1:[0-9]+`:                    "127.0.0.1:PORT",
		`port [0-9]+`:                            "port PORT",
		`sport = :[0-9]+`:                        "sport = :PORT",
		`[0-9]+(\.[0-9])? [kMGT]B (free|left)`:   "SPACE free",
		`[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]+ UTC`: "NOW",
		`read in [0-9a-z ]+`:                     "read in TIME",
		`[0-9]+ samples`:                         "N samples",
		`user [0-9]+`:                            "user UID",
	} {
		text = regexp.MustCompile(pattern).ReplaceAllString(text, word)
	}
	if p != nil {
		text = strings.ReplaceAll(text, p.dir, "DIR")
	}
	return text
}

// lines is a report as a golden file has it. What the machine alone decides is left out: its CPU and its terminals, and whether its
// temporary folder is on a disk of its own.
func (v visit) lines(p *pod) string {
	var b strings.Builder
	for _, f := range v.Checks {
		switch f.Name {
		case "cpu", "terminals":
			continue
		case "memory":
			if strings.Contains(f.Detail, "free)") {
				f = finding{Name: f.Name, Verdict: "(by the machine)"}
			}
		}
		fmt.Fprintf(&b, "%s: %s: %s\n", f.Verdict, f.Name, p.vague(f.Detail))
		if f.Remedy != "" {
			fmt.Fprintf(&b, "    → %s\n", p.vague(f.Remedy))
		}
	}
	return b.String() + fmt.Sprintf("verdict %s, exit code %d\n", v.Verdict, v.code)
}
