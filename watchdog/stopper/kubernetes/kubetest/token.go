package kubetest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// Token is a token of the form that Kubernetes issues to a pod; serial makes it another one. Nothing is signed.
func Token(namespace, podName, podUID string, serial int) string {
	part := func(v any) string {
		encoded, _ := json.Marshal(v) // maps of strings and numbers
		return base64.RawURLEncoding.EncodeToString(encoded)
	}
	of := map[string]any{"namespace": namespace, "serviceaccount": map[string]any{"name": account, "uid": "uid-account"}}
	if podName != "" {
		of["pod"] = map[string]any{"name": podName, "uid": podUID}
	}
	return part(map[string]any{"alg": "RS256", "kid": "test"}) + "." +
		part(map[string]any{"aud": []string{"https://kubernetes.default.svc"}, "iat": serial, "sub": user(namespace), "kubernetes.io": of}) + "." +
		base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "PLANTED signature %d", serial))
}

const account = "watchdog"

func user(namespace string) string { return "system:serviceaccount:" + namespace + ":" + account }

// write replaces one of the account's files, as a whole.
func (s *Server) write(name string, content []byte) error {
	path := filepath.Join(s.dir, name)
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		return fmt.Errorf("write the service account's %s: %w", name, err)
	}
	return os.Rename(path+".new", path)
}
