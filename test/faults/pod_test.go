package faults

import (
	"net"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/test/eventually"
	"github.com/gpu-watchdog/gpu-watchdog/test/program"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/runpod/runpodtest"
)

const (
	podID  = "faultypod"
	apiKey = "rpa_key_of_no_account"
)

// pod is a RunPod pod on which one thing may go wrong.
type pod struct {
	*program.Run
	t        *testing.T
	row      row
	dir      string
	provider *runpodtest.Server
	servers  []*server
	gpu      *gpu
	clients  clients
	// config is how the program is run; what is later in Env wins.
	config program.Config
	// heal ends the fault; nil where it cannot be ended.
	heal func()
	// refusals: RunPod refuses, so calls that ask for a stop are no stops. forgiven are calls that were right, since what
	// was idle then works now.
	refusals bool
	forgiven int
	// later is done once the program runs.
	later act
	// conn is a client's bare connection, other a second watchdog.
	conn  net.Conn
	other *program.Run
	// group is the control group of the pod's container, listener another server of it, asked how often a hook was.
	group    string
	listener net.Listener
	asked    *atomic.Int64
	// alive is the run that a stop ends.
	alive atomic.Pointer[program.Run]
	// blind: the program's pages cannot be asked. deaf: its log cannot be read.
	blind, deaf bool
	faulty      string
}

func newPod(t *testing.T, r row) *pod {
	t.Helper()
	p := &pod{t: t, row: r, dir: t.TempDir()}
	p.provider = runpodtest.New(runpodtest.Options{PodID: podID, APIKey: apiKey, CostUSDPerHour: 1.5, OnStop: p.dies})
	t.Cleanup(p.provider.Close)
	p.servers = []*server{newServer(t, loopback)}
	p.config = program.Config{Path: binary, Env: append([]string{
		"RUNPOD_POD_ID=" + podID, "RUNPOD_API_KEY=" + apiKey, "TMPDIR=" + p.dir,
		"WATCHDOG_RUNPOD_API_URL=" + p.provider.URL(), "WATCHDOG_RUNPOD_GRAPHQL_URL=" + p.provider.GraphQLURL(),
		"WATCHDOG_DIR=" + filepath.Join(p.dir, "volume"), "WATCHDOG_START_ID_FILE=" + filepath.Join(p.dir, "disk", "start-id"),
		"WATCHDOG_GPUS=none", "WATCHDOG_CHECK_INTERVAL=" + interval.String(), "WATCHDOG_MIN_RUNTIME=0s",
		"WATCHDOG_POLICY=fixed", "WATCHDOG_IDLE_LIMIT=" + limit.String(), "WATCHDOG_WARN_BEFORE=0s",
		"WATCHDOG_TERMINAL_GUARD=0s", "WATCHDOG_CONTROL_SOCKET=" + filepath.Join(p.dir, "control"),
	}, r.env...)}
	if r.alone {
		p.config.Attr = firstProcess(t)
	}
	return p
}

func (p *pod) String() string { return p.row.id() + p.faulty }

// set changes the environment of the program.
func (p *pod) set(env ...string) { p.config.Env = append(p.config.Env, env...) }

// start runs the program.
func (p *pod) start() {
	p.t.Helper()
	c := p.config
	if !slices.ContainsFunc(c.Env, func(v string) bool { return len(v) > 19 && v[:19] == "WATCHDOG_VLLM_URLS=" }) {
		urls := "WATCHDOG_VLLM_URLS="
		for i, s := range p.servers {
			if i > 0 {
				urls += ","
			}
			urls += s.URL()
		}
		c.Env = append(slices.Clone(c.Env), urls)
	}
	p.Run = c.Start(p.t)
	p.alive.Store(p.Run)
}

// dies is the end of a pod that was stopped.
func (p *pod) dies() {
	if r := p.alive.Load(); r != nil {
		r.Signal(syscall.SIGKILL)
	}
}

// end takes everything away, so that the next run finds nothing of it.
func (p *pod) end() {
	if p.Run != nil {
		p.Kill()
	}
	p.clients.leave()
	for _, s := range p.servers {
		s.close()
	}
}

// sound holds the program to what must be true whatever happens.
func (p *pod) sound() {
	p.t.Helper()
	if p.row.with.exit == 0 && !p.Lives() && p.provider.Stops() == 0 {
		p.t.Errorf("%s: the program ended with %d", p, p.ExitCode())
	}
}

// until asks again and again until it is so.
func (p *pod) until(most time.Duration, what string, is func() bool) {
	p.t.Helper()
	eventually.Within(p.t, most, p.String()+": "+what, func() bool {
		if is() {
			return true
		}
		p.breathe()
		return false
	})
}

// breathe leaves the machine to the others for a moment.
func (p *pod) breathe() {
	timer := time.NewTimer(30 * time.Millisecond)
	<-timer.C
}
