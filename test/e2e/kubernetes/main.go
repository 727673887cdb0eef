//go:build linux

package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/gpu-watchdog/gpu-watchdog/test/e2e/internal/stage"
)

// config is what the script hands over.
type config struct {
	work, project, watchdog, etcd, apiserver, kustomize string
}

func main() {
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	c, wanted, err := arguments()
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(0)
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	r := perform(ctx, c, wanted)
	if ctx.Err() != nil || !r.Good() {
		os.Exit(1)
	}
}

func arguments() (config, []act, error) {
	c := config{
		work: os.Getenv("E2E_WORK"), project: os.Getenv("E2E_PROJECT"), watchdog: os.Getenv("E2E_WATCHDOG"),
		etcd: os.Getenv("E2E_ETCD"), apiserver: os.Getenv("E2E_APISERVER"), kustomize: os.Getenv("E2E_KUSTOMIZE"),
	}
	flags := flag.NewFlagSet("kubernetes.sh", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "test/e2e/kubernetes.sh [ACT...]")
		fmt.Fprintln(flags.Output(), "acts:")
		for _, a := range acts {
			fmt.Fprintf(flags.Output(), "  %-9s %s\n", a.name, a.about)
		}
	}
	if err := flags.Parse(os.Args[1:]); err != nil {
		return c, nil, err
	}
	if slices.Contains([]string{c.work, c.project, c.watchdog, c.etcd, c.apiserver, c.kustomize}, "") {
		return c, nil, errors.New("E2E_WORK, E2E_PROJECT, E2E_WATCHDOG, E2E_ETCD, E2E_APISERVER and E2E_KUSTOMIZE must be set: start test/e2e/kubernetes.sh instead")
	}
	wanted := acts
	if names := flags.Args(); len(names) > 0 {
		wanted = slices.DeleteFunc(slices.Clone(acts), func(a act) bool { return !slices.Contains(names, a.name) })
		if len(wanted) != len(names) {
			return c, nil, fmt.Errorf("not all of %s are acts; -help lists them", strings.Join(names, ", "))
		}
	}
	return c, wanted, nil
}

// act is one part of the play.
type act struct {
	name, about string
	run         func(p *play, ctx context.Context) error
}

var acts = []act{
	{"manifests", "the API server takes every manifest, and kustomize makes of the component what it should", (*play).manifests},
	{"account", "what the shipped account may do: a stop, and nothing else", (*play).account},
	{"policy", "the policy alone, with an account that is given every right by mistake", (*play).policy},
	{"held", "three replicas, and a scale-up at the moment of the stop", (*play).held},
	{"undone", "who undid a stop can be seen with that account", (*play).undone},
	{"idle", "the watchdog scales one idle replica to none", (*play).idle},
	{"three", "the watchdog leaves three replicas alone", (*play).three},
	{"race", "somebody scales up between the watchdog's look and its stop", (*play).race},
	{"reverted", "somebody undoes the watchdog's stops", (*play).reverted},
}

// play is what is on the stage.
type play struct {
	config  config
	report  *stage.Report
	cluster *cluster
	admin   api
}

// perform plays the acts in their order. One that cannot go on fails, and the next begins.
func perform(ctx context.Context, c config, wanted []act) *stage.Report {
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
	for _, a := range wanted {
		if ctx.Err() != nil {
			break
		}
		r.Act(a.name, a.about)
		if err := a.run(p, ctx); err != nil {
			r.Check(a.name+" was played to its end", false, strings.Split(err.Error(), "\n")...)
		}
	}
	return r
}
