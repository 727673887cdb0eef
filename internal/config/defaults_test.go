package config

import (
	"strings"
	"testing"
)

func TestDefaultName(t *testing.T) {
	long := strings.Repeat("a", 300)
	for _, c := range []struct {
		name string
		opts Options
		want string
	}{
		{"pod id first", Options{RunpodPodID: "abc123", KubernetesNamespace: "ns", KubernetesOwner: "o", Hostname: "h"}, "abc123"},
		{"owner next", Options{KubernetesNamespace: "prod", KubernetesOwner: "llama", Hostname: "h"}, "prod-llama"},
		{"the pod of a Deployment", Options{KubernetesNamespace: "prod", KubernetesPod: "llama-70b-66b6c48dd5-7w75g", Hostname: "h"}, "prod-llama-70b"},
		{"the owner that is known", Options{KubernetesNamespace: "prod", KubernetesOwner: "o", KubernetesPod: "llama-66b6c48dd5-7w75g"}, "prod-o"},
		{"the pod of a StatefulSet", Options{KubernetesNamespace: "prod", KubernetesPod: "llama-0", Hostname: "h"}, "prod-llama-0"},
		{"a pod without a namespace", Options{KubernetesPod: "llama-66b6c48dd5-7w75g", Hostname: "h"}, "h"},
		{"half an owner is none", Options{KubernetesNamespace: "prod", Hostname: "h"}, "h"},
		{"host name last", Options{Hostname: "h"}, "h"},
		{"never a path", Options{RunpodPodID: "../../etc", Hostname: "h"}, "..-..-etc"},
		{"nothing readable is skipped", Options{RunpodPodID: "..", Hostname: "h"}, "h"},
		{"letters beyond ASCII", Options{Hostname: "hôst name"}, "h-st-name"},
		{"cut, and told apart by its hash", Options{Hostname: long}, strings.Repeat("a", 119) + "-9835fa6b"},
	} {
		got := load(t, nil, c.opts).Name
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if text := nameFlaw(got); text != "" {
			t.Errorf("%s: %q is not even valid: %s", c.name, got, text)
		}
	}
	if a, b := load(t, nil, Options{Hostname: long}).Name, load(t, nil, Options{Hostname: long + "b"}).Name; a == b {
		t.Error("two long names became one")
	}
	found := refused(t, nil, Options{Hostname: "/"})
	if len(found) != 1 || found[0].Variable != "WATCHDOG_NAME" || !strings.Contains(found[0].Text, "set it") {
		t.Errorf("no name at all gave %v", found)
	}
	load(t, []string{"WATCHDOG_NAME=given"}, Options{})
}

func TestDefaultsOfTheMachine(t *testing.T) {
	on := func(mounts ...string) Options {
		o := options()
		o.IsMounted = func(path string) bool {
			for _, m := range mounts {
				if m == path {
					return true
				}
			}
			return false
		}
		return o
	}
	const local, temp = "/var/lib/gpu-watchdog/start-id", "/tmp/gpu-watchdog/start-id"
	for _, c := range []struct {
		name string
		opts Options
		env  []string
		dir  string
		file string
	}{
		{"no volume", on(), nil, "/var/lib/gpu-watchdog", local},
		{"the root is always a mount", on("/"), nil, "/var/lib/gpu-watchdog", local},
		{"RunPod's volume", on("/workspace"), nil, "/workspace/.gpu-watchdog", local},
		{"the default folder is a volume", on("/var/lib/gpu-watchdog"), nil, "/var/lib/gpu-watchdog", temp},
		{"a folder above it is a volume", on("/var/lib"), nil, "/var/lib/gpu-watchdog", temp},
		{"chosen", on(), []string{"WATCHDOG_START_ID_FILE=/x/id", "WATCHDOG_DIR=/d"}, "/d", "/x/id"},
	} {
		cfg := load(t, c.env, c.opts)
		if cfg.Dir != c.dir {
			t.Errorf("%s: folder %q, want %q", c.name, cfg.Dir, c.dir)
		}
		if cfg.StartIDFile != c.file {
			t.Errorf("%s: file %q, want %q", c.name, cfg.StartIDFile, c.file)
		}
	}
	found := refused(t, []string{"WATCHDOG_START_ID_FILE=/workspace/../workspace/id"}, on("/workspace"))
	if len(found) != 1 || !strings.Contains(found[0].Text, "outlives a stop") {
		t.Errorf("a start id on RunPod's volume gave %v", found)
	}
	terminal := options()
	terminal.OnTerminal = true
	if got := load(t, nil, terminal).LogFormat; got != LogConsole {
		t.Errorf("on a terminal the format is %q", got)
	}
	if got := load(t, []string{"WATCHDOG_LOG_FORMAT=json"}, terminal).LogFormat; got != LogJSON {
		t.Errorf("chosen on a terminal the format is %q", got)
	}
}
