package doctor

import (
	"flag"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gpu-watchdog/gpu-watchdog/test/program"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/runpod/runpodtest"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update writes it anew):\n%s", name, diff)
	}
}

// onlyReads says what a provider was asked that is no reading.
func onlyReads(requests []runpodtest.Request) (others []string) {
	for _, r := range requests {
		if r.Call != runpodtest.V2Read && r.Call != runpodtest.GraphQLRead {
			others = append(others, r.Method+" "+r.Path)
		}
	}
	return others
}

func TestHealthyPod(t *testing.T) {
	t.Parallel()
	p := healthy(t)
	v := ask(t, p.env)
	golden(t, "healthy.txt", v.lines(p))
	if v.code != 0 || v.Verdict == "failed" {
		t.Errorf("exit code %d, verdict %s", v.code, v.Verdict)
	}
	if len(p.runpod.Requests()) == 0 {
		t.Error("RunPod was not asked at all")
	}
	if others := onlyReads(p.runpod.Requests()); len(others) > 0 {
		t.Errorf("RunPod was asked for more than to read: %q", others)
	}
}

func TestBareMachine(t *testing.T) {
	t.Parallel()
	p := &pod{dir: t.TempDir()}
	v := ask(t, []string{
		"TMPDIR=" + p.dir, "WATCHDOG_NAME=bare", "WATCHDOG_VLLM_URLS=http://" + free(t), "WATCHDOG_NVML_LIBRARY=" + filepath.Join(p.dir, "none.so"),
		"WATCHDOG_DIR=" + filepath.Join(p.dir, "kept"), "WATCHDOG_START_ID_FILE=" + filepath.Join(p.dir, "disk", "start-id"),
		"WATCHDOG_LISTEN=" + free(t), "WATCHDOG_INGEST_LISTEN=" + free(t), "WATCHDOG_CONTROL_SOCKET=" + filepath.Join(p.dir, "s"),
	})
	golden(t, "bare.txt", v.lines(p))
	if v.code != 0 {
		t.Errorf("exit code %d: nobody asked for a stop here", v.code)
	}
	if entries, err := os.ReadDir(p.dir); err != nil || len(entries) > 0 {
		t.Errorf("it left %v (%v)", entries, err)
	}
}

func TestBrokenEverything(t *testing.T) {
	t.Parallel()
	p := healthy(t)
	p.runpod.SetLocked(true)
	p.server.Die()
	p.script.GPUs[0].Lost = 15 // GPU_IS_LOST
	must(t, p.script.Write())
	file := filepath.Join(p.dir, "file")
	must(t, os.WriteFile(file, nil, 0o600))
	must(t, os.WriteFile(filepath.Join(p.dir, "s"), []byte("no socket"), 0o600))
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer taken.Close()
	v := ask(t, p.with(
		"WATCHDOG_DIR="+filepath.Join(file, "kept"), "WATCHDOG_START_ID_FILE="+filepath.Join(file, "start-id"), "RUNPOD_GPU_COUNT=2",
		"WATCHDOG_INGEST_LISTEN="+taken.Addr().String(), "WATCHDOG_LISTEN=192.0.2.1:9877", "WATCHDOG_PRICE=9", "TMPDIR="+file,
		"WATCHDOG_STOP=runpod,webhook,command", "WATCHDOG_STOP_URL=http://127.0.0.1:1/"+hookPath, "WATCHDOG_STOP_COMMAND=/no/such/program "+argument,
		"WATCHDOG_NOTIFY_URL=http://127.0.0.1:1/"+hookPath, "WATCHDOG_WEBHOOK_SECRET="+signing, "WATCHDOG_STOP_ACTION=terminate-and-lose-data",
	))
	golden(t, "broken.txt", v.lines(p))
	if v.code != 3 || v.Verdict != "failed" {
		t.Errorf("exit code %d, verdict %s", v.code, v.Verdict)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestMistakesAreFailedChecksAndTheRestIsChecked(t *testing.T) {
	t.Parallel()
	p := healthy(t)
	v := ask(t, p.with("WATCHDOG_PRICE=free", "WATCHDOG_CHECK_INTERVAL=5", "WATCHDOG_COLD_STRAT=4m", "WATCHDOG_RUNPOD_API_KEY=two words"))
	if v.code != 2 {
		t.Errorf("exit code %d", v.code)
	}
	v.expect(t, "settings", "failed", `WATCHDOG_PRICE="free"`)
	v.expect(t, "settings", "failed", `WATCHDOG_CHECK_INTERVAL="5"`, "5s")
	v.expect(t, "settings", "failed", "WATCHDOG_COLD_STRAT", "WATCHDOG_COLD_START")
	v.expect(t, "settings", "failed", "WATCHDOG_RUNPOD_API_KEY")
	v.expect(t, "price", "ok", "2.00 $/h, from RunPod")
	v.expect(t, "vllm", "ok", p.server.URL())
	if run := see(t, p.with("WATCHDOG_PRICE=free")); run.code != 2 || !strings.Contains(run.stdout, "does not start with these settings") {
		t.Errorf("exit code %d\n%s", run.code, run.stdout)
	}
}

func TestNothingIsChanged(t *testing.T) {
	t.Parallel()
	for name, settings := range map[string][]string{
		"before any watchdog": nil,
		"with what an earlier one left": {
			"WATCHDOG_STOP=runpod,webhook,command", "WATCHDOG_STOP_COMMAND=/bin/rm -rf /PLANTED", "WATCHDOG_WEBHOOK_SECRET=" + signing,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := healthy(t)
			asked := make(chan string, 10)
			hook, err := net.Listen("tcp", "127.0.0.1:0")
			must(t, err)
			server := &http.Server{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.Method + " " + r.URL.Path })}
			go func() { _ = server.Serve(hook) }()
			defer server.Close()
			url := "http://" + hook.Addr().String() + "/" + hookPath
			if settings != nil {
				settings = append(settings, "WATCHDOG_STOP_URL="+url)
				must(t, os.MkdirAll(filepath.Join(p.dir, "volume", "pod1"), 0o700))
				must(t, os.WriteFile(filepath.Join(p.dir, "volume", "pod1", "memory.json"), []byte("{half a memo"), 0o600))
				must(t, os.WriteFile(filepath.Join(p.dir, "disk", "start-id"), []byte("0123456789abcdef\nnot\nthis boot\n"), 0o600))
				dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(p.dir, "s"), Net: "unix"})
				must(t, err)
				dead.SetUnlinkOnClose(false)
				dead.Close()
			}
			before := tree(t, p.dir)
			v := ask(t, p.with(append(settings, "WATCHDOG_NOTIFY_URL="+url)...))
			if diff := cmp.Diff(before, tree(t, p.dir)); diff != "" {
				t.Errorf("the doctor changed something (-before +after):\n%s", diff)
			}
			if v.code != 0 {
				t.Errorf("exit code %d: %+v", v.code, v.Checks)
			}
			if others := onlyReads(p.runpod.Requests()); len(others) > 0 || p.runpod.Stops() > 0 {
				t.Errorf("RunPod was asked for %q, %d stops", others, p.runpod.Stops())
			}
			select {
			case request := <-asked:
				t.Errorf("the hook was asked: %s", request)
			default:
			}
			v.expect(t, "messages", "ok", "can be reached; nothing was sent")
			if settings != nil {
				v.expect(t, "memory", "warning", "memory.json cannot be used")
				v.expect(t, "orders", "ok", "can be made")
			}
		})
	}
}

func TestNoSecretIsShown(t *testing.T) {
	t.Parallel()
	p := healthy(t)
	folder := filepath.Join(p.dir, "secret")
	must(t, os.WriteFile(folder, []byte(key+"\n"), 0o600))
	settings := []string{
		"WATCHDOG_STOP=runpod,webhook,command", "WATCHDOG_STOP_URL=http://127.0.0.1:1/" + hookPath, "WATCHDOG_STOP_COMMAND=/bin/true " + argument,
		"WATCHDOG_NOTIFY_URL=http://127.0.0.1:1/" + hookPath, "WATCHDOG_WEBHOOK_SECRET=" + signing,
		"WATCHDOG_VLLM_URLS=" + strings.Replace(p.server.URL(), "http://", "http://user:"+argument+"@", 1),
	}
	p.runpod.Inject(runpodtest.V2Read, runpodtest.Fault{Status: 500, Body: `{"detail": "no ` + key + ` here"}`, Forever: true})
	p.runpod.Inject(runpodtest.GraphQLRead, runpodtest.Fault{Status: 500, Body: `{"error": "no ` + key + ` here"}`, Forever: true})
	for _, env := range [][]string{
		p.env, p.with(settings...), p.with(append(settings, "WATCHDOG_PRICE=free")...), p.with(append(settings, "WATCHDOG_RUNPOD_API_KEY="+key+" "+key)...),
		p.with(append(settings, "WATCHDOG_STOP_COMMAND=[\"/bin/true\", \""+argument, "WATCHDOG_STOP_URL=ftp://"+hookPath+"/"+hookPath)...),
		p.with("WATCHDOG_RUNPOD_API_KEY_FILE=" + folder),
	} {
		for _, args := range [][]string{nil, {"--output", "json"}} {
			v := see(t, env, args...)
			for _, secret := range []string{key, hookPath, signing, argument, podsOwn} {
				if strings.Contains(v.stdout+v.stderr, secret) {
					t.Errorf("%s shows up:\n%s%s", secret, v.stdout, v.stderr)
				}
			}
		}
	}
}

func TestBesideARunningWatchdog(t *testing.T) {
	t.Parallel()
	p := healthy(t)
	run := program.Start(t, binary, append([]string{"WATCHDOG_LOG_FORMAT=json"}, p.env...)...)
	run.Await("its first decision", 20*time.Second, func(l program.Line) bool { return l.Msg() == "decision" })
	run.URL()
	v := ask(t, p.env)
	v.expect(t, "watchdog", "ok", "runs here for pod1 (armed)")
	v.expect(t, "page", "ok", "served by the watchdog that runs here")
	v.expect(t, "rows", "ok", "served by the watchdog that runs here")
	v.expect(t, "orders", "ok", "takes orders")
	v.expect(t, "start_id", "ok", "a watchdog has run")
	if slices.ContainsFunc(v.of("watchdog"), func(f finding) bool { return strings.Contains(f.Detail, "other settings") }) {
		t.Errorf("the same settings are said to be others: %+v", v.of("watchdog"))
	}
	v.expect(t, "memory", "ok", "written by the watchdog that runs here")
	ask(t, p.with("WATCHDOG_PRICE=3")).expect(t, "watchdog", "warning", "other settings")
	if others := onlyReads(p.runpod.Requests()); len(others) > 0 {
		t.Errorf("RunPod was asked for %q", others)
	}
	if !run.Lives() {
		t.Error("the watchdog ended of it")
	}
}

func TestEachKindOfPod(t *testing.T) {
	t.Parallel()
	p := healthy(t)
	for name, c := range map[string]struct {
		settings []string
		code     int
		check    string
		verdict  string
		words    []string
	}{
		"serverless":           {[]string{"RUNPOD_ENDPOINT_ID=ep1"}, 3, "armed", "failed", []string{"serverless endpoint ep1"}},
		"no key":               {[]string{"RUNPOD_API_KEY="}, 3, "runpod", "failed", []string{"no key", "set WATCHDOG_RUNPOD_API_KEY"}},
		"wrong key":            {[]string{"RUNPOD_API_KEY=rpa_another"}, 0, "runpod", "note", []string{"may not read pod pod1"}},
		"data would be lost":   {[]string{"WATCHDOG_STOP_ACTION=terminate"}, 3, "runpod", "failed", []string{"a termination would lose"}},
		"dry run":              {[]string{"WATCHDOG_DRY_RUN=true"}, 0, "armed", "note", []string{"stops nothing"}},
		"kubernetes elsewhere": {[]string{"WATCHDOG_STOP=kubernetes"}, 3, "kubernetes", "failed", []string{"KUBERNETES_SERVICE_HOST"}},
		"another port":         {[]string{"WATCHDOG_VLLM_URLS=" + p.runpod.URL()}, 1, "vllm", "failed", []string{"is never taken for idle"}},
		"one GPU too few":      {[]string{"RUNPOD_GPU_COUNT=2"}, 0, "gpu", "warning", []string{"1 GPU is shown", "says 2"}},
		"a GPU that is not":    {[]string{"WATCHDOG_GPUS=GPU-1,GPU-9"}, 1, "gpu", "failed", []string{"GPU-9"}},
		"no server":            {[]string{"WATCHDOG_VLLM_URLS=none"}, 0, "vllm", "note", []string{"only GPU, CPU and ports"}},
		"price of one's own":   {[]string{"WATCHDOG_PRICE=1"}, 0, "price", "warning", []string{"RunPod charges 2.00 $/h"}},
		"no saving":            {[]string{"WATCHDOG_STORAGE_STOPPED=5"}, 0, "limit", "warning", []string{"never stops"}},
		"keep hours":           {[]string{"WATCHDOG_KEEP_HOURS=mon-sun 00:00-24:00"}, 0, "limit", "ok", []string{"keeps it"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := ask(t, p.with(c.settings...))
			v.expect(t, c.check, c.verdict, c.words...)
			if v.code != c.code {
				t.Errorf("exit code %d, want %d\n%s", v.code, c.code, v.lines(p))
			}
		})
	}
}

func TestItEndsInTimeWhateverHangs(t *testing.T) {
	t.Parallel()
	p := healthy(t)
	p.runpod.Inject(runpodtest.V2Read, runpodtest.Fault{Hang: true, Forever: true})
	p.runpod.Inject(runpodtest.GraphQLRead, runpodtest.Fault{Hang: true, Forever: true})
	p.script.Hangs = []string{"nvmlDeviceGetSamples"}
	must(t, p.script.Write())
	mute, err := net.Listen("tcp", "127.0.0.1:0") // nobody accepts
	must(t, err)
	defer mute.Close()
	began := time.Now()
	v := ask(t, p.with("WATCHDOG_VLLM_URLS=http://"+mute.Addr().String(), "WATCHDOG_LISTEN="+mute.Addr().String()))
	if took := time.Since(began); took > 12*time.Second {
		t.Errorf("it took %s", took)
	}
	v.expect(t, "gpu", "failed", "nvmlDeviceGetSamples")
	v.expect(t, "vllm", "failed", "never taken for idle")
	v.expect(t, "runpod", "failed", "a stop would not come about")
	if v.code != 1 {
		t.Errorf("exit code %d", v.code)
	}
}

func TestTheClockIsComparedWithTheProviders(t *testing.T) {
	t.Parallel()
	p := healthy(t)
	p.runpod.Inject(runpodtest.V2Read, runpodtest.Fault{
		Status: 200, Header: http.Header{"Date": {time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat)}, "Content-Type": {"application/json"}},
		Body: `{"id": "pod1", "status": "RUNNING", "cost": 2, "locked": false}`, Forever: true,
	})
	ask(t, p.env).expect(t, "clock", "warning", "ahead of the provider's")
}
