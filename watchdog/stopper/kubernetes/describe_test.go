package kubernetes_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/kubernetes"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/kubernetes/kubetest"
)

// describe looks, holds what comes to the promises for texts, and sees that nothing was changed.
func (b *bench) describe(t *testing.T) (kubernetes.Description, error) {
	t.Helper()
	d, err := b.Describe(t.Context())
	b.checkShown(t, d.Detail)
	for _, note := range d.Notes {
		b.checkShown(t, note)
	}
	for _, r := range b.server.Requests() {
		if r.Method == "PUT" || r.Method == "POST" && !strings.HasSuffix(r.Path, "/selfsubjectaccessreviews") {
			t.Errorf("a description sent %s %s", r.Method, r.Path)
		}
	}
	return d, err
}

func TestDescribe(t *testing.T) {
	get := kubernetes.Rule{Verb: "get", Group: "apps", Resource: "deployments/scale", Name: "llama"}
	update := kubernetes.Rule{Verb: "update", Group: "apps", Resource: "deployments/scale", Name: "llama"}
	events := kubernetes.Rule{Verb: "create", Group: "events.k8s.io", Resource: "events"}
	for _, row := range []struct {
		name       string
		spoil      func(b *bench)
		permission kubernetes.Permission
		detail     string
		note       string
		missing    []kubernetes.Rule
	}{
		{"may", func(*bench) {}, kubernetes.PermissionProven, "Deployment/llama has 1 replica, set by kubectl-client-side-apply (a person or script); the service account may scale it", "", nil},
		{"may not read the scale", func(b *bench) {
			b.server.Deny(kubetest.Rule{Verb: "get", Group: "apps", Resource: "deployments/scale"})
		}, kubernetes.PermissionRefused, `get deployments/scale llama: the service account may not; its Role needs apiGroups: ["apps"], resources: ["deployments/scale"], resourceNames: ["llama"], verbs: ["get"]`, "", []kubernetes.Rule{get}},
		{"may not update", func(b *bench) {
			b.server.Deny(kubetest.Rule{Verb: "update", Group: "apps", Resource: "deployments/scale"})
		}, kubernetes.PermissionRefused, `verbs: ["update"]`, "", []kubernetes.Rule{update}},
		{"may update another only", func(b *bench) {
			b.server.Allow(kubetest.Rule{Verb: "get", Group: "*", Resource: "*"}, kubetest.Rule{Verb: "create", Group: "*", Resource: "*"},
				kubetest.Rule{Verb: "update", Group: "apps", Resource: "deployments/scale", Name: "other"})
		}, kubernetes.PermissionRefused, `resourceNames: ["llama"]`, "", []kubernetes.Rule{update}},
		{
			"may not read pods", func(b *bench) { b.server.Deny(kubetest.Rule{Verb: "get", Resource: "pods"}) }, kubernetes.PermissionRefused, "get pods", "",
			[]kubernetes.Rule{{Verb: "get", Resource: "pods", Name: podName}},
		},
		{"may not ask", func(b *bench) {
			b.server.Deny(kubetest.Rule{Verb: "create", Group: "authorization.k8s.io", Resource: "selfsubjectaccessreviews"})
		}, kubernetes.PermissionUnproven, "whether it may be scaled is not known", "", nil},
		{"may not write Events", func(b *bench) {
			b.server.Deny(kubetest.Rule{Verb: "create", Group: "events.k8s.io", Resource: "events"})
		}, kubernetes.PermissionProven, "may scale it", "no Event is written at a stop", []kubernetes.Rule{events}},
		{"three replicas", func(b *bench) { b.server.Change(b.owner, func(o *kubetest.Object) { o.Replicas, o.Status = 3, 3 }) }, kubernetes.PermissionRefused, "has 3 replicas", "", nil},
		{"scaled to 0", func(b *bench) { b.server.ScaleBy(b.owner, "kubectl", 0, time.Now()) }, kubernetes.PermissionProven, "scaled to 0 already; ", "", nil},
		{"a HorizontalPodAutoscaler", func(b *bench) {
			b.server.ScaleBy(b.owner, "kube-controller-manager", 2, time.Now())
			b.server.ScaleBy(b.owner, "kube-controller-manager", 1, time.Now())
		}, kubernetes.PermissionProven, "1 replica, set by kube-controller-manager (a HorizontalPodAutoscaler)", "it rests while they are 0", nil},
		{"KEDA", func(b *bench) {
			b.server.ScaleBy(b.owner, "keda-operator", 2, time.Now())
			b.server.ScaleBy(b.owner, "keda-operator", 1, time.Now())
		}, kubernetes.PermissionProven, "set by keda-operator (KEDA)", "may undo a stop", nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBench(t, scene{})
			row.spoil(b)
			d, err := b.describe(t)
			if err != nil {
				t.Fatalf("a no that was found out came as an error: %v", err)
			}
			if d.Permission != row.permission || !strings.Contains(d.Detail, row.detail) || !slices.Equal(d.Missing, row.missing) {
				t.Errorf("%s, %q, missing %v\nwant %s, %q, %v", d.Permission, d.Detail, d.Missing, row.permission, row.detail, row.missing)
			}
			if row.note == "" && len(d.Notes) > 0 || row.note != "" && !strings.Contains(strings.Join(d.Notes, "\n"), row.note) {
				t.Errorf("notes %q, want %q", d.Notes, row.note)
			}
		})
	}
}

func TestDescribeNamesTheTarget(t *testing.T) {
	b := newBench(t, scene{build: owned(1, service, kubetest.Deployment, kubetest.ReplicaSet)})
	d, err := b.describe(t)
	must(t, err)
	want := kubernetes.Object{Group: "apps", Version: "v1", Kind: "Deployment", Namespace: namespace, Name: "llama-1", UID: b.owner.UID}
	if d.Target != want || d.Wanted != watchdog.Known(int32(1)) || d.There != watchdog.Known(int32(1)) {
		t.Errorf("%+v", d)
	}
	if !slices.ContainsFunc(d.Notes, func(n string) bool {
		return strings.Contains(n, "belongs to InferenceService/llama-0, which may set its replicas again")
	}) {
		t.Errorf("notes %q", d.Notes)
	}
}

// Where nothing could be found out, that is an error, and nothing is said to be proven or refused.
func TestDescribeWithoutAnAnswer(t *testing.T) {
	for _, path := range []string{"/pods/", "/deployments/llama", "/scale"} {
		b := newBench(t, scene{})
		b.server.Script(kubetest.Fault{Method: "GET", Path: path, Status: 503, Header: map[string]string{"Retry-After": "3"}})
		d, err := b.describe(t)
		var asked *kubernetes.Error
		if !errors.As(err, &asked) || asked.Answer.RetryAfter != 3*time.Second || d.Permission != kubernetes.PermissionUnproven {
			t.Errorf("%s: %+v, %v", path, d, err)
		}
	}
	// A review that cannot be had leaves it unproven, whatever else is known.
	b := newBench(t, scene{})
	b.server.Script(kubetest.Fault{Method: "POST", Path: "/selfsubjectaccessreviews", Status: 201, Body: `{"kind":"SelfSubjectAccessReview","status":{}}`})
	d, err := b.describe(t)
	if err != nil || d.Permission != kubernetes.PermissionUnproven || !strings.Contains(d.Detail, "neither yes nor no") {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestDescribeABarePod(t *testing.T) {
	b := newBench(t, scene{build: owned(-1)})
	d, err := b.describe(t)
	if err != nil || d.Permission != kubernetes.PermissionRefused || d.Target != (kubernetes.Object{}) || !strings.Contains(d.Detail, "a bare pod has no scale") {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestLastScaled(t *testing.T) {
	day := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	b := newBench(t, scene{})

	expect := func(manager, words string, at time.Time) {
		t.Helper()
		got, err := b.LastScaled(t.Context())
		if err != nil || !got.Known || got.Value.Manager != manager || got.Value.String() != words || !got.Value.At.Equal(at) {
			t.Errorf("%+v, %v; want %s at %s", got, err, words, at)
		}
	}
	expect("kubectl-client-side-apply", "kubectl-client-side-apply (a person or script)", time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC))

	// A scale of 0 is nobody's, and who scales up from there by the scale is not written down.
	for _, step := range []func(){
		func() { b.stop(t) },
		func() { b.server.ScaleBy(b.owner, "keda-operator", 1, day) },
	} {
		step()
		if got, err := b.LastScaled(t.Context()); err != nil || got.Known {
			t.Errorf("%+v, %v", got, err)
		}
		if who, err := b.WhoUndid(t.Context()); err != nil || !strings.Contains(who, "KEDA") || !strings.Contains(who, "no record") {
			t.Errorf("undone by %q, %v", who, err)
		}
	}
	b.server.Change(b.owner, func(o *kubetest.Object) {
		o.Managed = append(o.Managed, kubetest.Managed{Manager: "kubectl-edit", Operation: "Update", Time: day})
	})
	b.server.ScaleBy(b.owner, "keda-operator", 2, day)
	expect("keda-operator", "keda-operator (KEDA)", day)

	// A person applies another number, and somebody else changes something else later.
	b.server.Change(b.owner, func(o *kubetest.Object) {
		o.Managed = []kubetest.Managed{
			{Manager: "argocd-controller", Operation: "Apply", Time: day.Add(time.Minute)},
			{Manager: "helm", Operation: "Update", Time: day.Add(time.Hour), Fields: `{"f:metadata":{"f:labels":{"f:replicas":{}}},"f:spec":{"f:template":{}}}`},
			{Manager: "kube-controller-manager", Operation: "Update", Subresource: "status", Time: day.Add(2 * time.Hour), Fields: `{"f:spec":{"f:replicas":{}}}`},
		}
	})
	expect("argocd-controller", "argocd-controller (Argo CD)", day.Add(time.Minute))
	if who, err := b.WhoUndid(t.Context()); err != nil || who != "argocd-controller (Argo CD)" {
		t.Errorf("undone by %q, %v", who, err)
	}

	// Two that agree on the number: the later one.
	b.server.Change(b.owner, func(o *kubetest.Object) {
		o.Managed = []kubetest.Managed{
			{Manager: "first", Operation: "Apply", Time: day},
			{Manager: "kube-controller-manager", Operation: "Update", Subresource: "scale", Time: day.Add(time.Minute)},
			{Manager: "nobody-knows-when", Operation: "Apply"},
		}
	})
	expect("kube-controller-manager", "kube-controller-manager (a HorizontalPodAutoscaler)", day.Add(time.Minute))

	b.server.Change(b.owner, func(o *kubetest.Object) { o.Managed = nil })
	if got, err := b.LastScaled(t.Context()); err != nil || got.Known {
		t.Errorf("without records: %+v, %v", got, err)
	}
	b.server.Deny(kubetest.Rule{Verb: "get", Group: "apps", Resource: "deployments"})
	if got, err := b.LastScaled(t.Context()); err == nil || got.Known || !strings.Contains(err.Error(), `verbs: ["get"]`) {
		t.Errorf("without the right to look: %+v, %v", got, err)
	}
	if who, err := b.WhoUndid(t.Context()); err == nil || who != "" {
		t.Errorf("without the right to look, undone by %q", who)
	}
}
