package kubetest

import (
	"strconv"
	"time"
)

// Kind is how the server serves a kind.
type Kind struct {
	Group, Version, Name, Plural string
	// Cluster: its objects lie in no namespace. Scale: it has the scale subresource.
	Cluster, Scale bool
}

// The kinds that the server knows from the start.
var (
	Pod             = Kind{Version: "v1", Name: "Pod", Plural: "pods"}
	Node            = Kind{Version: "v1", Name: "Node", Plural: "nodes", Cluster: true}
	ReplicaSet      = Kind{Group: "apps", Version: "v1", Name: "ReplicaSet", Plural: "replicasets", Scale: true}
	Deployment      = Kind{Group: "apps", Version: "v1", Name: "Deployment", Plural: "deployments", Scale: true}
	StatefulSet     = Kind{Group: "apps", Version: "v1", Name: "StatefulSet", Plural: "statefulsets", Scale: true}
	DaemonSet       = Kind{Group: "apps", Version: "v1", Name: "DaemonSet", Plural: "daemonsets"}
	Job             = Kind{Group: "batch", Version: "v1", Name: "Job", Plural: "jobs"}
	LeaderWorkerSet = Kind{Group: "leaderworkerset.x-k8s.io", Version: "v1", Name: "LeaderWorkerSet", Plural: "leaderworkersets", Scale: true}
)

func (k Kind) apiVersion() string {
	if k.Group == "" {
		return k.Version
	}
	return k.Group + "/" + k.Version
}

// Managed is one entry of managedFields.
type Managed struct {
	Manager, Operation, Subresource string
	Time                            time.Time
	// Fields is the JSON of fieldsV1; empty means the replicas.
	Fields string
}

// Object is one object.
type Object struct {
	Kind Kind
	Name string
	// UID is made up where it is empty.
	UID string
	// Owner is the object that controls this one.
	Owner *Object
	// OwnerVersion is the apiVersion in the reference to the owner, where it is another than that of its kind.
	OwnerVersion string
	// Replicas is spec.replicas, Status is status.replicas.
	Replicas, Status int
	Managed          []Managed
	// Deleting: it has a deletionTimestamp.
	Deleting bool
	// Secret stands in its spec, which nobody has to read.
	Secret string

	version int
}

// meta is the object's metadata as JSON.
func (o *Object) meta(namespace string) map[string]any {
	m := map[string]any{"name": o.Name, "uid": o.UID, "resourceVersion": strconv.Itoa(o.version), "creationTimestamp": "2026-11-01T08:00:00Z"}
	if !o.Kind.Cluster {
		m["namespace"] = namespace
	}
	if o.Deleting {
		m["deletionTimestamp"] = "2026-11-24T08:00:00Z"
	}
	if o.Owner != nil {
		version := o.OwnerVersion
		if version == "" {
			version = o.Owner.Kind.apiVersion()
		}
		m["ownerReferences"] = []any{
			map[string]any{"apiVersion": "example.org/v1", "kind": "Bystander", "name": "mentioned-only", "uid": "uid-bystander"},
			map[string]any{"apiVersion": version, "kind": o.Owner.Kind.Name, "name": o.Owner.Name, "uid": o.Owner.UID, "controller": true, "blockOwnerDeletion": true},
		}
	}
	var managed []any
	for _, f := range o.Managed {
		fields := f.Fields
		if fields == "" {
			fields = `{"f:spec":{"f:replicas":{}}}`
		}
		entry := map[string]any{
			"manager": f.Manager, "operation": f.Operation, "apiVersion": o.Kind.apiVersion(), "fieldsType": "FieldsV1", "fieldsV1": raw(fields),
		}
		if !f.Time.IsZero() {
			entry["time"] = f.Time.UTC().Format(time.RFC3339)
		}
		if f.Subresource != "" {
			entry["subresource"] = f.Subresource
		}
		managed = append(managed, entry)
	}
	if managed != nil {
		m["managedFields"] = managed
	}
	return m
}

// whole is the object as JSON, alone its metadata where that is enough.
func (o *Object) whole(namespace string, metadataAlone bool) map[string]any {
	if metadataAlone {
		return map[string]any{"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": o.meta(namespace)}
	}
	return map[string]any{
		"kind": o.Kind.Name, "apiVersion": o.Kind.apiVersion(), "metadata": o.meta(namespace),
		"spec":   map[string]any{"replicas": o.Replicas, "env": o.Secret},
		"status": map[string]any{"replicas": o.Status},
	}
}

// scale is the object's Scale as JSON. Like Kubernetes it leaves spec.replicas out where it is 0.
func (o *Object) scale(namespace string) map[string]any {
	spec := map[string]any{}
	if o.Replicas != 0 {
		spec["replicas"] = o.Replicas
	}
	return map[string]any{
		"kind": "Scale", "apiVersion": "autoscaling/v1",
		"metadata": map[string]any{
			"name": o.Name, "namespace": namespace, "uid": o.UID, "resourceVersion": strconv.Itoa(o.version), "creationTimestamp": "2026-11-01T08:00:00Z",
		},
		"spec": spec, "status": map[string]any{"replicas": o.Status, "selector": "app=" + o.Name},
	}
}

// scaledBy sets the replicas through the scale, and who manages them as a real server does (test/e2e/kubernetes.sh, undone): who
// changes the number takes it from all others. A number of 0 is left out of a scale, so nobody manages it; and while nobody manages
// anything of a scale, who changes it is not written down.
func (o *Object) scaledBy(manager string, replicas int, at time.Time) {
	if replicas != o.Replicas {
		var kept []Managed
		managed := false
		for _, f := range o.Managed {
			if f.Subresource == "scale" || f.Fields == "" {
				managed = true
			} else {
				kept = append(kept, f)
			}
		}
		if managed && replicas != 0 {
			kept = append(kept, Managed{Manager: manager, Operation: "Update", Subresource: "scale", Time: at})
		}
		o.Managed = kept
	}
	o.Replicas = replicas
	o.version++
}
