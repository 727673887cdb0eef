package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/gpu-watchdog/gpu-watchdog/collector/nvml"
	"github.com/gpu-watchdog/gpu-watchdog/collector/vllm"
	"github.com/gpu-watchdog/gpu-watchdog/internal/config"
	"github.com/gpu-watchdog/gpu-watchdog/internal/load"
	"github.com/gpu-watchdog/gpu-watchdog/internal/secret"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

func newBench() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure what a running server delivers, and what starting one costs",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return wrongUse{errors.New("which experiment? " + strings.Join(experiments(cmd), ", "))}
		},
	}
	cmd.AddCommand(newBenchBatching(), newBenchKVCache(), newBenchColdStart())
	return cmd
}

func experiments(cmd *cobra.Command) (names []string) {
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" {
			names = append(names, c.Name())
		}
	}
	return names
}

// benchTarget is the server that an experiment asks.
type benchTarget struct {
	url, model string
	timeout    time.Duration

	config config.Config
	client *load.Client
	// version is vLLM's own, empty where it does not say.
	version string
}

func (t *benchTarget) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&t.url, "url", "", "address of the server (default: the first of "+config.Prefix+"VLLM_URLS)")
	cmd.Flags().StringVar(&t.model, "model", "", "model to ask for (default: the first that the server names)")
	cmd.Flags().DurationVar(&t.timeout, "timeout", 10*time.Minute, "the longest that one request may take")
}

// open finds the server and its model. The key for the server's API is OPENAI_API_KEY or VLLM_API_KEY of the environment.
func (t *benchTarget) open(ctx context.Context, cfg config.Config) error {
	t.config = cfg
	if t.url == "" {
		if len(cfg.VLLMURLs) == 0 {
			return wrongUse{errors.New("no server is named: give --url")}
		}
		t.url = cfg.VLLMURLs[0]
	}
	if t.timeout <= 0 {
		return wrongUse{fmt.Errorf("--timeout %v lets no request through", t.timeout)}
	}
	key := os.Getenv("OPENAI_API_KEY")
	if key == "" {
		key = os.Getenv("VLLM_API_KEY")
	}
	var err error
	t.client, err = load.New(load.Config{URL: t.url, APIKey: secret.New(key), UserAgent: "gpu-watchdog/" + version, Deadline: t.timeout})
	if err != nil {
		return wrongUse{err}
	}
	models, err := t.client.Models(ctx)
	switch {
	case errors.Is(err, load.ErrUnreachable):
		return notReachable{err}
	case err != nil && t.model == "":
		return fmt.Errorf("find the model of %s: %w", t.client.URL(), err)
	case t.model == "":
		t.model = models[0]
	}
	return nil
}

// page is a reader of the server's page, which also learns the server's version.
func (t *benchTarget) page(ctx context.Context) (*vllm.Client, error) {
	c, err := vllm.New(vllm.Config{URL: t.url, UserAgent: "gpu-watchdog/" + version})
	if err != nil {
		return nil, wrongUse{err}
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	t.version = c.Read(ctx).Version
	return c, nil
}

// gpuSource is what an experiment asks about GPUs.
type gpuSource interface {
	Read(ctx context.Context) watchdog.GPU
	Close()
}

// otherMachine stands for GPUs that cannot be seen from here.
type otherMachine struct{}

func (otherMachine) Read(context.Context) watchdog.GPU {
	return watchdog.GPU{State: watchdog.SourceAbsent, Reason: "the server runs on another machine"}
}

func (otherMachine) Close() {}

// gpus are the GPUs of this machine, where the server runs on it too. A process may open them once.
func (t *benchTarget) gpus(ctx context.Context) (source gpuSource, names string, err error) {
	if !here(ctx, t.url) {
		return otherMachine{}, "", nil
	}
	selection, err := nvml.ParseSelection(t.config.GPUs.String())
	if err != nil {
		return nil, "", wrongUse{err}
	}
	source = nvml.New(nvml.Config{Library: t.config.NVMLLibrary, GPUs: selection}, zap.NewNop())
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	var all []string
	for _, d := range source.Read(ctx).Devices {
		all = append(all, d.Name)
	}
	return source, strings.Join(all, ", "), nil
}

// here says that an address is of this machine.
func here(ctx context.Context, address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
	if err != nil || len(found) == 0 {
		return false
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return found[0].IsLoopback()
	}
	for _, a := range own {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil && prefix.Addr().Unmap() == found[0].Unmap() {
			return true
		}
	}
	return found[0].IsLoopback()
}

// clockText is a duration as a clock shows it.
func clockText(d time.Duration) string {
	return fmt.Sprintf("%d:%02d", int(d.Minutes()), int(d.Seconds())%60)
}

// writeExperiment prints what an experiment found, in the form that was asked for.
func writeExperiment(to io.Writer, r interface {
	Table(to io.Writer)
	CSV(to io.Writer) error
}, output string) error {
	switch output {
	case "json":
		enc := json.NewEncoder(to)
		enc.SetIndent("", "  ")
		return enc.Encode(r)
	case "csv":
		return r.CSV(to)
	}
	r.Table(to)
	return nil
}
