package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/test/e2e/internal/stage"
)

var acts = []stage.Act[*play]{
	{Name: "grpc", About: "vLLM's spans over gRPC, against the client of the same run", Run: func(p *play, ctx context.Context) error { return p.run(ctx, overGRPC) }},
	{Name: "odd", About: "two answers of one request, labels that come before and after, requests that the server aborts", Run: (*play).odd},
	{Name: "kill", About: "the watchdog is killed while rows arrive", Run: (*play).kill},
	{Name: "http", About: "vLLM's spans over HTTP, against the client of the same run", Run: func(p *play, ctx context.Context) error { return p.run(ctx, overHTTP) }},
	{Name: "offline", About: "offline vLLM posts its rows", Run: (*play).offline},
}

// protocol is one of OTLP's.
type protocol struct {
	name string
	// path follows the address in --otlp-traces-endpoint.
	path string
	env  []string
}

var (
	overGRPC = protocol{name: "grpc"}
	overHTTP = protocol{"http", "/v1/traces", []string{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/protobuf"}}
)

// whole makes spans whole and prompt: a client's unsampled traceparent drops none, and none waits longer than half a second.
var whole = []string{"OTEL_TRACES_SAMPLER=always_on", "OTEL_BSP_SCHEDULE_DELAY=500"}

// spanMost is how long a span may take to be a row on a busy machine.
const spanMost = 20 * time.Second

// play is what is on the stage.
type play struct {
	config config
	report *stage.Report

	over   protocol
	w      *watched
	tap    *tap
	server *stage.Server
	client client
}

// stand sees that watchdog, tap and server stand, the server with this protocol. The watchdog is there first: it also takes the
// spans of the server's start.
func (p *play) stand(ctx context.Context, over protocol) (err error) {
	if p.server != nil && p.over.name == over.name {
		return nil
	}
	if err := p.leave(); err != nil {
		return err
	}
	defer func() {
		if err != nil { // half a stage is none
			err = errors.Join(err, p.leave())
		}
	}()
	address, err := stage.FreeAddress(ctx)
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(address)
	number, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	p.over = over
	if p.w, err = startWatchdog(ctx, p.config, over.name, "http://"+address, true); err != nil {
		return err
	}
	if p.tap, err = newTap(ctx, p.w.ingest); err != nil {
		return err
	}
	p.server, err = stage.StartServer(stage.ServerConfig{
		Venv: p.config.venv, Model: p.config.model, Work: p.config.work, Port: number, Log: "vllm-" + over.name + ".log",
		Args: []string{"--otlp-traces-endpoint", "http://" + p.tap.address() + over.path}, Env: append(whole, over.env...),
	})
	if err != nil {
		return err
	}
	if _, err := p.server.AwaitReady(ctx); err != nil {
		return err
	}
	p.client = client{p.server.URL}
	// What the first requests compile belongs to no figure.
	for i := range 3 {
		if _, err := p.client.complete(ctx, ask{id: fmt.Sprintf("warm-up-%d", i), tokens: 8}); err != nil {
			return fmt.Errorf("first requests: %w", err)
		}
	}
	return nil
}

// leave takes everything off the stage.
func (p *play) leave() error {
	var errs []error
	if p.server != nil {
		errs = append(errs, p.server.Stop())
	}
	if p.tap != nil {
		p.tap.close()
	}
	if p.w != nil {
		if code := p.w.end(); code != 0 {
			errs = append(errs, fmt.Errorf("the watchdog ended with %d after SIGTERM: its log is %s", code, p.w.log))
		}
	}
	p.server, p.tap, p.w = nil, nil, nil
	return errors.Join(errs...)
}

// folder makes an empty one below the working folder.
func (c config) folder(name string) (string, error) {
	path := filepath.Join(c.work, name)
	if err := os.RemoveAll(path); err != nil {
		return "", err
	}
	return path, os.MkdirAll(path, 0o755)
}
