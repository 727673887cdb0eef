package main

import (
	"context"
	"testing"

	"github.com/gpu-watchdog/gpu-watchdog/internal/config"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/loop"
)

func saying(kind string, pod watchdog.Pod, right loop.Permission, detail string) means {
	return means{target: loop.Target{Kind: kind}, describe: func(context.Context) (watchdog.Pod, loop.Permission, string) { return pod, right, detail }}
}

// One way that refuses beforehand leaves the others: only where none is left is the pod held for it.
func TestARefusalBeforehandIsThatOfAllWays(t *testing.T) {
	noRole := saying(config.StopKubernetes, watchdog.Pod{Refused: "no Role"}, loop.PermissionRefused, "no Role")
	lossy := saying(config.StopRunpod, watchdog.Pod{Refused: "loses a disk", PriceUSDPerHour: watchdog.Known(2.0)}, loop.PermissionRefused, "loses a disk")
	hook := means{target: loop.Target{Kind: config.StopWebhook}}
	bad := means{target: loop.Target{Kind: config.StopCommand}, unusable: "no such program"}
	locked := saying(config.StopRunpod, watchdog.Pod{Locked: watchdog.Known(true)}, loop.PermissionRefused, "")
	for name, c := range map[string]struct {
		means   []means
		refused string
		right   loop.Permission
	}{
		"alone":                       {[]means{noRole}, "no Role", loop.PermissionRefused},
		"with one that does not tell": {[]means{noRole, hook}, "", loop.PermissionUnproven},
		"before it":                   {[]means{hook, noRole}, "", loop.PermissionUnproven},
		"with one that is unusable":   {[]means{noRole, bad}, "no Role", loop.PermissionRefused},
		"both":                        {[]means{noRole, lossy}, "no Role; loses a disk", loop.PermissionRefused},
	} {
		pod, right, _ := aim{means: c.means}.Describe(t.Context())
		if pod.Refused != c.refused || right != c.right {
			t.Errorf("%s: refused %q and %s, want %q and %s", name, pod.Refused, right, c.refused, c.right)
		}
	}
	// The owner's lock on the pod holds whatever way there is.
	if pod, _, _ := (aim{means: []means{hook, locked}}).Describe(t.Context()); !pod.Locked.Or(false) {
		t.Error("a lock is overlooked beside a way that does not tell of it")
	}
	if pod, _, _ := (aim{means: []means{noRole, lossy}}).Describe(t.Context()); pod.PriceUSDPerHour != watchdog.Known(2.0) {
		t.Error("the price is not taken from the one that tells it")
	}
}
