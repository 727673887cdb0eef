package kubernetes_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/kubernetes"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/kubernetes/kubetest"
)

func TestNewNamesEveryMistakeAtOnce(t *testing.T) {
	_, err := kubernetes.New(kubernetes.Config{Host: "a b", Port: "70000", Dir: filepath.Join(t.TempDir(), "nothing"), Target: "llama"})
	if err == nil {
		t.Fatal("a configuration without anything in it is taken")
	}
	for _, words := range []string{"KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "WATCHDOG_KUBERNETES_TARGET", "automountServiceAccountToken", "ca.crt"} {
		if !strings.Contains(err.Error(), words) {
			t.Errorf("%q lacks %q", err, words)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than one line: %q", err)
	}
}

func TestNew(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(cfg *kubernetes.Config)
		words  string
	}{
		{"right", func(*kubernetes.Config) {}, ""},
		{"not a pod", func(cfg *kubernetes.Config) { cfg.Host = "" }, "KUBERNETES_SERVICE_HOST is empty"},
		{"host with a path", func(cfg *kubernetes.Config) { cfg.Host = "10.0.0.1/x" }, "neither an address nor a host name"},
		{"host with a user", func(cfg *kubernetes.Config) { cfg.Host = "a@10.0.0.1" }, "neither an address nor a host name"},
		{"host with a port", func(cfg *kubernetes.Config) { cfg.Host = "10.0.0.1:443" }, "neither an address nor a host name"},
		{"IPv6", func(cfg *kubernetes.Config) { cfg.Host = "fd00::1" }, ""},
		{"IPv6 in brackets", func(cfg *kubernetes.Config) { cfg.Host = "[fd00::1]" }, ""},
		{"a name", func(cfg *kubernetes.Config) { cfg.Host = "kubernetes.default.svc" }, ""},
		{"no port", func(cfg *kubernetes.Config) { cfg.Port = "" }, ""},
		{"port as a word", func(cfg *kubernetes.Config) { cfg.Port = "https" }, "no port"},
		{"port 0", func(cfg *kubernetes.Config) { cfg.Port = "0" }, "no port"},
		{"target without a kind", func(cfg *kubernetes.Config) { cfg.Target = "llama" }, "kind/name, as in deployment/llama"},
		{"target without a name", func(cfg *kubernetes.Config) { cfg.Target = "deployment/" }, "kind/name"},
		{"target with a namespace", func(cfg *kubernetes.Config) { cfg.Target = "prod/deployment/llama" }, "kind/name"},
		{"target by a path", func(cfg *kubernetes.Config) { cfg.Target = "deployment/.." }, "kind/name"},
		{"target with a query", func(cfg *kubernetes.Config) { cfg.Target = "deployment/llama?x=1" }, "kind/name"},
		{"another namespace than the token's", func(cfg *kubernetes.Config) { cfg.Namespace = "dev" }, `POD_NAMESPACE is "dev", but the service account's token was issued to "prod"`},
		{"another pod than the token's", func(cfg *kubernetes.Config) { cfg.PodName = "other" }, "POD_NAME"},
		{"another uid than the token's", func(cfg *kubernetes.Config) { cfg.PodUID = "other" }, "POD_UID"},
		{"the same as the token's", func(cfg *kubernetes.Config) {
			cfg.Namespace, cfg.PodName, cfg.PodUID = namespace, podName, podUID
		}, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBench(t, scene{})
			row.change(&b.cfg)
			_, err := kubernetes.New(b.cfg)
			if row.words == "" && err != nil || row.words != "" && (err == nil || !strings.Contains(err.Error(), row.words)) {
				t.Errorf("error %v, want %q", err, row.words)
			}
		})
	}
}

// A token that does not say whom it was issued to, as clusters gave them once and some still do.
func TestIdentityByTheEnvironment(t *testing.T) {
	b := newBench(t, scene{})
	for _, token := range []string{"opaque", kubetest.Token(namespace, "", "", 1), "a.b.c", "eyJhbGciOiJSUzI1NiJ9.!!!.x"} {
		must(t, os.WriteFile(filepath.Join(b.cfg.Dir, "token"), []byte(token), 0o600))
		if _, err := kubernetes.New(b.cfg); err == nil || !strings.Contains(err.Error(), "cannot tell which pod this is") {
			t.Errorf("token %q: error %v", token, err)
		}
		cfg := b.cfg
		cfg.PodName = podName
		if _, err := kubernetes.New(cfg); err == nil || !strings.Contains(err.Error(), "POD_UID is empty") {
			t.Errorf("a name without its uid: error %v", err)
		}
		cfg.PodUID = podUID
		client, err := kubernetes.New(cfg)
		if err != nil {
			t.Errorf("token %q: %v", token, err)
			continue
		}
		if got := client.Target(); got != (stopper.Target{Kind: "kubernetes", ID: "prod/pod/" + podName, Action: "stop"}) {
			t.Errorf("target %+v", got)
		}
		cfg.PodName = "../../secrets/x"
		if _, err := kubernetes.New(cfg); err == nil || !strings.Contains(err.Error(), "not of the form") {
			t.Errorf("a path for a name: error %v", err)
		}
	}
}

func TestTargetNamesWhatWasAskedFor(t *testing.T) {
	b := newBench(t, scene{config: func(cfg *kubernetes.Config) { cfg.Target = "Deploy/llama" }})
	if got := b.Target().ID; got != "prod/deployment/llama" {
		t.Errorf("id %q", got)
	}
}

// No way of printing shows the token.
func TestPrintedWithoutSecrets(t *testing.T) {
	b := newBench(t, scene{})
	b.stop(t)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		for _, v := range []any{b.Client, b.cfg, b.Rungs(), b.Target()} {
			if text := fmt.Sprintf(verb, v); strings.Contains(text, b.server.Token()) {
				t.Errorf("%s of %T shows the token", verb, v)
			}
		}
	}
}

// The server repeats in its words what was sent to it.
func TestErrorsWithoutSecrets(t *testing.T) {
	b := newBench(t, scene{})
	old := b.server.Token()
	must(t, b.server.RotateToken())
	for _, body := range []string{
		says(403, "Forbidden", "bad token "+b.server.Token()+" and "+old),
		"Authorization: Bearer " + b.server.Token(),
		says(500, "InternalError", strings.Repeat("x", 280)+old),
	} {
		for _, step := range []string{"/pods/", "/scale"} {
			b.server.Script(kubetest.Fault{Method: "GET", Path: step, Status: 403, Body: body, Once: true})
			a := b.stop(t) // holds every text to the promise
			if strings.Contains(a.Detail, old) {
				t.Errorf("the token of before is shown: %q", a.Detail)
			}
		}
	}
}
