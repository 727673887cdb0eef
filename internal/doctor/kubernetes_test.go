package doctor

import (
	"context"
	"errors"
	"testing"

	"github.com/gpu-watchdog/gpu-watchdog/internal/config"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/kubernetes"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/kubernetes/kubetest"
)

// cluster is a Deployment with one pod, ours, and the target that cmd makes of it.
func cluster(t *testing.T, replicas int, admit func(from, to int) string) (*kubetest.Server, *kubetest.Object, Target) {
	t.Helper()
	dir := t.TempDir()
	s, err := kubetest.New(kubetest.Options{Dir: dir, PodName: "llama-1", PodUID: "uid-1", Admit: admit})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	deployment := s.Add(kubetest.Object{Kind: kubetest.Deployment, Name: "llama", Replicas: replicas, Status: replicas})
	set := s.Add(kubetest.Object{Kind: kubetest.ReplicaSet, Name: "llama-abc", Replicas: replicas, Status: replicas, Owner: deployment})
	s.Add(kubetest.Object{Kind: kubetest.Pod, Name: "llama-1", UID: "uid-1", Owner: set})
	client, err := kubernetes.New(kubernetes.Config{Host: s.Host(), Port: s.Port(), Dir: dir, PodName: "llama-1", PodUID: "uid-1", Namespace: "prod", UserAgent: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return s, deployment, Target{
		Kind: config.StopKubernetes,
		Describe: func(ctx context.Context) (watchdog.Pod, string, string) {
			d, err := client.Describe(ctx)
			if err != nil {
				return watchdog.Pod{}, unproven, err.Error()
			}
			if d.Permission != kubernetes.PermissionRefused {
				return watchdog.Pod{}, string(d.Permission), ""
			}
			return watchdog.Pod{}, string(d.Permission), d.Detail
		},
		Rehearse: func(ctx context.Context) (string, error) {
			if a := client.Rehearse(ctx); !a.Kind.Done() {
				return "", errors.New(a.String())
			}
			return "a dry run is accepted", nil
		},
	}
}

func TestKubernetesIsAskedForADryRunAndLeftAlone(t *testing.T) {
	for name, c := range map[string]struct {
		replicas int
		admit    func(from, to int) string
		deny     []kubetest.Rule
		verdict  Verdict
		outcome  Outcome
		words    string
	}{
		"one replica":       {1, nil, nil, OK, Healthy, "a dry run is accepted"},
		"three replicas":    {3, nil, nil, Failed, WouldRefuse, "3 replicas"},
		"no right to scale": {1, nil, []kubetest.Rule{{Verb: "update", Group: "apps", Resource: "deployments/scale"}}, Failed, WouldRefuse, "deployments/scale"},
		"a policy says no":  {1, func(int, int) string { return "not on Fridays" }, nil, Failed, WouldRefuse, "not on Fridays"},
	} {
		t.Run(name, func(t *testing.T) {
			s, owner, target := cluster(t, c.replicas, c.admit)
			s.Deny(c.deny...)
			e := &examination{Pod: Pod{Targets: []Target{target}, Armed: true, Asked: true}}
			e.ask(t.Context())
			found := weighWays(append(e.target(t.Context(), 0), e.action(t.Context())...))
			holds(t, name, found[0], c.verdict, c.words)
			if r := settle(found, cleaner{}); r.Outcome() != c.outcome {
				t.Errorf("the outcome is %d, want %d: %+v", r.Outcome(), c.outcome, found)
			}
			if s.Replicas(owner) != c.replicas || len(s.Events()) > 0 {
				t.Errorf("there are %d replicas now, and %d events", s.Replicas(owner), len(s.Events()))
			}
		})
	}
}
