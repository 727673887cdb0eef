//go:build linux

package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/test/e2e/internal/stage"
)

// adminToken is that of a member of system:masters.
const adminToken = "e2e-admin"

const (
	// startMost is how long etcd and the API server may take on a slow machine.
	startMost = 3 * time.Minute
	endMost   = 20 * time.Second
)

// cluster is an etcd and an API server on loopback.
type cluster struct {
	base      string
	authority *x509.CertPool
	running   []*process // in the order of their start
}

// process is one of its programs.
type process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{}
}

// begin starts a program with its output in a file. Without an environment it has that of the play.
func begin(log string, env []string, argv ...string) (*process, error) {
	return beginIn(&syscall.SysProcAttr{}, log, env, argv...)
}

// beginIn is begin in namespaces of its own.
func beginIn(attr *syscall.SysProcAttr, log string, env []string, argv ...string) (*process, error) {
	out, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p := &process{cmd: exec.Command(argv[0], argv[1:]...), log: log, done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.Env = env
	// Should the play be killed, nothing of it stays.
	attr.Pdeathsig = syscall.SIGKILL
	p.cmd.SysProcAttr = attr
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", argv[0], err)
	}
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // how it ends shows in its log
	}()
	return p, nil
}

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func (p *process) end() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // an error is that it has ended
	select {
	case <-p.done:
	case <-time.After(endMost):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

func startCluster(ctx context.Context, c config) (_ *cluster, err error) {
	k := &cluster{}
	defer func() {
		if err != nil {
			k.stop()
		}
	}()
	dir := filepath.Join(c.work, "cluster")
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	var addresses [3]string
	for i := range addresses {
		if addresses[i], err = stage.FreeAddress(ctx); err != nil {
			return nil, err
		}
	}
	store, peers, secure := "http://"+addresses[0], "http://"+addresses[1], addresses[2]

	etcd, err := begin(filepath.Join(c.work, "etcd.log"), nil, c.etcd, "--data-dir", filepath.Join(dir, "etcd"),
		"--listen-client-urls", store, "--advertise-client-urls", store, "--listen-peer-urls", peers,
		"--initial-advertise-peer-urls", peers, "--initial-cluster", "default="+peers)
	if err != nil {
		return nil, err
	}
	k.running = append(k.running, etcd)

	key, tokens := filepath.Join(dir, "accounts.key"), filepath.Join(dir, "tokens.csv")
	if err := writeKey(key); err != nil {
		return nil, err
	}
	if err := os.WriteFile(tokens, []byte(adminToken+",e2e,e2e,system:masters\n"), 0o600); err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(secure)
	if err != nil {
		return nil, err
	}
	server, err := begin(filepath.Join(c.work, "kube-apiserver.log"), nil, c.apiserver, "--etcd-servers", store,
		"--bind-address", host, "--advertise-address", host, "--secure-port", port, "--cert-dir", filepath.Join(dir, "certs"),
		"--authorization-mode", "RBAC", "--token-auth-file", tokens, "--anonymous-auth=false", "--endpoint-reconciler-type", "none",
		"--service-cluster-ip-range", "10.0.0.0/24", "--service-account-issuer", "https://kubernetes.default.svc.cluster.local",
		"--service-account-signing-key-file", key, "--service-account-key-file", key)
	if err != nil {
		return nil, err
	}
	k.running = append(k.running, server)
	k.base = "https://" + secure

	certificate := filepath.Join(dir, "certs", "apiserver.crt")
	up := stage.Until(ctx, startMost, func() bool {
		if etcd.ended() || server.ended() {
			return true
		}
		if k.authority == nil {
			page, err := os.ReadFile(certificate)
			pool := x509.NewCertPool()
			if err != nil || !pool.AppendCertsFromPEM(page) {
				return false
			}
			k.authority = pool
		}
		said, err := k.as(adminToken).do(ctx, http.MethodGet, "/readyz", nil)
		return err == nil && said.status == http.StatusOK
	})
	for _, p := range k.running {
		if p.ended() || !up {
			return nil, fmt.Errorf("no cluster within %s; the end of %s:\n%s", startMost, p.log, stage.Tail(p.log))
		}
	}
	return k, nil
}

// stop ends the API server, then etcd.
func (k *cluster) stop() {
	for i := len(k.running) - 1; i >= 0; i-- {
		k.running[i].end()
	}
}

// transport reaches the API server, and nothing else.
func (k *cluster) transport() *http.Transport {
	return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: k.authority, MinVersion: tls.VersionTLS12}, MaxIdleConnsPerHost: 4}
}

// as is the API server with somebody's token.
func (k *cluster) as(token string) api {
	return api{base: k.base, token: token, client: &http.Client{Transport: k.transport(), Timeout: 15 * time.Second}}
}

// writeKey makes the key that signs the tokens of service accounts.
func writeKey(file string) error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}), 0o600)
}
