//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/test/e2e/internal/stage"
)

func (p *play) policy(ctx context.Context) error {
	w, err := p.stand(ctx, "policy")
	if err != nil {
		return err
	}
	if err := p.other(ctx, w.namespace); err != nil {
		return err
	}
	account, err := p.asAccount(ctx, w)
	if err != nil {
		return err
	}
	mistake := object{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": object{"name": "mistake"},
		"roleRef":  object{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
		"subjects": []any{object{"kind": "ServiceAccount", "name": accountName, "namespace": w.namespace}}}
	if err := p.admin.apply(ctx, "", "", mistake); err != nil {
		return err
	}
	powerful := stage.Until(ctx, time.Minute, func() bool {
		said, err := account.do(ctx, http.MethodGet, "/api/v1/nodes", nil)
		return err == nil && said.status == http.StatusOK
	})
	if !powerful {
		return errors.New("the account has no more rights than before, a minute after it was made cluster-admin")
	}
	deployment := w.path("deployments/" + watchedName)
	eviction := object{"apiVersion": "policy/v1", "kind": "Eviction", "metadata": object{"name": w.pod, "namespace": w.namespace}}
	tries := []try{
		{"scale up", "PUT", w.scalePath(), scaleOf(w.namespace, watchedName, "", 2), byPolicy},
		{"scale up by a patch", "PATCH", w.scalePath(), object{"spec": object{"replicas": 2}}, byPolicy},
		{"stop one in another namespace", "PUT", "/apis/apps/v1/namespaces/waiting/deployments/" + watchedName + "/scale", scaleOf("waiting", watchedName, "", 0), byPolicy},
		{"set the replicas beside the scale", "PATCH", deployment, object{"spec": object{"replicas": 0}}, byPolicy},
		{"change the template of its pods", "PATCH", deployment, object{"spec": object{"template": object{"metadata": object{"labels": object{"x": "y"}}}}}, byPolicy},
		{"write a status", "PATCH", deployment + "/status", object{"status": object{"observedGeneration": 99}}, byPolicy},
		{"delete its Deployment", "DELETE", deployment, nil, byPolicy},
		{"delete all Deployments", "DELETE", w.path("deployments"), nil, byPolicy},
		{"delete its pod", "DELETE", w.core("pods/" + w.pod), nil, byPolicy},
		{"evict its pod", "POST", w.core("pods/" + w.pod + "/eviction"), eviction, byPolicy},
		{"write a secret", "POST", w.core("secrets"), object{"apiVersion": "v1", "kind": "Secret", "metadata": object{"name": "mine"}}, byPolicy},
		{"make a namespace", "POST", "/api/v1/namespaces", object{"apiVersion": "v1", "kind": "Namespace", "metadata": object{"name": "mine"}}, byPolicy},
		{"delete a namespace", "DELETE", "/api/v1/namespaces/waiting", nil, byPolicy},
		{"take another token", "POST", w.core("serviceaccounts/default/token"), object{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": object{}}, byPolicy},
		{"write an event in another's name", "POST", eventsPath(w.namespace), event(w.namespace, "kubelet"), byPolicy},
		{"write an event in another namespace", "POST", eventsPath("waiting"), event("waiting", "gpu-watchdog"), byPolicy},
	}
	// Whoever asks for a token of an account that is not there is told so before.
	account0 := object{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": object{"name": "default"}}
	if err := p.admin.apply(ctx, w.namespace, "", account0); err != nil {
		return err
	}
	if err := p.attempt(ctx, account, tries); err != nil {
		return err
	}
	// Not reached: a connection into a container is judged before it is made.
	said, err := account.do(ctx, http.MethodPost, w.core("pods/"+w.pod+"/exec?command=sh&container=vllm&stdout=true"), nil)
	if err != nil {
		return err
	}
	p.report.Check("may not run a command in its pod", said.status == http.StatusForbidden || said.status == http.StatusBadRequest, said.String())
	p.report.Check("there is still one replica", w.wanted(ctx) == 1, fmt.Sprint(w.wanted(ctx)))

	if err := w.scale(ctx, 4, "e2e"); err != nil {
		return err
	}
	p.report.Check("others scale as ever", w.wanted(ctx) == 4, fmt.Sprint(w.wanted(ctx)))
	if err := p.attempt(ctx, account, []try{{"scale from four to none", "PATCH", w.scalePath(), object{"spec": object{"replicas": 0}}, byPolicy}}); err != nil {
		return err
	}
	if err := w.scale(ctx, 1, "e2e"); err != nil {
		return err
	}
	if err := p.attempt(ctx, account, []try{{name: "scale from one to none", method: "PATCH", path: w.scalePath(), body: object{"spec": object{"replicas": 0}}}}); err != nil {
		return err
	}
	p.report.Check("it is stopped", w.wanted(ctx) == 0, fmt.Sprint(w.wanted(ctx)))
	_, err = p.admin.must(ctx, http.MethodDelete, "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/mistake", nil)
	return err
}

func (p *play) held(ctx context.Context) error {
	w, err := p.stand(ctx, "held")
	if err != nil {
		return err
	}
	account, err := p.asAccount(ctx, w)
	if err != nil {
		return err
	}
	if err := w.scale(ctx, 3, "e2e"); err != nil {
		return err
	}
	seen, err := account.must(ctx, http.MethodGet, w.scalePath(), nil)
	if err != nil {
		return err
	}
	if err := p.attempt(ctx, account, []try{{"stop three replicas", "PUT", w.scalePath(), toZero(w, seen.text("metadata", "resourceVersion")), byPolicy}}); err != nil {
		return err
	}
	p.report.Check("three replicas are wanted", w.wanted(ctx) == 3, fmt.Sprint(w.wanted(ctx)))

	if err := w.scale(ctx, 1, "e2e"); err != nil {
		return err
	}
	if seen, err = account.must(ctx, http.MethodGet, w.scalePath(), nil); err != nil {
		return err
	}
	if err := w.scale(ctx, 2, "e2e"); err != nil {
		return err
	}
	said, err := account.do(ctx, http.MethodPut, w.scalePath(), toZero(w, seen.text("metadata", "resourceVersion")))
	if err != nil {
		return err
	}
	p.report.Check("who looked before the scale-up gets a conflict", said.status == http.StatusConflict, said.String())
	if err := p.attempt(ctx, account, []try{{"stop, without saying what it looked at", "PUT", w.scalePath(), toZero(w, ""), byPolicy}}); err != nil {
		return err
	}
	p.report.Check("two replicas are wanted", w.wanted(ctx) == 2, fmt.Sprint(w.wanted(ctx)))
	return nil
}

func (p *play) undone(ctx context.Context) error {
	for _, c := range []struct {
		namespace, name string
		serverSide      bool
		undo            func(w *workload) error
		want            []string
	}{
		{"undone", "the account sees who undid a stop in a Deployment that the client applied", false, func(w *workload) error { return w.undo(ctx, undoer) }, []string{undoer}},
		{"undone-applied", "and in one that the server applied", true, func(w *workload) error { return w.undo(ctx, undoer) }, []string{undoer}},
		// With a scale of 0 nobody manages the replicas any more, and who manages nothing of a scale is not written down when it changes.
		{"undone-scaled", "of who scales up from 0 by the scale itself, Kubernetes keeps no record", false, func(w *workload) error { return w.scale(ctx, 1, undoer) }, nil},
	} {
		w, err := p.make(ctx, c.namespace, c.serverSide)
		if err != nil {
			return err
		}
		account, err := p.asAccount(ctx, w)
		if err != nil {
			return err
		}
		if _, err := account.must(ctx, http.MethodPut, w.scalePath()+"?fieldManager=gpu-watchdog", toZero(w, "")); err != nil {
			return err
		}
		if err := c.undo(w); err != nil {
			return err
		}
		said, err := account.must(ctx, http.MethodGet, w.path("deployments/"+watchedName), nil)
		if err != nil {
			return err
		}
		managers, _ := at(said.fields, "metadata", "managedFields").([]any)
		var who []string
		for _, m := range managers {
			if at(m, "subresource") == "scale" || at(m, "fieldsV1", "f:spec", "f:replicas") != nil {
				who = append(who, fmt.Sprint(at(m, "manager")))
			}
		}
		p.report.Check(c.name, slices.Equal(who, c.want) && w.wanted(ctx) == 1, fmt.Sprint(who, " ", w.wanted(ctx)))
	}
	return nil
}
