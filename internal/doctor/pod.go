package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/host"
	"github.com/gpu-watchdog/gpu-watchdog/costmodel"
	"github.com/gpu-watchdog/gpu-watchdog/internal/config"
	"github.com/gpu-watchdog/gpu-watchdog/internal/secret"
	"github.com/gpu-watchdog/gpu-watchdog/internal/status"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Pod is what is to be looked at: this pod, as a watchdog with these settings would see it.
type Pod struct {
	// Version is ours, Agent what we call ourselves to servers.
	Version, Agent string
	Config         config.Config
	// Mistakes are what is wrong with the settings. Config then has their defaults instead.
	Mistakes []config.Problem
	// Hashes are those that a watchdog with these settings may have, on a terminal and off it.
	Hashes []string
	Env    host.PodEnv
	// TempDir is the folder for temporary files. Ports are the served ones on this machine.
	TempDir string
	Ports   []uint16
	Policy  costmodel.Policy
	Tariff  costmodel.Tariff
	// Sidecar: the watchdog is alone in its container, so CPU and terminals of the server cannot be seen.
	Sidecar bool
	// ControlSocket is where orders would be taken; empty where nobody chose a place.
	ControlSocket string

	// Targets are the ways to stop the pod in their order. Refused says why it must never be stopped, Unarmed why it cannot be.
	Targets          []Target
	Armed            bool
	Refused, Unarmed string
	// Asked: somebody wants this pod to be stopped, by WATCHDOG_STOP or by running on RunPod. Where not, that it cannot be is no failure.
	Asked bool

	// Notified names who is told of stops, empty for nobody; Reach connects there and sends nothing.
	Notified string
	Reach    func(ctx context.Context) error
	// Skew is how far our clock is ahead of the provider's, once it has answered.
	Skew func() watchdog.Maybe[time.Duration]
}

// Target is one way to stop the pod.
type Target struct {
	Kind, ID, Action string
	// Unusable says why it cannot be used; the rest is not set then.
	Unusable string
	// Describe asks what the provider knows; nil where there is nobody to ask. Permission is unproven, proven or refused.
	Describe func(ctx context.Context) (pod watchdog.Pod, permission, detail string)
	// Rehearse goes as far as can be gone without a stop.
	Rehearse func(ctx context.Context) (string, error)
}

// examination is one look at a pod.
type examination struct {
	Pod
	began    time.Time
	provider []*answer
	page     *page
}

// answer is what the provider of one target told, asked once for all who want to know.
type answer struct {
	done       chan struct{}
	pod        watchdog.Pod
	permission string
	detail     string
}

// page is the status of the watchdog that runs here, fetched once.
type page struct {
	done   chan struct{}
	status status.Status
	err    error
}

// Examine looks at everything. It takes about a second, and at most about ten.
func Examine(ctx context.Context, p Pod) Report {
	e := &examination{Pod: p, began: time.Now()}
	ctx, cancel := context.WithTimeout(ctx, checkMost)
	defer cancel()
	e.ask(ctx)
	found := weighWays(examine(ctx, e.checks(), checkMost))
	r := settle(found, cleaner{[]secret.Secret{
		p.Config.RunpodAPIKey, p.Config.WebhookSecret, p.Config.StopURL.Secret, p.Config.NotifyURL.Secret, p.Env.APIKey.Value,
	}})
	r.title, r.outlook = e.title(), e.outlook(r.Outcome())
	return r
}

// ask starts the questions whose answers several checks want.
func (e *examination) ask(ctx context.Context) {
	e.provider = make([]*answer, len(e.Targets))
	for i, t := range e.Targets {
		a := &answer{done: make(chan struct{}), permission: unproven, detail: "it has not answered in time"}
		e.provider[i] = a
		if t.Unusable != "" || t.Describe == nil {
			a.detail = ""
			close(a.done)
			continue
		}
		go func() {
			defer close(a.done)
			defer func() {
				if p := recover(); p != nil {
					a.detail = fmt.Sprintf("asking it went wrong: %v", p)
				}
			}()
			a.pod, a.permission, a.detail = t.Describe(ctx)
		}()
	}
	e.page = fetchPage(ctx, string(e.Config.Listen))
}

// told waits for a provider's answer.
func (e *examination) told(ctx context.Context, i int) answer {
	a := e.provider[i]
	if !arrived(ctx, a.done) {
		return answer{permission: unproven, detail: "it has not answered in time"}
	}
	return *a
}

// arrived waits for done until ctx ends. What is there already counts, however late it is.
func arrived(ctx context.Context, done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
	}
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}

// noWaiting is a context that has ended.
func noWaiting() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// checks is the list, in the order in which people read it.
func (e *examination) checks() []check {
	const pod, sight, money, keeps, stop = "This pod", "What a watchdog sees", "Money and time", "What it keeps, and where it answers", "How it stops this pod"
	list := []check{
		{pod, "settings", e.settings},
		{pod, "watchdog", e.running},
		{pod, "pod", e.identityOfPod},
		{pod, "start_id", e.identityOfStart},
	}
	if len(e.Config.VLLMURLs) == 0 {
		list = append(list, check{sight, "vllm", e.noServer})
	}
	for _, url := range e.Config.VLLMURLs {
		list = append(list, check{sight, "vllm", func(ctx context.Context) []Finding { return e.server(ctx, url) }})
	}
	list = append(list,
		check{sight, "sockets", e.sockets},
		check{sight, "gpu", e.gpus},
		check{sight, "cpu", e.cpu},
		check{sight, "terminals", e.terminals},
		check{money, "price", e.price},
		check{money, "limit", e.limit},
		check{money, "clock", e.clock},
		check{keeps, "memory", e.memory},
		check{keeps, "page", e.listen},
		check{keeps, "rows", e.ingest},
		check{keeps, "orders", e.orders},
	)
	for i := range e.Targets {
		list = append(list, check{stop, e.Targets[i].Kind, func(ctx context.Context) []Finding { return e.target(ctx, i) }})
	}
	return append(list, check{stop, "action", e.action}, check{stop, "armed", e.armed}, check{stop, "messages", e.messages})
}

// title says what was looked at.
func (e *examination) title() string {
	return fmt.Sprintf("gpu-watchdog %s: %s", e.Version, e.Config.Name)
}

// outlook says what to do next.
func (e *examination) outlook(o Outcome) string {
	_, notHere := e.watchdogHere(noWaiting())
	after := "once it has idled long enough"
	if limit, known := e.limitNow(); known {
		after = "after " + span(limit) + " without work"
	}
	switch {
	case o == Misconfigured:
		return "`gpu-watchdog run` does not start with these settings: correct them first."
	case e.Refused != "":
		return "This pod is never stopped from here."
	case e.Config.DryRun:
		return "`gpu-watchdog run` would decide and log here, and stop nothing: WATCHDOG_DRY_RUN is set."
	case !e.Armed || o == WouldRefuse:
		return "`gpu-watchdog run` would watch here and explain what it sees, and could not stop this pod."
	case o == Unhealthy:
		return "Mend what failed (✗), and ask again. `gpu-watchdog run` may be started meanwhile: it stops nothing of which it is not sure."
	case notHere == nil:
		return "The watchdog stops this pod " + after + ". `gpu-watchdog status` shows what it thinks right now."
	}
	return "`gpu-watchdog run` would stop this pod " + after + ". To watch it decide first: WATCHDOG_DRY_RUN=true gpu-watchdog run"
}
