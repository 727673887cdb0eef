package config

import (
	"strings"
	"testing"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/kubernetes"
)

// The target is read twice: here, and by whom it is for. What one refuses, the other refuses.
func FuzzKubernetesTarget(f *testing.F) {
	for _, s := range []string{"deployment/llama", "Deployments.apps/a", "deploy./a", "a", "/a", "a/", "a/b/c", "sts/a.b-c:d_e", "1a/b", "a.b.c/d", "a.-/b", strings.Repeat("k", 64) + "/a", "deploy/" + strings.Repeat("n", 254)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if s == "" {
			return // what owns our pod
		}
		_, err := kubernetes.New(kubernetes.Config{Host: "127.0.0.1", Dir: t.TempDir(), Target: s})
		if err == nil {
			t.Fatal("there is no service account, and yet a client")
		}
		theirs := !strings.Contains(err.Error(), "WATCHDOG_KUBERNETES_TARGET")
		v, err := parseKubernetesTarget(s)
		if ours := err == nil; ours != theirs {
			t.Fatalf("%q is accepted: %t here, %t by the stopper", s, ours, theirs)
		}
		if err == nil {
			again, err := parseKubernetesTarget(string(v.(KubernetesTarget)))
			if err != nil || again != v {
				t.Fatalf("%q is written as %q, which reads back as %q, %v", s, v, again, err)
			}
		}
	})
}
