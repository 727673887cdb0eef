package kubernetes

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/secret"
)

// DefaultDir is where Kubernetes puts the files of a pod's service account.
const DefaultDir = "/var/run/secrets/kubernetes.io/serviceaccount"

const (
	maxToken     = 64 << 10
	maxCA        = 1 << 20
	maxNamespace = 1 << 10
)

// account is the pod's service account. Its files are replaced while we run: tokens live about an hour, and a cluster's
// authority may be renewed.
type account struct {
	dir string

	mu sync.Mutex
	// ca is the bundle that client was made of.
	ca     []byte
	client *http.Client
}

func newAccount(dir string) *account {
	if dir == "" {
		dir = DefaultDir
	}
	return &account{dir: dir}
}

// token reads the token anew.
func (a *account) token() (secret.Secret, error) {
	path := filepath.Join(a.dir, "token")
	raw, err := readBounded(path, maxToken)
	if err != nil {
		return secret.Secret{}, fmt.Errorf("read the service account's token: %w; does the pod set automountServiceAccountToken to false?", err)
	}
	token := strings.TrimSpace(string(raw))
	if token == "" {
		return secret.Secret{}, fmt.Errorf("the service account's token in %s is empty", path)
	}
	for i := range len(token) {
		if token[i] <= ' ' || token[i] > '~' {
			return secret.Secret{}, fmt.Errorf("the service account's token in %s has a byte at place %d that no token has", path, i+1)
		}
	}
	return secret.New(token), nil
}

// namespace is what the file says, or nothing where there is none.
func (a *account) namespace() string {
	raw, err := readBounded(filepath.Join(a.dir, "namespace"), maxNamespace)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(raw))
}

// https is a client that trusts the authority of this cluster and nobody else. It is made anew when the file changes. A
// file that has become unreadable leaves the last good one in use: that one still verifies.
func (a *account) https() (*http.Client, error) {
	path := filepath.Join(a.dir, "ca.crt")
	bundle, err := readBounded(path, maxCA)

	a.mu.Lock()
	defer a.mu.Unlock()
	if err == nil && (a.client == nil || !bytes.Equal(bundle, a.ca)) {
		pool := x509.NewCertPool()
		if pool.AppendCertsFromPEM(bundle) {
			a.ca, a.client = bundle, newHTTPClient(pool)
		} else {
			err = fmt.Errorf("%s holds no certificate", path)
		}
	}
	if a.client == nil {
		return nil, fmt.Errorf("read the cluster's authority: %w", err)
	}
	return a.client, nil
}

// newHTTPClient makes a client with bounds. There is no proxy: the API server is within the cluster, and a proxy that is
// set for downloads does not reach it.
func newHTTPClient(authorities *x509.CertPool) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:            (&net.Dialer{Timeout: 3 * time.Second}).DialContext,
			TLSClientConfig:        &tls.Config{RootCAs: authorities, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    3 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
			DisableCompression:     true,
			// Attempts are minutes apart, and a stop must not go out on a connection that died unnoticed, nor on one that
			// was made under an authority that is trusted no more.
			DisableKeepAlives: true,
		},
		// A redirect would carry the token to a host that nobody named.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// readBounded reads a whole file of at most limit bytes.
func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, fmt.Errorf("%s is a folder", path)
	}
	raw, err := io.ReadAll(io.LimitReader(f, limit+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(raw)) > limit:
		return nil, fmt.Errorf("%s has more than %d bytes", path, limit)
	case len(raw) == 0:
		return nil, errors.New(path + " is empty")
	}
	return raw, nil
}
