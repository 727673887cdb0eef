package kubernetes_test

import (
	"context"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/kubernetes"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/kubernetes/kubetest"
)

const (
	namespace = "prod"
	podName   = "llama-6f9c-x2x4z"
	podUID    = "8f1c2d3e-pod"
	// planted stands in every object where nobody has to read it.
	planted = "hunter2"
)

// bench is a client, the API server that it speaks with, and a check of what goes between them.
type bench struct {
	*kubernetes.Client
	server *kubetest.Server
	cfg    kubernetes.Config
	pod    *kubetest.Object
	// owner is what a stop is to scale.
	owner *kubetest.Object
}

// scene says what is in the cluster. The zero scene is a Deployment with one replica that owns our pod by a ReplicaSet.
type scene struct {
	options kubetest.Options
	// build adds the owners of our pod and returns the one that controls it and the one to scale; nil for a Deployment.
	build  func(s *kubetest.Server) (controller, owner *kubetest.Object)
	config func(cfg *kubernetes.Config)
}

// deployment is the usual chain.
func deployment(s *kubetest.Server) (controller, owner *kubetest.Object) {
	d := s.Add(kubetest.Object{Kind: kubetest.Deployment, Name: "llama", Replicas: 1, Status: 1, Secret: planted, Managed: []kubetest.Managed{
		{Manager: "kubectl-client-side-apply", Operation: "Update", Time: time.Date(2026, 11, 1, 8, 0, 0, 0, time.UTC)},
		{Manager: "kube-controller-manager", Operation: "Update", Subresource: "status", Time: time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC), Fields: `{"f:status":{"f:replicas":{}}}`},
	}})
	rs := s.Add(kubetest.Object{Kind: kubetest.ReplicaSet, Name: "llama-6f9c", Owner: d, Replicas: 1, Status: 1, Secret: planted})
	return rs, d
}

func newBench(t *testing.T, sc scene) *bench {
	t.Helper()
	opts := sc.options
	opts.Dir, opts.Namespace, opts.PodName, opts.PodUID = t.TempDir(), namespace, podName, podUID
	server, err := kubetest.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	if sc.build == nil {
		sc.build = deployment
	}
	b := &bench{server: server}
	controller, owner := sc.build(server)
	b.owner = owner
	b.pod = server.Add(kubetest.Object{Kind: kubetest.Pod, Name: podName, UID: podUID, Owner: controller, Secret: planted})
	b.cfg = kubernetes.Config{Host: server.Host(), Port: server.Port(), Dir: opts.Dir, UserAgent: "gpu-watchdog/test", Timeout: 5 * time.Second}
	if sc.config != nil {
		sc.config(&b.cfg)
	}
	b.Client, err = kubernetes.New(b.cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, r := range server.Requests() {
			if r.Method == "GET" && strings.Contains(r.Path, "/pods/") && !strings.Contains(r.Accept, "as=PartialObjectMetadata") {
				t.Errorf("the whole pod was asked for, with its environment: %s %s", r.Path, r.Accept)
			}
			if r.UserAgent != "gpu-watchdog/test" {
				t.Errorf("%s %s by the user agent %q", r.Method, r.Path, r.UserAgent)
			}
		}
	})
	return b
}

// stop asks for the stop and gives up on it after 20 s.
func (b *bench) stop(t *testing.T) stopper.Answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	rungs := b.Rungs()
	if len(rungs) != 1 || rungs[0].Name() != "scale" {
		t.Fatalf("rungs %v", rungs)
	}
	answer := rungs[0].Stop(ctx)
	b.checkShown(t, answer.Detail)
	return answer
}

// checkShown holds a text that people see to what is promised of it.
func (b *bench) checkShown(t *testing.T, text string) {
	t.Helper()
	switch {
	case text == "":
		t.Error("nothing is said")
	case len(text) > stopper.MaxDetail:
		t.Errorf("%d bytes: %q", len(text), text)
	case strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }):
		t.Errorf("not printable: %q", text)
	case strings.Contains(text, planted), strings.Contains(text, b.server.Token()), strings.Contains(text, "eyJ"):
		t.Errorf("a secret is shown: %q", text)
	}
}

// changes counts the requests that change a scale in earnest.
func (b *bench) changes() int {
	n := 0
	for _, r := range b.server.Requests() {
		if r.Method == "PUT" && !strings.Contains(r.Query, "dryRun=All") {
			n++
		}
	}
	return n
}

// expect holds an answer to its kind and to words that must be in it.
func expect(t *testing.T, a stopper.Answer, kind stopper.Kind, words ...string) {
	t.Helper()
	if a.Kind != kind {
		t.Errorf("got %s, want %s: %s", a.Kind, kind, a.Detail)
	}
	for _, w := range words {
		if !strings.Contains(a.Detail, w) {
			t.Errorf("%q lacks %q", a.Detail, w)
		}
	}
}
