package kubernetes

import (
	"fmt"
	"slices"
)

// Rule is one right that a service account may have.
type Rule struct {
	// Verb is "get", "update" or "create".
	Verb string
	// Group is the API group, empty for the core.
	Group string
	// Resource is the plural, with the subresource after a slash: "deployments/scale".
	Resource string
	// Name is the one object that the right is needed for; empty where it cannot be known beforehand.
	Name string
}

// String is the rule as a Role has it.
func (r Rule) String() string {
	s := fmt.Sprintf("apiGroups: [%q], resources: [%q], ", r.Group, r.Resource)
	if r.lasting() {
		s += fmt.Sprintf("resourceNames: [%q], ", r.Name)
	}
	return s + fmt.Sprintf("verbs: [%q]", r.Verb)
}

// lasting says that a Role can name the object: pods and ReplicaSets get a new name with each rollout.
func (r Rule) lasting() bool {
	return r.Name != "" && !slices.Contains([]string{"pods", "replicasets", "replicasets/scale"}, r.Resource)
}

// doing says in words what was asked.
func (r Rule) doing() string {
	s := r.Verb + " " + r.Resource
	if r.Name != "" {
		s += " " + r.Name
	}
	return s
}
