package runpodtest

import (
	"slices"
	"time"
)

// pod is the state of the only pod.
type pod struct {
	id     string
	status string
	cost   float64
	locked bool
	// volumeGB is above 0 where there is a volume disk of the pod's own, and network empty then.
	volumeGB int
	network  string
	// pinned: no action stop.
	pinned  bool
	env     map[string]string
	created time.Time
}

func newPod(o Options) pod {
	p := pod{id: o.PodID, status: o.Status, cost: o.CostUSDPerHour, locked: o.Locked, env: o.Env, created: time.Now().UTC()}
	if p.id == "" {
		p.id = "testpod"
	}
	if p.status == "" {
		p.status = Running
	}
	switch {
	case o.NetworkVolume != "":
		p.network, p.pinned = o.NetworkVolume, o.NetworkNeverStops
	case o.VolumeGB == 0:
		p.volumeGB = 20
	default:
		p.volumeGB = max(0, o.VolumeGB)
	}
	if p.env == nil {
		p.env = map[string]string{}
	}
	return p
}

// allowed are the actions that RunPod allows in each state.
var allowed = map[string][]string{
	Running:      {"stop", "restart", "terminate"},
	Provisioning: {"stop", "terminate"},
	Starting:     {"stop", "terminate"},
	Exited:       {"start", "terminate"},
	Error:        {"start", "terminate"},
	Terminated:   {},
}

// actions are those that are allowed now.
func (p *pod) actions() []string {
	if !p.pinned {
		return allowed[p.status]
	}
	return slices.DeleteFunc(slices.Clone(allowed[p.status]), func(a string) bool { return a == "stop" })
}

// mounts are the pod's storage in the document's form: at most one kind.
func (p *pod) mounts() map[string]any {
	switch {
	case p.network != "":
		return map[string]any{"network": []any{map[string]any{"volumeId": p.network, "path": "/workspace"}}}
	case p.volumeGB > 0:
		return map[string]any{"persistent": map[string]any{"size": p.volumeGB, "path": "/workspace"}}
	}
	return map[string]any{}
}

// outcome of an action.
type outcome int

const (
	done outcome = iota
	conflict
	locked
)

// act makes the transition, or says why not.
func (p *pod) act(action string) outcome {
	switch {
	case !slices.Contains(p.actions(), action):
		return conflict
	case p.locked && (action == "stop" || action == "restart"):
		return locked
	}
	switch action {
	case "stop":
		p.status = Exited
	case "start":
		p.status = Starting
	case "terminate":
		p.status = Terminated
	}
	return done
}

// podJSON is RunPod's Pod, all required fields and those optional ones that a GPU pod has.
type podJSON struct {
	ID               string            `json:"id"`
	Name             string            `json:"name"`
	Status           string            `json:"status"`
	Actions          []string          `json:"actions"`
	Image            string            `json:"image"`
	Args             string            `json:"args"`
	Disk             int               `json:"disk"`
	Mounts           map[string]any    `json:"mounts"`
	Ports            []string          `json:"ports"`
	Env              map[string]string `json:"env"`
	Registry         *string           `json:"registry"`
	Cloud            string            `json:"cloud"`
	DataCenterID     *string           `json:"dataCenterId"`
	CUDAVersion      *string           `json:"cudaVersion"`
	GPU              map[string]any    `json:"gpu"`
	SSH              map[string]any    `json:"ssh"`
	Template         *string           `json:"template"`
	Cost             float64           `json:"cost"`
	Locked           bool              `json:"locked"`
	Runtime          *runtimeJSON      `json:"runtime"`
	CreatedAt        time.Time         `json:"createdAt"`
	StartedAt        *time.Time        `json:"startedAt"`
	GlobalNetworking map[string]any    `json:"globalNetworking"`
}

type runtimeJSON struct {
	Uptime int   `json:"uptime"`
	Ports  []any `json:"ports"`
}

func (p *pod) json() podJSON {
	center, cuda := "EU-RO-1", "13.0"
	j := podJSON{
		ID:               p.id,
		Name:             "simulated pod",
		Status:           p.status,
		Actions:          p.actions(),
		Image:            "vllm/vllm-openai:latest",
		Disk:             50,
		Mounts:           p.mounts(),
		Ports:            []string{"8000/http"},
		Env:              p.env,
		Cloud:            "SECURE",
		DataCenterID:     &center,
		CUDAVersion:      &cuda,
		GPU:              map[string]any{"id": "NVIDIA A40", "count": 1},
		SSH:              map[string]any{"proxy": nil, "direct": nil},
		Locked:           p.locked,
		CreatedAt:        p.created,
		GlobalNetworking: map[string]any{"enabled": false},
	}
	if p.status == Running {
		j.StartedAt = &p.created
		j.Runtime = &runtimeJSON{Uptime: int(time.Since(p.created).Seconds()), Ports: []any{}}
	}
	if p.status != Exited && p.status != Terminated {
		j.Cost = p.cost
	}
	return j
}
