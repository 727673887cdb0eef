package main

import (
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/term"

	"github.com/gpu-watchdog/gpu-watchdog/collector/host"
	"github.com/gpu-watchdog/gpu-watchdog/internal/config"
)

// settings reads the configuration of this process and what its environment says of the pod.
func settings() (config.Config, host.PodEnv, error) {
	env := host.PodEnvironment(os.Getenv, "")
	cfg, err := settingsOfPod(os.Environ(), env, term.IsTerminal(int(os.Stderr.Fd())))
	if err != nil {
		return cfg, env, wrongUse{err}
	}
	return cfg, env, nil
}

// settingsOfPod reads the configuration out of an environment.
func settingsOfPod(environ []string, env host.PodEnv, onTerminal bool) (config.Config, error) {
	hostname, _ := os.Hostname() // without one, NAME must be set, and Load says so
	return config.Load(environ, config.Options{
		IsMounted:           isMounted,
		OnTerminal:          onTerminal,
		Hostname:            hostname,
		TempDir:             os.TempDir(),
		RunpodPodID:         env.PodID.Value,
		RunpodAPIKey:        env.APIKey.Value,
		KubernetesNamespace: env.PodNamespace.Value,
		KubernetesPod:       env.PodName.Value,
	})
}

// isMounted says that a file system of its own is mounted at this folder.
func isMounted(path string) bool {
	var here, above syscall.Stat_t
	if syscall.Stat(path, &here) != nil || syscall.Stat(filepath.Dir(path), &above) != nil {
		return false
	}
	return here.Dev != above.Dev
}
