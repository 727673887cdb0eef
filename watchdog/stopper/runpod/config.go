package runpod

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
)

// The addresses that are used where Config has none.
const (
	DefaultAPIURL     = "https://api.runpod.io/v2"
	DefaultGraphQLURL = "https://api.runpod.io/graphql"
)

// The actions, by the words of WATCHDOG_STOP_ACTION.
const (
	// ActionStop keeps the pod and its volume disk.
	ActionStop = "stop"
	// ActionTerminate deletes the pod for good, and refuses where data would go with it or where that is unknown.
	ActionTerminate = "terminate"
	// ActionLoseData deletes the pod for good with all that is on it, and looks at nothing first.
	ActionLoseData = "terminate-and-lose-data"
)

const (
	defaultTimeout   = 10 * time.Second
	defaultUserAgent = "gpu-watchdog"
	maxPodID         = 128
)

// Config is what a Client needs; New checks it.
type Config struct {
	// PodID is RUNPOD_POD_ID.
	PodID string
	// APIKey is a secret: it goes into the header Authorization and the environment of runpodctl, nowhere else.
	APIKey string
	// Action is what is done to the pod: ActionStop, which the empty one means too, ActionTerminate or ActionLoseData.
	Action string
	// APIURL is the root of REST v2, the part before /pods; GraphQLURL is the whole address. https, or http to a
	// loopback address. Empty means RunPod's own.
	APIURL, GraphQLURL string
	// UserAgent names us: RunPod's front refuses requests that do not say who they are.
	UserAgent string
	// Timeout bounds each request and each run of runpodctl; 0 means 10 s.
	Timeout time.Duration
	// RunpodctlPath is the runpodctl to use; empty means the one on PATH, if there is one.
	RunpodctlPath string
	// HTTPClient is the client to use; nil means one of our own. Redirects are never followed with either.
	HTTPClient *http.Client
}

// String shows a Config without its secret.
func (c Config) String() string {
	return fmt.Sprintf("runpod pod %q by %s and %s", c.PodID, printableURL(c.APIURL), printableURL(c.GraphQLURL))
}

// GoString is String, so that %#v shows no secret either.
func (c Config) GoString() string { return c.String() }

// Client speaks with RunPod about one pod.
type Client struct {
	podID string
	// action is one of the three, never empty.
	action string
	// key is a function so that no verb of fmt prints it, from whatever depth it comes here.
	key                func() string
	apiURL, graphqlURL string
	userAgent          string
	timeout            time.Duration
	runpodctl          string
	http               *http.Client
	now                func() time.Time
}

// String shows a Client without its secret.
func (c *Client) String() string { return "runpod pod " + c.podID }

// GoString is String, so that %#v shows no secret either.
func (c *Client) GoString() string { return c.String() }

// New checks the whole configuration and reports every mistake in one error of one line. It reaches nothing outside.
func New(cfg Config) (*Client, error) {
	c := &Client{
		podID:     cfg.PodID,
		action:    cmp.Or(cfg.Action, ActionStop),
		key:       func() string { return cfg.APIKey },
		userAgent: cfg.UserAgent,
		timeout:   cfg.Timeout,
		http:      ownHTTPClient(cfg.HTTPClient),
		now:       time.Now,
	}
	if c.userAgent == "" {
		c.userAgent = defaultUserAgent
	}
	if c.timeout <= 0 {
		c.timeout = defaultTimeout
	}
	var errAPI, errGraphQL, errCtl error
	c.apiURL, errAPI = checkURL("RunPod's API URL", cfg.APIURL, DefaultAPIURL)
	c.graphqlURL, errGraphQL = checkURL("RunPod's GraphQL URL", cfg.GraphQLURL, DefaultGraphQLURL)
	c.runpodctl, errCtl = findRunpodctl(cfg.RunpodctlPath)
	var wrong mistakes
	for _, err := range []error{checkPodID(cfg.PodID), checkKey(cfg.APIKey), checkAction(c.action), errAPI, errGraphQL, errCtl} {
		if err != nil {
			wrong = append(wrong, err)
		}
	}
	if len(wrong) > 0 {
		return nil, wrong
	}
	return c, nil
}

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

// Target names the pod for the ladder.
func (c *Client) Target() stopper.Target {
	return stopper.Target{Kind: "runpod", ID: c.podID, Action: c.action}
}

// Rungs are the ways to stop or to delete the pod, the best first; runpodctl is one only where the program exists. With
// ActionTerminate each is behind the second lock: it reads first what would be lost, and refuses where that is
// anything, or unknown.
func (c *Client) Rungs() []stopper.Rung {
	rungs := []stopper.Rung{v2Action{c}, graphqlStop{c}}
	if c.runpodctl != "" {
		rungs = append(rungs, runpodctl{c})
	}
	if c.action == ActionTerminate {
		for i := range rungs {
			rungs[i] = lockedRung{rungs[i], c}
		}
	}
	return rungs
}

// terminates says that the pod is to be deleted, not stopped.
func (c *Client) terminates() bool { return c.action != ActionStop }

// anyKey is the form of RunPod's keys: runpodctl may know another one than ours.
var anyKey = regexp.MustCompile(`\brpa_[^\s"'&,;<>]{8,}`)

// clean makes text of the outside world fit to be shown.
func (c *Client) clean(text string) string {
	return anyKey.ReplaceAllString(stopper.CleanDetail(text, c.key(), url.QueryEscape(c.key())), "[secret]")
}

func checkPodID(id string) error {
	const remedy = "; it is read from RUNPOD_POD_ID, which RunPod sets"
	switch {
	case id == "":
		return errors.New("RunPod's pod id is empty" + remedy)
	case len(id) > maxPodID:
		return fmt.Errorf("RunPod's pod id has %d bytes, more than %d%s", len(id), maxPodID, remedy)
	case id == "." || id == ".." || strings.HasPrefix(id, "-"):
		return fmt.Errorf("RunPod's pod id %q is none%s", id, remedy)
	}
	for _, r := range id {
		if strings.ContainsRune(`/\?#`, r) || unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return fmt.Errorf("RunPod's pod id %q has the character %q%s", id, r, remedy)
		}
	}
	return nil
}

func checkAction(action string) error {
	switch action {
	case ActionStop, ActionTerminate, ActionLoseData:
		return nil
	}
	return fmt.Errorf("action %q is none for RunPod; WATCHDOG_STOP_ACTION is %s, %s or %s", action, ActionStop, ActionTerminate, ActionLoseData)
}

// checkKey never shows the key.
func checkKey(key string) error {
	if key == "" {
		return errors.New("RunPod's API key is empty; set WATCHDOG_RUNPOD_API_KEY, or keep RUNPOD_API_KEY, which RunPod sets")
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return fmt.Errorf("RunPod's API key has a byte at place %d that no key has (white space, a quote mark of a word processor, …); copy it again", i+1)
		}
	}
	return nil
}

func checkURL(what, given, alt string) (string, error) {
	if given == "" {
		return alt, nil
	}
	u, err := url.Parse(given)
	if err != nil || u.Hostname() == "" {
		return "", fmt.Errorf("%s %s cannot be read; it has the form %s", what, printableURL(given), alt)
	}
	shown := printableURL(given)
	switch {
	case u.User != nil:
		return "", fmt.Errorf("%s %s has a user name or password in it; take it out, the key goes into a header", what, shown)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", fmt.Errorf("%s %s has a query or fragment; take it out, the key goes into a header", what, shown)
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return strings.TrimRight(u.String(), "/"), nil
	case u.Scheme == "http":
		return "", fmt.Errorf("%s %s would send the key in the clear; use https (http is allowed to loopback addresses only)", what, shown)
	default:
		return "", fmt.Errorf("%s %s is neither https nor http; it has the form %s", what, shown, alt)
	}
}

// printableURL is a URL without the parts in which people keep secrets; nothing of one that cannot be taken apart.
func printableURL(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" || strings.Contains(u.Host+u.Path, "@") {
		return "(unreadable URL)"
	}
	return stopper.CleanDetail((&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String())
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// findRunpodctl returns the path of the program, or none where nothing was asked for and nothing is there.
func findRunpodctl(path string) (string, error) {
	name := path
	if name == "" {
		name = "runpodctl"
	}
	found, err := exec.LookPath(name)
	if err == nil {
		return found, nil
	}
	if path == "" {
		return "", nil
	}
	return "", fmt.Errorf("runpodctl at %q cannot be run: %w", path, err)
}
