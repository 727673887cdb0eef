package kubernetes_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/kubernetes"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/kubernetes/kubetest"
)

func TestStopScalesTheOwnerToZero(t *testing.T) {
	b := newBench(t, scene{config: func(cfg *kubernetes.Config) {
		cfg.Why = func() string { return "threshold_reached: idle for 612 s, Bearer abcdefghijklmnopqrstuvwxyz" }
	}})
	ladder := stopper.NewLadder(nil, stopper.Flight{Target: b.Target(), Rungs: b.Rungs(), Each: 20 * time.Second})
	report := ladder.Stop(t.Context())
	if report.Phase != watchdog.StopAccepted || report.Target != "kubernetes" || report.Rung != "scale" || !strings.Contains(report.Detail, "Deployment/llama from 1 replica to 0") {
		t.Errorf("report %+v", report)
	}
	if got := b.server.Replicas(b.owner); got != 0 {
		t.Errorf("%d replicas", got)
	}

	var change map[string]any
	for _, r := range b.server.Requests() {
		if r.Method != "PUT" {
			continue
		}
		query, _ := url.ParseQuery(r.Query)
		if r.Path != "/apis/apps/v1/namespaces/prod/deployments/llama/scale" || query.Get("fieldManager") != "gpu-watchdog" || query.Has("dryRun") {
			t.Errorf("PUT %s?%s", r.Path, r.Query)
		}
		if err := json.Unmarshal(r.Body, &change); err != nil {
			t.Fatal(err)
		}
	}
	meta, _ := change["metadata"].(map[string]any)
	spec, _ := change["spec"].(map[string]any)
	if meta["uid"] != b.owner.UID || meta["resourceVersion"] == "" || meta["resourceVersion"] == nil || spec["replicas"] != float64(0) {
		t.Errorf("sent %v: a change without its conditions would overwrite whoever scales at the same time", change)
	}

	events := b.server.Events()
	if len(events) != 1 {
		t.Fatalf("%d Events", len(events))
	}
	regarding, _ := events[0]["regarding"].(map[string]any)
	related, _ := events[0]["related"].(map[string]any)
	if regarding["kind"] != "Deployment" || regarding["name"] != "llama" || regarding["uid"] != b.owner.UID || regarding["apiVersion"] != "apps/v1" || related["name"] != podName || related["apiVersion"] != "v1" {
		t.Errorf("Event about %v, related %v", regarding, related)
	}
	note, _ := events[0]["note"].(string)
	if !strings.Contains(note, "idle for 612 s") || strings.Contains(note, "abcdefghijklmnop") {
		t.Errorf("note %q", note)
	}
}

func TestStopOnlyFromExactlyOneReplica(t *testing.T) {
	for _, row := range []struct {
		name             string
		replicas, status int
		kind             stopper.Kind
		words            string
	}{
		{"one", 1, 1, stopper.Accepted, "from 1 replica to 0"},
		{"three", 3, 3, stopper.Invalid, "has 3 replicas"},
		{"three wanted, one there yet", 3, 1, stopper.Invalid, "has 3 replicas"},
		{"one wanted, three there still", 1, 3, stopper.Invalid, "wants 1 replica and has 3"},
		{"rollout", 1, 2, stopper.Invalid, "wants 1 replica and has 2"},
		{"controller is late", 1, 0, stopper.Invalid, "wants 1 replica and has 0"},
		{"zero", 0, 1, stopper.AlreadyStopped, "scaled to 0 already, set by kubectl-client-side-apply (a person or script)"},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBench(t, scene{})
			b.server.Change(b.owner, func(o *kubetest.Object) { o.Replicas, o.Status = row.replicas, row.status })
			expect(t, b.stop(t), row.kind, row.words)
			if want := map[bool]int{true: 1}[row.kind == stopper.Accepted]; b.changes() != want || len(b.server.Events()) != want {
				t.Errorf("%d changes and %d Events, want %d of each", b.changes(), len(b.server.Events()), want)
			}
			if row.kind != stopper.Accepted && b.server.Replicas(b.owner) != row.replicas {
				t.Errorf("%d replicas became %d", row.replicas, b.server.Replicas(b.owner))
			}
		})
	}
}

// Somebody acts between our look at the scale and our change of it.
func TestStopHoldsWhereSomebodyIsFaster(t *testing.T) {
	for _, row := range []struct {
		name  string
		do    func(b *bench)
		kind  stopper.Kind
		words []string
		left  int
	}{
		{"scaled up", func(b *bench) { b.server.ScaleBy(b.owner, "kubectl", 3, time.Now()) }, stopper.Invalid, []string{"somebody scaled at the same time, so we hold", "3 replicas, set by kubectl (a person or script)"}, 3},
		{"scaled up, and back", func(b *bench) {
			b.server.ScaleBy(b.owner, "kubectl", 3, time.Now())
			b.server.ScaleBy(b.owner, "kubectl", 1, time.Now())
		}, stopper.Invalid, []string{"changed while it was looked at", "so we hold"}, 1},
		{"a new pod is there", func(b *bench) { b.server.Change(b.owner, func(o *kubetest.Object) { o.Status = 2 }) }, stopper.Invalid, []string{"so we hold", "wants 1 replica and has 2"}, 1},
		{"some status changed", func(b *bench) { b.server.Change(b.owner, func(*kubetest.Object) {}) }, stopper.Invalid, []string{"changed while it was looked at"}, 1},
		{"scaled to 0", func(b *bench) { b.server.ScaleBy(b.owner, "keda-operator", 0, time.Now()) }, stopper.AlreadyStopped, []string{"scaled to 0 already"}, 0},
		{"made anew", func(b *bench) { b.server.Change(b.owner, func(o *kubetest.Object) { o.UID = "uid-another" }) }, stopper.Invalid, []string{"made anew"}, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBench(t, scene{})
			b.server.Before("PUT", "/scale", func() { row.do(b) })
			a := b.stop(t)
			expect(t, a, row.kind, row.words...)
			if a.Status != 409 {
				t.Errorf("status %d, want 409", a.Status)
			}
			if got := b.server.Replicas(b.owner); got != row.left {
				t.Errorf("%d replicas, want %d", got, row.left)
			}
			if b.changes() != 1 || len(b.server.Events()) != 0 {
				t.Errorf("%d changes asked for and %d Events: a conflict is not asked again within the same attempt", b.changes(), len(b.server.Events()))
			}
		})
	}
}

// Of a number of replicas that is newer than the record of who set it, nobody is said to have set it.
func TestNobodyIsNamedByARecordOfAnotherVersion(t *testing.T) {
	b := newBench(t, scene{})
	b.server.Before("GET", "/scale", func() { b.server.ScaleBy(b.owner, "argocd-controller", 3, time.Now()) })
	a := b.stop(t)
	expect(t, a, stopper.Invalid, "has 3 replicas,")
	if strings.Contains(a.Detail, "set by") {
		t.Errorf("blamed by an older record: %s", a.Detail)
	}
	expect(t, b.stop(t), stopper.Invalid, "has 3 replicas, set by argocd-controller (Argo CD),")
}

// After a conflict without meaning the next attempt succeeds: an idle pod is not forgotten.
func TestStopAfterConflictReadsAgain(t *testing.T) {
	b := newBench(t, scene{})
	b.server.Before("PUT", "/scale", func() { b.server.Change(b.owner, func(*kubetest.Object) {}) })
	expect(t, b.stop(t), stopper.Invalid)
	expect(t, b.stop(t), stopper.Accepted)
}

// A scale-up before each of our requests: from three replicas nothing is ever ended.
func TestStopAgainstScaleUpAtEachStep(t *testing.T) {
	for _, row := range []struct {
		method, path string
		kind         stopper.Kind
	}{
		{"GET", "/pods/", stopper.Invalid},
		{"GET", "/replicasets/", stopper.Invalid},
		{"GET", "/deployments/llama", stopper.Invalid},
		{"GET", "/scale", stopper.Invalid},
		{"PUT", "/scale", stopper.Invalid},
		{"POST", "/events", stopper.Accepted}, // scaled up after the stop: that is a wish for new pods
	} {
		t.Run(row.method+row.path, func(t *testing.T) {
			b := newBench(t, scene{})
			b.server.Before(row.method, row.path, func() { b.server.ScaleBy(b.owner, "kubectl", 3, time.Now()) })
			expect(t, b.stop(t), row.kind)
			if got := b.server.Replicas(b.owner); got != 3 {
				t.Errorf("%d replicas: three were ended", got)
			}
		})
	}
}

func TestStopLeavesAPodAloneThatIsBeingDeleted(t *testing.T) {
	b := newBench(t, scene{})
	b.server.Change(b.pod, func(o *kubetest.Object) { o.Deleting = true })
	expect(t, b.stop(t), stopper.Invalid, "being deleted already")
	if b.changes() != 0 {
		t.Error("the successor of a pod that was drained off its node was stopped")
	}
}

func TestStopRefusedByAnAdmissionRule(t *testing.T) {
	refuses := scene{options: kubetest.Options{Admit: func(_, to int) string {
		if to == 0 {
			return "not in the working hours"
		}
		return ""
	}}}
	b := newBench(t, refuses)
	a := b.stop(t)
	expect(t, a, stopper.Invalid, "refused by an admission rule", "not in the working hours")
	if a.Status != 422 || b.server.Replicas(b.owner) != 1 {
		t.Errorf("%s; %d replicas", a, b.server.Replicas(b.owner))
	}
	rehearsed := b.Rehearse(t.Context())
	expect(t, rehearsed, stopper.Invalid, "not in the working hours")
}

func TestStopNoticesThatItsChangeWasChanged(t *testing.T) {
	b := newBench(t, scene{options: kubetest.Options{Mutate: func(int) int { return 1 }}})
	expect(t, b.stop(t), stopper.Invalid, "was to have 0 replicas and got 1")
}

func TestRehearseChangesNothing(t *testing.T) {
	b := newBench(t, scene{})
	a := b.Rehearse(t.Context())
	b.checkShown(t, a.Detail)
	expect(t, a, stopper.Accepted, "dry run", "nothing was changed")
	if b.server.Replicas(b.owner) != 1 || b.changes() != 0 || len(b.server.Events()) != 0 {
		t.Errorf("%d replicas, %d changes, %d Events after a rehearsal", b.server.Replicas(b.owner), b.changes(), len(b.server.Events()))
	}
	b.server.Deny(kubetest.Rule{Verb: "update", Group: "apps", Resource: "deployments/scale"})
	expect(t, b.Rehearse(t.Context()), stopper.Denied, `verbs: ["update"]`)
}

// An Event is a courtesy. Its lack is said once.
func TestStopWithoutTheRightToWriteEvents(t *testing.T) {
	b := newBench(t, scene{})
	b.server.Deny(kubetest.Rule{Verb: "create", Group: "events.k8s.io", Resource: "events"})
	expect(t, b.stop(t), stopper.Accepted, "no Event on it", `resources: ["events"]`, `verbs: ["create"]`)
	b.server.Change(b.owner, func(o *kubetest.Object) { o.Replicas = 1 })
	again := b.stop(t)
	expect(t, again, stopper.Accepted)
	if strings.Contains(again.Detail, "Event") {
		t.Errorf("said twice: %s", again.Detail)
	}
}

func TestStopDoesNotWaitForAnEvent(t *testing.T) {
	t.Parallel()
	b := newBench(t, scene{config: func(cfg *kubernetes.Config) { cfg.Timeout = time.Minute }})
	b.server.Script(kubetest.Fault{Method: "POST", Path: "/events", Hang: true})
	began := time.Now()
	expect(t, b.stop(t), stopper.Accepted, "no Event on it")
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("the stop was reported after %s", took)
	}
}
