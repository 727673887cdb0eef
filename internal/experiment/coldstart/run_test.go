package coldstart

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/costmodel"
	"github.com/gpu-watchdog/gpu-watchdog/internal/secret"
	"github.com/gpu-watchdog/gpu-watchdog/internal/startup"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// vllmLines is a start in vLLM's words, with known distances.
func vllmLines() []fakeLine {
	return []fakeLine{
		{150 * time.Millisecond, "INFO 11-24 08:20:01 [api_utils.py:347] version 0.32.0"},
		{100 * time.Millisecond, "(Worker pid=2) INFO 11-24 08:20:01 [gpu_model_runner.py:5040] Starting to load model m..."},
		{200 * time.Millisecond, "(Worker pid=2) INFO 11-24 08:20:01 [default_loader.py:501] Loading weights took 0.20 seconds"},
		{250 * time.Millisecond, "(Worker pid=2) INFO 11-24 08:20:01 [monitor.py:20] torch.compile took 0.25 s in total"},
		{100 * time.Millisecond, "(Worker pid=2) INFO 11-24 08:20:01 [gpu_model_runner.py:6582] Graph capturing finished in 0 secs, took 0.01 GiB"},
		{100 * time.Millisecond, "(EngineCore pid=1) INFO 11-24 08:20:03 [core.py:402] init engine (profile, create kv cache, warmup model) took 0.45 s"},
		{100 * time.Millisecond, "INFO: Application startup complete."},
	}
}

// known is how long each phase of vllmLines takes.
var known = [startup.NumMilestones]time.Duration{
	150 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond, 250 * time.Millisecond, 100 * time.Millisecond, 100 * time.Millisecond,
	100 * time.Millisecond, 300 * time.Millisecond,
}

// late is by how much a busy machine may be late in one phase; it is never early by more than a line is on its way.
const late, early = 1500 * time.Millisecond, 60 * time.Millisecond

// The document's section 4.2 measures the start of the pod, the loading of the model and the first request's delay, and prices
// them: here with a server that takes known times, at 1.50 $ an hour.
func TestSeedSection4_2ColdStart(t *testing.T) {
	t.Parallel()
	cfg := configOf(t, fake{Lines: vllmLines(), Late: 280 * time.Millisecond, Usual: 20 * time.Millisecond})
	cfg.Cold, cfg.Warm = 2, 1
	cfg.Pricing = Pricing{USDPerHour: watchdog.Known(1.5), Unseen: 30 * time.Second}
	r, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []Kind
	for _, s := range r.Starts {
		kinds = append(kinds, s.Kind)
		total := 0.0
		for i, p := range s.Phases {
			took := seconds(p.Seconds.Value)
			if !p.Seconds.Known || took < known[i]-early || took > known[i]+late {
				t.Errorf("%s %d: %s took %v, not %v", s.Kind, s.Number, p.Name, took, known[i])
			}
			total += p.Seconds.Value
		}
		if whole := s.Ready.Value + s.FirstToken.Value; math.Abs(total-whole) > 1e-6 {
			t.Errorf("%s %d: its phases take %.6f s together, its start to the first token %.6f s", s.Kind, s.Number, total, whole)
		}
		if extra := seconds(s.Extra.Value); extra < 280*time.Millisecond-early || extra > 280*time.Millisecond+late {
			t.Errorf("%s %d: the first token took %v beyond the usual, not 280ms", s.Kind, s.Number, extra)
		}
		want := s.Ready.Value + s.Extra.Value + 30
		if math.Abs(s.ColdStartSeconds-want) > 1e-6 {
			t.Errorf("C is %v, not %v", s.ColdStartSeconds, want)
		}
		// With no penalty, idling costs as much after C.
		if bill := 1.5 / 3600 * want; math.Abs(s.ColdStartUSD.Value-bill) > 1e-9 || math.Abs(s.BreakEvenSeconds.Value-want) > 1e-6 {
			t.Errorf("%.3f s cost %v $ and %v s of idling", want, s.ColdStartUSD.Value, s.BreakEvenSeconds.Value)
		}
		if s.Killed {
			t.Errorf("%s %d: the server had to be killed", s.Kind, s.Number)
		}
	}
	if !slices.Equal(kinds, []Kind{Cold, Warm, Cold}) {
		t.Errorf("started %v", kinds)
	}
	if s := r.Suggestion; s == nil || s.Of != Cold || s.Starts != 2 || s.Seconds < r.Cold.ColdStartSeconds.P75.Value || s.Seconds >= r.Cold.ColdStartSeconds.P75.Value+1 {
		t.Errorf("suggests %+v for %+v", s, r.Cold)
	}
	if r.Version != "0.0.1-fake" {
		t.Errorf("the server's version is %q", r.Version)
	}
	text, err := os.ReadFile(r.Starts[0].Log)
	if err != nil || !strings.Contains(string(text), "Starting to load model") {
		t.Errorf("the server's log: %v, %q", err, text)
	}
	var table strings.Builder
	r.Table(&table)
	for _, want := range []string{"cold 1", "warm 1", "cold 2", "WATCHDOG_COLD_START=", "FIRST TOKEN"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("the table has no %q:\n%s", want, table.String())
		}
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
}

// The document's own figures: three minutes at 1.50 $/h cost 0.075 $, as much as three minutes of idling at 0.025 $ each.
func TestSeedSection4_2Figures(t *testing.T) {
	p := Pricing{USDPerHour: watchdog.Known(1.5)}
	m := p.of(3 * time.Minute)
	if math.Abs(m.ColdStartUSD.Value-0.075) > 1e-12 || math.Abs(m.BillUSD.Value-0.075) > 1e-12 || m.BreakEvenSeconds.Value != 180 {
		t.Errorf("have %+v", m)
	}
	if minute := p.bill(time.Minute); math.Abs(minute.Value-0.025) > 1e-12 {
		t.Errorf("a minute costs %v", minute.Value)
	}
	p.Tariff.Penalty = costmodel.Penalty{Factor: 10}
	if m := p.of(3 * time.Minute); math.Abs(m.ColdStartUSD.Value-0.825) > 1e-12 || math.Abs(m.BillUSD.Value-0.075) > 1e-12 || m.BreakEvenSeconds.Value != 1980 {
		t.Errorf("with the wait of people: %+v", m)
	}
	if m := (Pricing{}).of(3 * time.Minute); m.BillUSD.Known || m.ColdStartUSD.Known || m.BreakEvenSeconds.Value != 180 {
		t.Errorf("without a price: %+v", m)
	}
	p.Tariff.StorageStopped = 2
	if m := p.of(3 * time.Minute); m.BreakEvenSeconds.Known {
		t.Errorf("where a stopped hour saves nothing: %+v", m)
	}
}

func running(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// A server that ends, and leaves a process that hears nothing and has left its group, leaves no orphan.
func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("no /proc here")
	}
	pidFile := filepath.Join(t.TempDir(), "pid")
	cfg := configOf(t, fake{Child: pidFile})
	cfg.Warm = 1
	r, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, _ := strconv.Atoi(string(text))
	if running(pid) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
		t.Errorf("process %d, which the server had started, still runs", pid)
	}
	if !r.Starts[0].Killed {
		t.Error("it says that nothing had to be killed")
	}
	if c, err := net.Dial("tcp", strings.TrimPrefix(cfg.URL, "http://")); err == nil {
		c.Close()
		t.Error("somebody still listens")
	}
}

// The time is over while a server that hears no SIGTERM is starting: it is killed, and what was measured before stays.
func TestTimeIsOver(t *testing.T) {
	t.Parallel()
	cfg := configOf(t, fake{Lines: []fakeLine{{0, "first"}}, Deaf: true})
	cfg.Cold, cfg.Grace = 3, 200*time.Millisecond
	ctx, cancel := context.WithTimeoutCause(t.Context(), 500*time.Millisecond, context.DeadlineExceeded)
	defer cancel()
	began := time.Now()
	r, err := Run(ctx, cfg)
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) || err == nil || len(r.Starts) != 1 || r.EndedEarly == "" {
		t.Fatalf("%v, %+v", err, r)
	}
	s := r.Starts[0]
	if s.Money != nil || s.Ready.Known || !s.Killed || !strings.Contains(s.Error, "not ready") {
		t.Errorf("have %+v", s)
	}
	if !s.Phases[startup.FirstLine].Seconds.Known || s.Phases[startup.Ready].Seconds.Known {
		t.Errorf("its phases are %+v", s.Phases)
	}
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("that took %v", took)
	}
	if r.Suggestion != nil || r.Cold != nil {
		t.Errorf("a failed start is a sample: %+v", r)
	}
	var table strings.Builder
	r.Table(&table)
	if !strings.Contains(table.String(), "Ended early") || !strings.Contains(table.String(), "failed") {
		t.Errorf("the table says nothing of it:\n%s", table.String())
	}
}

func TestServerThatDies(t *testing.T) {
	t.Parallel()
	const key = "sk-very-secret"
	cfg := configOf(t, fake{Lines: []fakeLine{{0, "ValueError: no such model, api_key=" + key}}, Dies: true})
	cfg.Cold, cfg.Warm, cfg.APIKey = 2, 2, secret.New(key)
	r, err := Run(t.Context(), cfg)
	if err == nil || len(r.Starts) != 1 {
		t.Fatalf("%v, %+v", err, r)
	}
	if text := err.Error(); !strings.Contains(text, "exit status 3") || !strings.Contains(text, "ValueError: no such model") || strings.Contains(text, key) {
		t.Errorf("the error is %q", text)
	}
}

func TestPortThatIsServed(t *testing.T) {
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	cfg := configOf(t, fake{Address: other.Listener.Addr().String()})
	cfg.Cold = 1
	if r, err := Run(t.Context(), cfg); !errors.Is(err, ErrServed) || len(r.Starts) != 0 {
		t.Errorf("%v, %+v", err, r)
	}
}

// A server of another kind: no line that we know, no completions.
func TestUnknownServer(t *testing.T) {
	t.Parallel()
	cfg := configOf(t, fake{Lines: []fakeLine{{100 * time.Millisecond, "hello"}}, Old: true})
	cfg.Warm = 1
	r, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := r.Starts[0]
	for i, p := range s.Phases {
		if want := startup.Milestone(i) == startup.FirstLine || startup.Milestone(i) == startup.Ready; p.Seconds.Known != want {
			t.Errorf("phase %s is %+v", p.Name, p.Seconds)
		}
	}
	if s.Extra.Known || s.Measured != s.Ready || s.Note == "" {
		t.Errorf("have %+v", s)
	}
}

func TestSpansAndCachesAreHandedOver(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "environ")
	cfg := configOf(t, fake{Environ: file, Old: true})
	cfg.Cold, cfg.Spans, cfg.EmptyCaches = 1, true, true
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, err := Run(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ Env, Args []string }
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if n := len(got.Args); n < 2 || got.Args[n-2] != "--otlp-traces-endpoint" || !strings.HasPrefix(got.Args[n-1], "http://127.0.0.1:") {
		t.Errorf("the server was started with %q", got.Args)
	}
	for _, want := range []string{"VLLM_CACHE_ROOT=" + cfg.LogDir, "TORCHINDUCTOR_CACHE_DIR=" + cfg.LogDir, "OTEL_TRACES_SAMPLER=always_on"} {
		if !slices.ContainsFunc(got.Env, func(line string) bool { return strings.HasPrefix(line, want) }) {
			t.Errorf("its environment has no %s…", want)
		}
	}
	if s := r.Starts[0]; !strings.Contains(s.Note, "no span") {
		t.Errorf("nothing is said of the spans that did not come: %q", s.Note)
	}
}
