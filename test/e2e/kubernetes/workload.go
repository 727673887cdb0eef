//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/test/e2e/internal/stage"
)

// watchedName is the Deployment that is watched, accountName its watchdog's account.
const (
	watchedName = "chat"
	accountName = "gpu-watchdog-" + watchedName
)

// workload is a Deployment with the component in it, in a namespace of its own, as its controllers would have made it.
type workload struct {
	admin     api
	namespace string
	// rendered is what kustomize made.
	rendered []object
	starts   int

	pod, podUID, set string
}

func (w *workload) path(rest string) string {
	return "/apis/apps/v1/namespaces/" + w.namespace + "/" + rest
}

func (w *workload) scalePath() string { return w.path("deployments/" + watchedName + "/scale") }

// core is a path of the core's in the namespace.
func (w *workload) core(rest string) string { return "/api/v1/namespaces/" + w.namespace + "/" + rest }

// stand makes a workload with one replica in a new namespace, as `kubectl apply` does.
func (p *play) stand(ctx context.Context, namespace string) (*workload, error) {
	return p.make(ctx, namespace, false)
}

// make makes a workload with one replica in a new namespace. The Deployment is applied by the server, or created by the client: only
// the latter makes somebody the manager of a number of replicas that no manifest names.
func (p *play) make(ctx context.Context, namespace string, serverSide bool) (*workload, error) {
	w := &workload{admin: p.admin, namespace: namespace}
	var err error
	if w.rendered, err = p.config.render(ctx, namespace, watchedName); err != nil {
		return nil, err
	}
	if err := p.admin.apply(ctx, "", "", object{"apiVersion": "v1", "kind": "Namespace", "metadata": object{"name": namespace}}); err != nil {
		return nil, err
	}
	for _, o := range w.rendered {
		put := p.admin.create
		if o["kind"] == "Deployment" && serverSide {
			put = func(ctx context.Context, namespace string, o object) error {
				return p.admin.apply(ctx, namespace, "", o)
			}
		}
		if err := put(ctx, namespace, o); err != nil {
			return nil, err
		}
	}
	return w, w.start(ctx)
}

// start does what the controllers do when there is a replica to start: a ReplicaSet where there is none, and a new pod.
func (w *workload) start(ctx context.Context) error {
	d, err := w.admin.must(ctx, http.MethodGet, w.path("deployments/"+watchedName), nil)
	if err != nil {
		return err
	}
	template, _ := at(d.fields, "spec", "template").(map[string]any)
	owner := func(kind, name, uid string) []any {
		return []any{object{"apiVersion": "apps/v1", "kind": kind, "name": name, "uid": uid, "controller": true, "blockOwnerDeletion": true}}
	}
	labels := object{"app": watchedName, "pod-template-hash": "5d8c9", "gpu-watchdog": "watched"}
	w.set = watchedName + "-5d8c9"
	set := object{
		"apiVersion": "apps/v1", "kind": "ReplicaSet",
		"metadata": object{"name": w.set, "labels": labels, "ownerReferences": owner("Deployment", watchedName, d.text("metadata", "uid"))},
		"spec": object{
			"replicas": 1, "selector": object{"matchLabels": labels},
			"template": object{"metadata": object{"labels": labels}, "spec": template["spec"]},
		},
	}
	if err := w.admin.apply(ctx, w.namespace, "", set); err != nil {
		return err
	}
	s, err := w.admin.must(ctx, http.MethodGet, w.path("replicasets/"+w.set), nil)
	if err != nil {
		return err
	}
	w.starts++
	w.pod = fmt.Sprintf("%s-%05d", w.set, w.starts)
	pod := object{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": object{"name": w.pod, "labels": labels, "ownerReferences": owner("ReplicaSet", w.set, s.text("metadata", "uid"))},
		"spec":     template["spec"],
	}
	made, err := w.admin.must(ctx, http.MethodPost, w.core("pods"), pod)
	if err != nil {
		return err
	}
	w.podUID = made.text("metadata", "uid")
	return w.there(ctx, 1)
}

// end does what they do when the replica is gone.
func (w *workload) end(ctx context.Context) error {
	if _, err := w.admin.must(ctx, http.MethodDelete, w.core("pods/"+w.pod+"?gracePeriodSeconds=0"), nil); err != nil {
		return err
	}
	return w.there(ctx, 0)
}

// there is what the Deployment's controller says of how many replicas there are.
func (w *workload) there(ctx context.Context, n int) error {
	for path, status := range map[string]object{
		w.path("deployments/" + watchedName + "/status"): {"replicas": n, "updatedReplicas": n, "readyReplicas": n, "availableReplicas": n},
		w.path("replicasets/" + w.set + "/status"):       {"replicas": n, "readyReplicas": n, "availableReplicas": n},
	} {
		if _, err := w.admin.must(ctx, http.MethodPatch, path, object{"status": status}); err != nil {
			return err
		}
	}
	return nil
}

// wanted is how many replicas the Deployment is to have; -1 where that cannot be read.
func (w *workload) wanted(ctx context.Context) int {
	said, err := w.admin.must(ctx, http.MethodGet, w.scalePath(), nil)
	if err != nil {
		return -1
	}
	return said.number("spec", "replicas")
}

// scale sets the replicas as somebody else, whose field manager is by.
func (w *workload) scale(ctx context.Context, n int, by string) error {
	_, err := w.admin.must(ctx, http.MethodPatch, w.scalePath()+"?fieldManager="+by, object{"spec": object{"replicas": n}})
	return err
}

// undo sets one replica as those do who apply manifests again: in the Deployment, beside its scale.
func (w *workload) undo(ctx context.Context, by string) error {
	_, err := w.admin.must(ctx, http.MethodPatch, w.path("deployments/"+watchedName)+"?fieldManager="+by, object{"spec": object{"replicas": 1}})
	return err
}

// token is one of the account's, bound to the pod as the kubelet's are.
func (w *workload) token(ctx context.Context) (string, error) {
	return w.tokenOf(ctx, accountName, true)
}

// tokenOf is a token of some account in the namespace: bound to the pod, or to nothing.
func (w *workload) tokenOf(ctx context.Context, account string, bound bool) (string, error) {
	spec := object{"expirationSeconds": 3600}
	if bound {
		spec["boundObjectRef"] = object{"apiVersion": "v1", "kind": "Pod", "name": w.pod, "uid": w.podUID}
	}
	said, err := w.admin.must(ctx, http.MethodPost, w.core("serviceaccounts/"+account+"/token"),
		object{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec})
	return said.text("status", "token"), err
}

// asAccount is the API server for the shipped account.
func (p *play) asAccount(ctx context.Context, w *workload) (api, error) {
	token, err := w.token(ctx)
	return p.cluster.as(token), err
}

// toZero is the update that a stop is.
func toZero(w *workload, version string) object {
	return scaleOf(w.namespace, watchedName, version, 0)
}

func scaleOf(namespace, name, version string, n int) object {
	meta := object{"name": name, "namespace": namespace}
	if version != "" {
		meta["resourceVersion"] = version
	}
	return object{"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": meta, "spec": object{"replicas": n}}
}

// setUp applies the policy and waits until the API server goes by it.
func (p *play) setUp(ctx context.Context) error {
	policy, err := p.config.shipped("policy/policy.yaml")
	if err != nil {
		return err
	}
	if err := p.admin.apply(ctx, "", "", policy...); err != nil {
		return err
	}
	w, err := p.stand(ctx, "waiting")
	if err != nil {
		return err
	}
	account, err := p.asAccount(ctx, w)
	if err != nil {
		return err
	}
	var last answer
	inForce := stage.Until(ctx, time.Minute, func() bool {
		last, err = account.do(ctx, http.MethodPut, w.scalePath()+"?dryRun=All", scaleOf(w.namespace, watchedName, "", 5))
		return err == nil && last.status == http.StatusForbidden && byPolicy(last)
	})
	if !inForce {
		return errors.Join(err, fmt.Errorf("after a minute the account may still scale up: %v", last))
	}
	said, err := p.admin.must(ctx, http.MethodGet, "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/gpu-watchdog", nil)
	if err != nil {
		return err
	}
	warnings, _ := at(said.fields, "status", "typeChecking", "expressionWarnings").([]any)
	p.report.Check("the API server finds no fault in the policy's expressions", len(warnings) == 0, fmt.Sprint(warnings))
	return nil
}
