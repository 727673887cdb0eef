package kubetest_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/kubernetes/kubetest"
)

const scalePath = "/apis/apps/v1/namespaces/prod/deployments/llama/scale"

// caller asks a server by hand.
type caller struct {
	t      *testing.T
	server *kubetest.Server
	dir    string
}

func newCaller(t *testing.T) *caller {
	t.Helper()
	dir := t.TempDir()
	server, err := kubetest.New(kubetest.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	server.Add(kubetest.Object{Kind: kubetest.Deployment, Name: "llama", Replicas: 1, Status: 1})
	return &caller{t: t, server: server, dir: dir}
}

// do returns the status and the answer, and fails the test where there is none.
func (c *caller) do(method, path string, body any) (int, map[string]any) {
	c.t.Helper()
	encoded, err := json.Marshal(body)
	if err != nil {
		c.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, "https://"+c.server.Host()+":"+c.server.Port()+path, bytes.NewReader(encoded))
	if err != nil {
		c.t.Fatal(err)
	}
	token, err := os.ReadFile(filepath.Join(c.dir, "token"))
	if err != nil {
		c.t.Fatal(err)
	}
	authority, err := os.ReadFile(filepath.Join(c.dir, "ca.crt"))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+string(token))
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	var answer map[string]any
	if err := json.Unmarshal(raw, &answer); err != nil {
		c.t.Fatalf("%q: %v", raw, err)
	}
	return res.StatusCode, answer
}

func scaleTo(replicas int, uid, version string) map[string]any {
	meta := map[string]any{"name": "llama"}
	if uid != "" {
		meta["uid"] = uid
	}
	if version != "" {
		meta["resourceVersion"] = version
	}
	return map[string]any{"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": meta, "spec": map[string]any{"replicas": replicas}}
}

// The stand-in must refuse what a real API server refuses, or the tests of the client prove nothing.
func TestScaleIsLockedByItsConditions(t *testing.T) {
	c := newCaller(t)
	_, seen := c.do("GET", scalePath, nil)
	meta, _ := seen["metadata"].(map[string]any)
	uid, version := fmt.Sprint(meta["uid"]), fmt.Sprint(meta["resourceVersion"])
	for _, row := range []struct {
		change map[string]any
		status int
	}{
		{scaleTo(0, "uid-of-another", version), 409},
		{scaleTo(0, uid, "1"), 409},
		{scaleTo(-1, uid, version), 422},
		{map[string]any{"kind": "Deployment"}, 400},
		{scaleTo(2, uid, version), 200},
		{scaleTo(0, uid, version), 409}, // the version of before
		{scaleTo(0, "", ""), 200},       // without conditions nothing protects
	} {
		if status, answer := c.do("PUT", scalePath, row.change); status != row.status {
			t.Errorf("%v: status %d, want %d: %v", row.change, status, row.status, answer)
		}
	}
	if status, answer := c.do("PUT", scalePath+"?dryRun=All", scaleTo(5, "", "")); status != 200 || fmt.Sprint(answer["spec"]) != "map[replicas:5]" {
		t.Errorf("dry run: %d, %v", status, answer)
	}
	if _, answer := c.do("GET", scalePath, nil); fmt.Sprint(answer["spec"]) != "map[]" {
		t.Errorf("after a dry run: %v", answer["spec"])
	}
}

func TestRightsAndAccount(t *testing.T) {
	c := newCaller(t)
	c.server.Allow(kubetest.Rule{Verb: "get", Group: "apps", Resource: "deployments/scale", Name: "llama"})
	for _, row := range []struct {
		method, path string
		status       int
		words        string
	}{
		{"GET", scalePath, 200, ""},
		{"PUT", scalePath, 403, `User "system:serviceaccount:prod:watchdog" cannot update resource "deployments/scale" in API group "apps" in the namespace "prod"`},
		{"GET", "/apis/apps/v1/namespaces/prod/deployments/llama", 403, "cannot get resource"},
		{"GET", "/apis/apps/v1/namespaces/prod/deployments/other/scale", 403, "cannot get resource"},
		{"GET", "/apis/apps/v1/namespaces/other/deployments/llama/scale", 404, "could not find"},
		{"GET", "/nothing", 404, "could not find"},
	} {
		status, answer := c.do(row.method, row.path, scaleTo(0, "", ""))
		if status != row.status || !strings.Contains(fmt.Sprint(answer["message"]), row.words) && row.words != "" {
			t.Errorf("%s %s: %d, %v", row.method, row.path, status, answer)
		}
	}
	old := c.server.Token()
	if err := c.server.RotateToken(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.dir, "token"), []byte(old), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, _ := c.do("GET", scalePath, nil); status != 401 {
		t.Errorf("the token of before: status %d", status)
	}
}
