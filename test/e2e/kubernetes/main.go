//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/gpu-watchdog/gpu-watchdog/test/e2e/internal/stage"
)

// config is what the script hands over.
type config struct {
	work, project, watchdog, etcd, apiserver, kustomize string
}

func main() {
	stage.Main(func() (func(context.Context) *stage.Report, error) {
		c := config{
			work: os.Getenv("E2E_WORK"), project: os.Getenv("E2E_PROJECT"), watchdog: os.Getenv("E2E_WATCHDOG"),
			etcd: os.Getenv("E2E_ETCD"), apiserver: os.Getenv("E2E_APISERVER"), kustomize: os.Getenv("E2E_KUSTOMIZE"),
		}
		wanted, err := stage.Wanted(flag.NewFlagSet("kubernetes.sh", flag.ContinueOnError), "test/e2e/kubernetes.sh [ACT...]", acts)
		if err == nil && slices.Contains([]string{c.work, c.project, c.watchdog, c.etcd, c.apiserver, c.kustomize}, "") {
			err = errors.New("E2E_WORK, E2E_PROJECT, E2E_WATCHDOG, E2E_ETCD, E2E_APISERVER and E2E_KUSTOMIZE must be set: start test/e2e/kubernetes.sh instead")
		}
		return func(ctx context.Context) *stage.Report { return perform(ctx, c, wanted) }, err
	})
}

var acts = []stage.Act[*play]{
	{Name: "manifests", About: "the API server takes every manifest, and kustomize makes of the component what it should", Run: (*play).manifests},
	{Name: "account", About: "what the shipped account may do: a stop, and nothing else", Run: (*play).account},
	{Name: "policy", About: "the policy alone, with an account that is given every right by mistake", Run: (*play).policy},
	{Name: "held", About: "three replicas, and a scale-up at the moment of the stop", Run: (*play).held},
	{Name: "undone", About: "who undid a stop can be seen with that account", Run: (*play).undone},
	{Name: "idle", About: "the watchdog scales one idle replica to none", Run: (*play).idle},
	{Name: "three", About: "the watchdog leaves three replicas alone", Run: (*play).three},
	{Name: "race", About: "somebody scales up between the watchdog's look and its stop", Run: (*play).race},
	{Name: "orders", About: "people hold the pod, rehearse its stop and let it go, by commands in the watchdog's container", Run: (*play).orders},
	{Name: "reverted", About: "somebody undoes the watchdog's stops", Run: (*play).reverted},
}

// play is what is on the stage.
type play struct {
	config  config
	report  *stage.Report
	cluster *cluster
	admin   api
}

// perform plays acts on a stage of their own.
func perform(ctx context.Context, c config, wanted []stage.Act[*play]) *stage.Report {
	r := stage.NewReport(os.Stdout)
	p := &play{config: c, report: r}
	defer r.Summary()
	cluster, err := startCluster(ctx, c)
	if err != nil {
		r.Check("the API server runs", false, strings.Split(err.Error(), "\n")...)
		return r
	}
	defer cluster.stop()
	p.cluster, p.admin = cluster, cluster.as(adminToken)
	said, err := p.admin.do(ctx, "GET", "/version", nil)
	if err != nil {
		r.Check("the API server runs", false, err.Error())
		return r
	}
	fmt.Println("API server:", said.text("gitVersion"))
	if err := p.setUp(ctx); err != nil {
		r.Check("the policy is in force", false, strings.Split(err.Error(), "\n")...)
		return r
	}
	stage.Play(ctx, r, p, wanted)
	return r
}
