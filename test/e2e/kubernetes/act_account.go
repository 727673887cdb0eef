//go:build linux

package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/test/e2e/internal/stage"
)

// byPolicy says that the admission policy refused it, byRole that the roles did.
func byPolicy(a answer) bool {
	return strings.Contains(a.text("message"), "ValidatingAdmissionPolicy 'gpu-watchdog'")
}

func byRole(a answer) bool { return strings.Contains(a.text("message"), " cannot ") }

// try is one request with the account.
type try struct {
	name, method, path string
	body               any
	// refusedBy is nil where it is allowed.
	refusedBy func(answer) bool
}

// attempt makes the requests and checks what becomes of each.
func (p *play) attempt(ctx context.Context, account api, tries []try) error {
	for _, t := range tries {
		said, err := account.do(ctx, t.method, t.path, t.body)
		if err != nil {
			return err
		}
		if t.refusedBy == nil {
			p.report.Check("may "+t.name, said.status < http.StatusMultipleChoices, fmt.Sprint(said.status))
			continue
		}
		p.report.Check("may not "+t.name, said.status == http.StatusForbidden && t.refusedBy(said), said.String())
	}
	return nil
}

// event is one that a watchdog writes, or somebody in its name.
func event(namespace, by string) object {
	return object{
		"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": object{"name": fmt.Sprintf("stopped.%x", time.Now().UnixNano()), "namespace": namespace},
		"eventTime": time.Now().UTC().Format("2006-01-02T15:04:05.000000Z07:00"), "reportingController": by, "reportingInstance": "e2e",
		"action": "ScaleToZero", "reason": "Stopped", "type": "Normal", "note": "one of the play's",
		"regarding": object{"apiVersion": "apps/v1", "kind": "Deployment", "namespace": namespace, "name": watchedName},
	}
}

func eventsPath(namespace string) string {
	return "/apis/events.k8s.io/v1/namespaces/" + namespace + "/events"
}

// other makes a second Deployment beside the watched one, with one replica.
func (p *play) other(ctx context.Context, namespace string) error {
	objects, err := read([]byte(strings.ReplaceAll(theirs, "NAME", "router")))
	if err != nil {
		return err
	}
	return p.admin.apply(ctx, namespace, "", objects...)
}

func (p *play) account(ctx context.Context) error {
	w, err := p.stand(ctx, "account")
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
	if err := p.rights(ctx, account, w); err != nil {
		return err
	}
	deployment := w.path("deployments/" + watchedName)
	review := object{"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": object{"resourceAttributes": object{
		"namespace": w.namespace, "verb": "update", "group": "apps", "resource": "deployments", "subresource": "scale", "name": watchedName,
	}}}
	allowed := []try{
		{name: "read its pod", method: "GET", path: w.core("pods/" + w.pod)},
		{name: "read its ReplicaSet", method: "GET", path: w.path("replicasets/" + w.set)},
		{name: "read its Deployment", method: "GET", path: deployment},
		{name: "read its scale", method: "GET", path: w.scalePath()},
		{name: "ask what it may", method: "POST", path: "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body: review},
		{name: "rehearse the stop", method: "PUT", path: w.scalePath() + "?dryRun=All", body: toZero(w, "")},
		{name: "write an event", method: "POST", path: eventsPath(w.namespace), body: event(w.namespace, "gpu-watchdog")},
	}
	if err := p.attempt(ctx, account, allowed); err != nil {
		return err
	}
	p.report.Check("none of that changed the replicas", w.wanted(ctx) == 1, fmt.Sprint(w.wanted(ctx)))
	secret := object{"apiVersion": "v1", "kind": "Secret", "metadata": object{"name": "mine"}}
	binding := object{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": object{"name": "mine"},
		"roleRef":  object{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
		"subjects": []any{object{"kind": "ServiceAccount", "name": accountName, "namespace": w.namespace}}}
	eviction := object{"apiVersion": "policy/v1", "kind": "Eviction", "metadata": object{"name": w.pod, "namespace": w.namespace}}
	refused := []try{
		{"scale up", "PUT", w.scalePath(), scaleOf(w.namespace, watchedName, "", 2), byPolicy},
		{"set one replica where there is one", "PUT", w.scalePath(), scaleOf(w.namespace, watchedName, "", 1), byPolicy},
		{"write an event in another's name", "POST", eventsPath(w.namespace), event(w.namespace, "kubelet"), byPolicy},
		{"patch the scale", "PATCH", w.scalePath(), object{"spec": object{"replicas": 0}}, byRole},
		{"stop another Deployment", "PUT", w.path("deployments/router/scale"), scaleOf(w.namespace, "router", "", 0), byRole},
		{"read another Deployment", "GET", w.path("deployments/router"), nil, byRole},
		{"read another's scale", "GET", w.path("deployments/router/scale"), nil, byRole},
		{"stop one in another namespace", "PUT", "/apis/apps/v1/namespaces/waiting/deployments/" + watchedName + "/scale", scaleOf("waiting", watchedName, "", 0), byRole},
		{"write an event in another namespace", "POST", eventsPath("waiting"), event("waiting", "gpu-watchdog"), byRole},
		{"scale its ReplicaSet", "PUT", w.path("replicasets/" + w.set + "/scale"), scaleOf(w.namespace, w.set, "", 0), byRole},
		{"patch its Deployment", "PATCH", deployment, object{"spec": object{"replicas": 0}}, byRole},
		{"write the status of its Deployment", "PATCH", deployment + "/status", object{"status": object{"replicas": 0}}, byRole},
		{"delete its Deployment", "DELETE", deployment, nil, byRole},
		{"list Deployments", "GET", w.path("deployments"), nil, byRole},
		{"watch its Deployment", "GET", w.path("deployments?watch=true&timeoutSeconds=1"), nil, byRole},
		{"delete its ReplicaSet", "DELETE", w.path("replicasets/" + w.set), nil, byRole},
		{"list pods", "GET", w.core("pods"), nil, byRole},
		{"delete its pod", "DELETE", w.core("pods/" + w.pod), nil, byRole},
		{"evict its pod", "POST", w.core("pods/" + w.pod + "/eviction"), eviction, byRole},
		{"run a command in its pod", "POST", w.core("pods/" + w.pod + "/exec?command=sh&container=vllm&stdout=true"), nil, byRole},
		{"read its pod's log", "GET", w.core("pods/" + w.pod + "/log?container=vllm"), nil, byRole},
		{"read a secret", "GET", w.core("secrets/any"), nil, byRole},
		{"list secrets", "GET", w.core("secrets"), nil, byRole},
		{"write a secret", "POST", w.core("secrets"), secret, byRole},
		{"read a ConfigMap", "GET", w.core("configmaps/kube-root-ca.crt"), nil, byRole},
		{"take another token", "POST", w.core("serviceaccounts/" + accountName + "/token"), object{"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": object{}}, byRole},
		{"give itself a role", "POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/" + w.namespace + "/rolebindings", binding, byRole},
		{"list events", "GET", eventsPath(w.namespace), nil, byRole},
		{"delete events", "DELETE", eventsPath(w.namespace), nil, byRole},
		{"see nodes", "GET", "/api/v1/nodes", nil, byRole},
		{"see namespaces", "GET", "/api/v1/namespaces", nil, byRole},
		{"take the policy away", "DELETE", "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/gpu-watchdog", nil, byRole},
	}
	if err := p.attempt(ctx, account, refused); err != nil {
		return err
	}
	masked := account
	masked.header = map[string]string{"Impersonate-User": "e2e", "Impersonate-Group": "system:masters"}
	if err := p.attempt(ctx, masked, []try{{"be somebody else", "GET", w.core("secrets"), nil, byRole}}); err != nil {
		return err
	}
	p.report.Check("there is still one replica of each", w.wanted(ctx) == 1, fmt.Sprint(w.wanted(ctx)))
	if err := p.attempt(ctx, account, []try{{name: "stop its Deployment", method: "PUT", path: w.scalePath(), body: toZero(w, "")}}); err != nil {
		return err
	}
	p.report.Check("it is stopped", w.wanted(ctx) == 0, fmt.Sprint(w.wanted(ctx)))
	if err := p.attempt(ctx, account, []try{{"start it again", "PUT", w.scalePath(), scaleOf(w.namespace, watchedName, "", 1), byPolicy}}); err != nil {
		return err
	}
	return p.afterwards(ctx, account, w)
}

// afterwards ends the pod: its token is worth nothing then.
func (p *play) afterwards(ctx context.Context, account api, w *workload) error {
	if err := w.end(ctx); err != nil {
		return err
	}
	var said answer
	var err error
	over := stage.Until(ctx, time.Minute, func() bool {
		said, err = account.do(ctx, "GET", w.scalePath(), nil)
		return err == nil && said.status == http.StatusUnauthorized
	})
	p.report.Check("with the pod its token ends", over, said.String())
	return err
}

// rights asks the API server for all that the account may, takes away what every account may, and holds the rest against what
// README.md says.
func (p *play) rights(ctx context.Context, account api, w *workload) error {
	got, err := account.rules(ctx, w.namespace)
	if err != nil {
		return err
	}
	fresh, err := p.fresh(ctx, w)
	if err != nil {
		return err
	}
	everybody, err := fresh.rules(ctx, w.namespace)
	if err != nil {
		return err
	}
	p.report.Show("what an account may that was just made", everybody...)
	got = slices.DeleteFunc(got, func(rule string) bool { return slices.Contains(everybody, rule) })
	want := []string{
		"get update apps/deployments/scale chat", "get apps/deployments chat", "get /pods", "get apps/replicasets", "create events.k8s.io/events",
	}
	slices.Sort(got)
	slices.Sort(want)
	p.report.Check("beyond what every account has, the API server knows of these rights only", slices.Equal(got, want), got...)
	return nil
}

// fresh is the API server for an account that nobody gave anything, in the workload's namespace.
func (p *play) fresh(ctx context.Context, w *workload) (api, error) {
	const name = "fresh"
	if err := p.admin.apply(ctx, w.namespace, "", object{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": object{"name": name}}); err != nil {
		return api{}, err
	}
	token, err := w.tokenOf(ctx, name, false)
	return p.cluster.as(token), err
}

// rules are what a user may do with resources, one line a rule.
func (a api) rules(ctx context.Context, namespace string) (out []string, err error) {
	said, err := a.must(ctx, "POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews",
		object{"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": object{"namespace": namespace}})
	if err != nil {
		return nil, err
	}
	if partly, _ := at(said.fields, "status", "incomplete").(bool); partly {
		return nil, fmt.Errorf("the API server does not tell all rights: %s", said.text("status", "evaluationError"))
	}
	rules, _ := at(said.fields, "status", "resourceRules").([]any)
	for _, rule := range rules {
		words := func(key string) string {
			list, _ := at(rule, key).([]any)
			return strings.Trim(fmt.Sprint(list), "[]")
		}
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s/%s %s", words("verbs"), words("apiGroups"), words("resources"), words("resourceNames"))))
	}
	return out, nil
}
