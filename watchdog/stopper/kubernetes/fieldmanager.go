package kubernetes

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/secret"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// fieldManager is our own name as a manager of fields.
const fieldManager = "gpu-watchdog"

// Scaling says who set the number of replicas.
type Scaling struct {
	// Manager is the field manager: what the client called itself, "kubectl" or "kube-controller-manager".
	Manager string
	// Operation is "Update" or "Apply"; Subresource is "scale" where it came that way.
	Operation, Subresource string
	// At is when that manager last changed one of the fields that it manages; zero where the server does not tell. Through
	// the scale subresource that is the replicas alone.
	At time.Time
}

// Ours says that we were it.
func (s Scaling) Ours() bool { return s.Manager == fieldManager }

// String names the manager, and who is likely behind it.
func (s Scaling) String() string {
	if who := s.who(); who != "" {
		return s.Manager + " (" + who + ")"
	}
	return s.Manager
}

// who guesses from the manager's name; empty where it says nothing.
func (s Scaling) who() string {
	name := strings.ToLower(s.Manager)
	switch {
	case s.Ours():
		return "this program"
	case name == "kube-controller-manager" && s.Subresource == "scale":
		return "a HorizontalPodAutoscaler"
	case strings.Contains(name, "keda"):
		return "KEDA"
	case strings.HasPrefix(name, "argocd"):
		return "Argo CD"
	case name == "kustomize-controller", name == "helm-controller":
		return "Flux"
	case name == "helm":
		return "Helm"
	case strings.HasPrefix(name, "kubectl"):
		return "a person or script"
	}
	return ""
}

// undoes says that this manager watches the replicas and may set them again by itself.
func (s Scaling) undoes() bool {
	switch s.who() {
	case "a HorizontalPodAutoscaler", "KEDA", "Argo CD", "Flux":
		return true
	}
	return false
}

// scalings are all managers that stand behind the present number of replicas, the latest first. Whoever changes the
// number takes the field from all others; several have it only where they agree.
func scalings(m metadata) []Scaling {
	var found []Scaling
	for _, f := range m.Managed {
		if !f.setsReplicas() {
			continue
		}
		// An unreadable time is the zero time: unknown.
		at, _ := time.Parse(time.RFC3339, f.Time)
		s := Scaling{
			Manager:   shown(f.Manager, secret.Secret{}),
			Operation: shown(f.Operation, secret.Secret{}), Subresource: shown(f.Subresource, secret.Secret{}), At: at,
		}
		place := len(found)
		for place > 0 && found[place-1].At.Before(at) {
			place--
		}
		found = slices.Insert(found, place, s)
	}
	return found
}

// setsReplicas says that an entry is about the number of replicas: by its name in the kinds of Kubernetes, or because the
// scale subresource has nothing else.
func (f managedField) setsReplicas() bool {
	if f.Subresource == "scale" {
		return true
	}
	if f.Subresource != "" {
		return false
	}
	var fields struct {
		Spec struct {
			Replicas json.RawMessage `json:"f:replicas"`
		} `json:"f:spec"`
	}
	return json.Unmarshal(f.Fields, &fields) == nil && fields.Spec.Replicas != nil
}

// LastScaled says who set the replicas of our owner last. Unknown where the server keeps no record of that: a scale of 0 is nobody's, and
// who scales up from 0 by the scale itself is not written down.
func (c *Client) LastScaled(ctx context.Context) (watchdog.Maybe[Scaling], error) {
	_, target, err := c.aim(ctx)
	if err != nil {
		return watchdog.Maybe[Scaling]{}, err
	}
	if target.trouble != nil {
		return watchdog.Maybe[Scaling]{}, target.trouble
	}
	all := scalings(target.meta)
	if len(all) == 0 {
		return watchdog.Maybe[Scaling]{}, nil
	}
	return watchdog.Known(all[0]), nil
}

// unrecorded is who undid a stop of which there is no record: whoever had set the replicas in the object itself, as those do who apply
// manifests, would be written down.
const unrecorded = "somebody who used the scale itself, as kubectl scale and KEDA do: of who scales up from 0, Kubernetes keeps no record"

// WhoUndid says in words who undid our stop, after it was undone.
func (c *Client) WhoUndid(ctx context.Context) (string, error) {
	last, err := c.LastScaled(ctx)
	switch {
	case err != nil:
		return "", err
	case !last.Known || last.Value.Ours():
		return unrecorded, nil
	}
	return last.Value.String(), nil
}
