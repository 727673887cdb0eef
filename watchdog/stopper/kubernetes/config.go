package kubernetes

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
)

const (
	// TargetKind is the word for this way to stop in STOP, logs and metrics.
	TargetKind = "kubernetes"

	defaultPort      = "443"
	defaultTimeout   = 5 * time.Second
	defaultUserAgent = "gpu-watchdog"
)

// Config is what a Client needs; New checks it.
type Config struct {
	// Host and Port are KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT. Host is a name or an address, one of IPv6
	// without brackets; Port empty means 443.
	Host, Port string
	// Dir is the folder with the service account's files: token, ca.crt, namespace. Empty means DefaultDir.
	Dir string
	// PodName, PodUID and Namespace are POD_NAME, POD_UID and POD_NAMESPACE. What is empty is taken from the token, which
	// Kubernetes issues to one pod; where both tell, they must agree.
	PodName, PodUID, Namespace string
	// Target is KUBERNETES_TARGET, kind/name: that one of our pod's owners is scaled. Empty means the highest owner that
	// has a scale.
	Target string
	// UserAgent names us.
	UserAgent string
	// Timeout bounds each request; 0 means 5 s. A stop is about six requests.
	Timeout time.Duration
	// Why, where set, is asked at a stop for the reason that its Event shows. It must not block.
	Why func() string
}

// Client speaks with the API server of the cluster that we run in, about our own pod and its owners. It may be used by
// several goroutines.
type Client struct {
	// address is host:port, with brackets around IPv6.
	address   string
	account   *account
	pod       identity
	target    wanted
	userAgent string
	timeout   time.Duration
	why       func() string
	now       func() time.Time

	// eventTroubleSaid: that no Event can be written has been said.
	eventTroubleSaid atomic.Bool
}

// New checks the whole configuration, reads the service account's files once, and reports every mistake in one error of
// one line. It asks nothing of the network.
func New(cfg Config) (*Client, error) {
	c := &Client{
		account:   newAccount(cfg.Dir),
		userAgent: cfg.UserAgent,
		timeout:   cfg.Timeout,
		why:       cfg.Why,
		now:       time.Now,
	}
	if c.userAgent == "" {
		c.userAgent = defaultUserAgent
	}
	if c.timeout <= 0 {
		c.timeout = defaultTimeout
	}
	host, errHost := checkHost(cfg.Host)
	port, errPort := checkPort(cfg.Port)
	c.address = net.JoinHostPort(host, port)
	given := identity{namespace: cfg.Namespace, name: cfg.PodName, uid: cfg.PodUID}
	var errTarget, errPod error
	c.target, errTarget = parseTarget(cfg.Target)
	c.pod, errPod = identify(given, c.account)
	_, errCA := c.account.https()
	var wrong mistakes
	for _, err := range []error{errHost, errPort, errTarget, errPod, errCA} {
		if err != nil {
			wrong = append(wrong, err)
		}
	}
	if len(wrong) > 0 {
		return nil, wrong
	}
	return c, nil
}

// Target names what is to be stopped, for the ladder. The owner is found only when it is asked for (see Describe), so
// unless KUBERNETES_TARGET names it, this is our pod.
func (c *Client) Target() stopper.Target {
	id := "pod/" + c.pod.name
	if c.target.name != "" {
		id = c.target.String()
	}
	return stopper.Target{Kind: TargetKind, ID: c.pod.namespace + "/" + id, Action: "stop"}
}

// Rungs are the ways to stop: there is one.
func (c *Client) Rungs() []stopper.Rung { return []stopper.Rung{scaleRung{c}} }

// mistakes are the errors of a configuration, on one line, since they end up in logs and on a page.
type mistakes []error

func (m mistakes) Error() string {
	words := make([]string, len(m))
	for i, err := range m {
		words[i] = err.Error()
	}
	return strings.Join(words, "; ")
}

// Unwrap gives each mistake.
func (m mistakes) Unwrap() []error { return m }

// hostName is what can stand as a name in an address; the API server's certificate decides whether it is the right one.
var hostName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$`)

// checkHost returns the host without brackets.
func checkHost(host string) (string, error) {
	if host == "" {
		return "", errors.New("KUBERNETES_SERVICE_HOST is empty: Kubernetes sets it in every container; is this a pod?")
	}
	bare := strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if _, err := netip.ParseAddr(bare); err != nil && (!hostName.MatchString(host) || len(host) > maxName) {
		return "", fmt.Errorf("KUBERNETES_SERVICE_HOST %q is neither an address nor a host name; Kubernetes sets it, leave it alone", stopper.CleanDetail(host))
	}
	return bare, nil
}

func checkPort(port string) (string, error) {
	if port == "" {
		port = defaultPort
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", fmt.Errorf("KUBERNETES_SERVICE_PORT %q is no port (1 to 65535); Kubernetes sets it, leave it alone", stopper.CleanDetail(port))
	}
	return port, nil
}
