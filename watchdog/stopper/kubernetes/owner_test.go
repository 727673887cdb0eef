package kubernetes_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/kubernetes"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/kubernetes/kubetest"
)

var (
	rollout = kubetest.Kind{Group: "argoproj.io", Version: "v1alpha1", Name: "Rollout", Plural: "rollouts", Scale: true}
	service = kubetest.Kind{Group: "serving.example.org", Version: "v1beta1", Name: "InferenceService", Plural: "inferenceservices"}
	cronJob = kubetest.Kind{Group: "batch", Version: "v1", Name: "CronJob", Plural: "cronjobs"}
)

// owned builds a chain from the highest owner down; the last controls our pod, and at names the one to scale.
func owned(at int, kinds ...kubetest.Kind) func(*kubetest.Server) (*kubetest.Object, *kubetest.Object) {
	return func(s *kubetest.Server) (*kubetest.Object, *kubetest.Object) {
		var above, scaled *kubetest.Object
		for i, k := range kinds {
			if k == rollout || k == service || k == cronJob {
				s.AddKind(k)
			}
			above = s.Add(kubetest.Object{Kind: k, Name: fmt.Sprintf("llama-%d", i), Owner: above, Replicas: 1, Status: 1, Secret: planted})
			if i == at {
				scaled = above
			}
		}
		return above, scaled
	}
}

func TestOwnerIsTheHighestWithAScale(t *testing.T) {
	for _, row := range []struct {
		name  string
		build func(*kubetest.Server) (*kubetest.Object, *kubetest.Object)
		path  string
	}{
		{"Deployment", owned(0, kubetest.Deployment, kubetest.ReplicaSet), "/apis/apps/v1/namespaces/prod/deployments/llama-0/scale"},
		{"StatefulSet", owned(0, kubetest.StatefulSet), "/apis/apps/v1/namespaces/prod/statefulsets/llama-0/scale"},
		{"ReplicaSet alone", owned(0, kubetest.ReplicaSet), "/apis/apps/v1/namespaces/prod/replicasets/llama-0/scale"},
		{"LeaderWorkerSet by its StatefulSet", owned(0, kubetest.LeaderWorkerSet, kubetest.StatefulSet), "/apis/leaderworkerset.x-k8s.io/v1/namespaces/prod/leaderworkersets/llama-0/scale"},
		{"a kind that only discovery knows", owned(0, rollout, kubetest.ReplicaSet), "/apis/argoproj.io/v1alpha1/namespaces/prod/rollouts/llama-0/scale"},
		{"a Deployment of a kind without a scale", owned(1, service, kubetest.Deployment, kubetest.ReplicaSet), "/apis/apps/v1/namespaces/prod/deployments/llama-1/scale"},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBench(t, scene{build: row.build})
			expect(t, b.stop(t), stopper.Accepted, b.owner.Kind.Name+"/"+b.owner.Name)
			if got := b.server.Replicas(b.owner); got != 0 {
				t.Errorf("%d replicas", got)
			}
			for _, r := range b.server.Requests() {
				if r.Method == "PUT" && r.Path != row.path {
					t.Errorf("PUT %s, want %s", r.Path, row.path)
				}
			}
		})
	}
}

func TestOwnerWithoutScaleIsRefusedWithAdvice(t *testing.T) {
	for _, row := range []struct {
		name  string
		build func(*kubetest.Server) (*kubetest.Object, *kubetest.Object)
		words []string
	}{
		{"bare pod", owned(-1), []string{"a bare pod has no scale", "Deployment or StatefulSet of one replica", "WATCHDOG_STOP to webhook or command"}},
		{"Job", owned(-1, kubetest.Job), []string{"belongs to Job/llama-0", "ends when its containers end"}},
		{"CronJob", owned(-1, cronJob, kubetest.Job), []string{"belongs to Job/llama-1"}},
		{"DaemonSet", owned(-1, kubetest.DaemonSet), []string{"one pod on each node"}},
		{"static pod", owned(-1, kubetest.Node), []string{"a static pod"}},
		{"a kind of others", owned(-1, service), []string{"InferenceService has no scale subresource"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBench(t, scene{build: row.build})
			expect(t, b.stop(t), stopper.Invalid, row.words...)
			if b.changes() != 0 {
				t.Error("something was scaled")
			}
		})
	}
}

// A worker of a LeaderWorkerSet is quiet while its leader answers requests.
func TestOwnerOfAWorkerIsRefused(t *testing.T) {
	build := owned(0, kubetest.LeaderWorkerSet, kubetest.StatefulSet, kubetest.Pod, kubetest.StatefulSet)
	for _, target := range []string{"", "leaderworkerset/llama-0"} {
		b := newBench(t, scene{build: build, config: func(cfg *kubernetes.Config) { cfg.Target = target }})
		expect(t, b.stop(t), stopper.Invalid, "is a worker of the pod llama-2", "run the watchdog there")
		if b.changes() != 0 {
			t.Errorf("target %q: scaled by a worker", target)
		}
	}
}

func TestTargetMustOwnOurPod(t *testing.T) {
	chain := owned(0, kubetest.Deployment, kubetest.ReplicaSet)
	group := owned(0, kubetest.LeaderWorkerSet, kubetest.StatefulSet)
	for _, row := range []struct {
		target string
		build  func(*kubetest.Server) (*kubetest.Object, *kubetest.Object)
		kind   stopper.Kind
		words  string
	}{
		{"deployment/llama-0", chain, stopper.Accepted, "Deployment/llama-0"},
		{"Deployment/llama-0", chain, stopper.Accepted, "Deployment/llama-0"},
		{"deployments/llama-0", chain, stopper.Accepted, "Deployment/llama-0"},
		{"deploy/llama-0", chain, stopper.Accepted, "Deployment/llama-0"},
		{"deployments.apps/llama-0", chain, stopper.Accepted, "Deployment/llama-0"},
		{"lws/llama-0", group, stopper.Accepted, "LeaderWorkerSet/llama-0"},
		{"leaderworkersets.leaderworkerset.x-k8s.io/llama-0", group, stopper.Accepted, "LeaderWorkerSet/llama-0"},
		{"deployment.other.org/llama-0", chain, stopper.Invalid, "does not own our pod"},
		{"deployment/other", chain, stopper.Invalid, "does not own our pod " + podName + "; what owns it: ReplicaSet/llama-1, Deployment/llama-0"},
		{"statefulset/llama-0", chain, stopper.Invalid, "does not own our pod"},
		{"pod/" + podName, chain, stopper.Invalid, "does not own our pod " + podName + "; what owns it: ReplicaSet/llama-1, Deployment/llama-0"},
		{"deployment/mentioned-only", chain, stopper.Invalid, "does not own our pod"},
		{"deployment/llama", owned(-1), stopper.Invalid, "nothing owns it"},
		{"job/llama-0", owned(-1, kubetest.Job), stopper.Invalid, "ends when its containers end"},
	} {
		t.Run(row.target, func(t *testing.T) {
			b := newBench(t, scene{build: row.build, config: func(cfg *kubernetes.Config) { cfg.Target = row.target }})
			other := b.server.Add(kubetest.Object{Kind: kubetest.Deployment, Name: "other", Replicas: 1, Status: 1})
			expect(t, b.stop(t), row.kind, row.words)
			if b.server.Replicas(other) != 1 {
				t.Error("another Deployment was stopped")
			}
			if (b.changes() > 0) != (row.kind == stopper.Accepted) {
				t.Errorf("%d changes", b.changes())
			}
		})
	}
}

// An owner of the same name that is another object is none of ours.
func TestOwnerIsCheckedByUID(t *testing.T) {
	for _, name := range []string{"pod", "replicaset", "deployment", "scale"} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, scene{})
			anew := func(o *kubetest.Object) func() {
				return func() { b.server.Change(o, func(o *kubetest.Object) { o.UID = "uid-anew" }) }
			}
			switch name {
			case "pod":
				anew(b.pod)()
			case "replicaset":
				b.server.Before("GET", "/replicasets/", anew(b.pod.Owner))
			case "deployment":
				b.server.Before("GET", "/deployments/", anew(b.owner))
			case "scale":
				b.server.Before("GET", "/scale", anew(b.owner))
			}
			expect(t, b.stop(t), stopper.Invalid, "uid-anew")
			if b.changes() != 0 {
				t.Error("an object that does not own our pod was scaled")
			}
		})
	}
}

// The reference names a version that the cluster has retired.
func TestOwnerOfARetiredVersion(t *testing.T) {
	b := newBench(t, scene{build: func(s *kubetest.Server) (*kubetest.Object, *kubetest.Object) {
		s.AddKind(rollout)
		top := s.Add(kubetest.Object{Kind: rollout, Name: "llama", Replicas: 1, Status: 1})
		rs := s.Add(kubetest.Object{Kind: kubetest.ReplicaSet, Name: "llama-1", Owner: top, OwnerVersion: "argoproj.io/v1alpha0", Replicas: 1, Status: 1})
		return rs, top
	}})
	expect(t, b.stop(t), stopper.Accepted, "Rollout/llama")
}

// The definition of what owned the Deployment is gone; the Deployment still is there.
func TestOwnerOfAKindThatIsGone(t *testing.T) {
	b := newBench(t, scene{build: owned(1, service, kubetest.Deployment, kubetest.ReplicaSet)})
	b.server.RemoveKind(service)
	expect(t, b.stop(t), stopper.Accepted, "Deployment/llama-1")
}

func TestOwnersThatGoInACircle(t *testing.T) {
	b := newBench(t, scene{build: func(s *kubetest.Server) (*kubetest.Object, *kubetest.Object) {
		one := s.Add(kubetest.Object{Kind: kubetest.ReplicaSet, Name: "one", Replicas: 1, Status: 1})
		two := s.Add(kubetest.Object{Kind: kubetest.ReplicaSet, Name: "two", Owner: one, Replicas: 1, Status: 1})
		s.Change(one, func(o *kubetest.Object) { o.Owner = two })
		return two, one
	}})
	expect(t, b.stop(t), stopper.Invalid, "more than 8 owners")
	if n := len(b.server.Requests()); n > 12 {
		t.Errorf("%d requests", n)
	}
}

// Each missing right is named in the form of a Role, with nothing scaled.
func TestMissingRightsAreNamed(t *testing.T) {
	for _, row := range []struct {
		deny  kubetest.Rule
		words string
	}{
		{kubetest.Rule{Verb: "get", Resource: "pods"}, `get pods ` + podName + `: the service account may not; its Role needs apiGroups: [""], resources: ["pods"], verbs: ["get"]`},
		{kubetest.Rule{Verb: "get", Group: "apps", Resource: "replicasets"}, `apiGroups: ["apps"], resources: ["replicasets"], verbs: ["get"]`},
		{kubetest.Rule{Verb: "get", Group: "apps", Resource: "deployments"}, `apiGroups: ["apps"], resources: ["deployments"], resourceNames: ["llama"], verbs: ["get"]`},
		{kubetest.Rule{Verb: "get", Group: "apps", Resource: "deployments/scale"}, `apiGroups: ["apps"], resources: ["deployments/scale"], resourceNames: ["llama"], verbs: ["get"]`},
		{kubetest.Rule{Verb: "update", Group: "apps", Resource: "deployments/scale"}, `apiGroups: ["apps"], resources: ["deployments/scale"], resourceNames: ["llama"], verbs: ["update"]`},
	} {
		t.Run(row.deny.Verb+" "+row.deny.Resource, func(t *testing.T) {
			b := newBench(t, scene{})
			b.server.Deny(row.deny)
			a := b.stop(t)
			expect(t, a, stopper.Denied, row.words)
			if a.Status != 403 || b.server.Replicas(b.owner) != 1 {
				t.Errorf("%s; %d replicas", a, b.server.Replicas(b.owner))
			}
		})
	}
}

// With the target named, its own object need not be read: the rights on its scale are enough.
func TestNamedTargetNeedsOnlyItsScale(t *testing.T) {
	b := newBench(t, scene{config: func(cfg *kubernetes.Config) { cfg.Target = "deployment/llama" }})
	b.server.Allow(
		kubetest.Rule{Verb: "get", Resource: "pods"},
		kubetest.Rule{Verb: "get", Group: "apps", Resource: "replicasets"},
		kubetest.Rule{Verb: "get", Group: "apps", Resource: "deployments/scale", Name: "llama"},
		kubetest.Rule{Verb: "update", Group: "apps", Resource: "deployments/scale", Name: "llama"},
	)
	expect(t, b.stop(t), stopper.Accepted)
}

// The owner of a kind that we may not ask about could be the one to scale.
func TestOwnerOfAKindThatMayNotBeLookedUp(t *testing.T) {
	b := newBench(t, scene{build: owned(0, rollout, kubetest.ReplicaSet)})
	b.server.Deny(kubetest.Rule{Verb: "get", Resource: "argoproj.io/v1alpha1"})
	a := b.stop(t)
	expect(t, a, stopper.Denied, "system:discovery")
	if strings.Contains(a.Detail, "Role needs") || b.changes() != 0 {
		t.Errorf("%s; %d changes", a, b.changes())
	}
}

// The objects of others above the Deployment are often hidden from an account; that is no hindrance.
func TestHiddenOwnerWithoutScale(t *testing.T) {
	b := newBench(t, scene{build: owned(1, service, kubetest.Deployment, kubetest.ReplicaSet)})
	b.server.Deny(kubetest.Rule{Verb: "get", Group: service.Group, Resource: service.Plural})
	expect(t, b.stop(t), stopper.Accepted, "Deployment/llama-1")
}

// A target that lies above what we may read is not said to be a stranger.
func TestTargetBehindAHiddenOwner(t *testing.T) {
	b := newBench(t, scene{config: func(cfg *kubernetes.Config) { cfg.Target = "deployment/llama" }})
	b.server.Deny(kubetest.Rule{Verb: "get", Group: "apps", Resource: "replicasets"})
	expect(t, b.stop(t), stopper.Denied, `resources: ["replicasets"]`)
}
