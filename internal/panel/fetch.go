package panel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/status"
)

const (
	// fetchMost bounds the whole question, whatever the context allows.
	fetchMost = 5 * time.Second
	// answerMost is far above any status, in bytes.
	answerMost = 1 << 20
)

// ErrUnreachable is wrapped by Fetch's error where nobody answered at all, as opposed to an answer that is of no use.
var ErrUnreachable = errors.New("nobody answers")

// Fetch asks the watchdog that listens on address, host:port as in WATCHDOG_LISTEN, for its status. raw is the document as
// it came, for programs. Where the watchdog listens on every address, it is asked on loopback.
func Fetch(ctx context.Context, address string) (s status.Status, raw []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, fetchMost)
	defer cancel()
	target := askable(address)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, (&url.URL{Scheme: "http", Host: target, Path: "/status"}).String(), nil)
	if err != nil {
		return s, nil, fmt.Errorf("status of %s: this is no address; it is written host:port, as in 127.0.0.1:9877", clean(address))
	}
	request.Header.Set("Accept", "application/json")
	client := http.Client{
		// No proxy: the address is this machine's, or one beside it.
		Transport:     &http.Transport{DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: answerMost},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	answer, err := client.Do(request)
	if err != nil {
		return s, nil, fmt.Errorf("status of %s: %w: %w; is gpu-watchdog running there, with WATCHDOG_LISTEN=%s?", target, ErrUnreachable, cause(err), address)
	}
	defer func() { _ = answer.Body.Close() }()
	raw, err = io.ReadAll(io.LimitReader(answer.Body, answerMost+1))
	switch {
	case err != nil:
		return s, nil, fmt.Errorf("status of %s: the answer broke off: %w", target, cause(err))
	case answer.StatusCode != http.StatusOK:
		return s, nil, fmt.Errorf("status of %s: answered %d: %s", target, answer.StatusCode, firstLine(raw))
	case len(raw) > answerMost:
		return s, nil, fmt.Errorf("status of %s: the answer is longer than %d bytes: another program listens there", target, answerMost)
	}
	if err := json.Unmarshal(raw, &s); err != nil || s.Schema < 1 {
		return status.Status{}, nil, fmt.Errorf("status of %s: what answers is not gpu-watchdog (it sent %q): is WATCHDOG_LISTEN another program's address?", target, firstLine(raw))
	}
	if s.Schema > status.Schema {
		return status.Status{}, nil, fmt.Errorf("status of %s: it speaks schema %d, and this program %d: use the gpu-watchdog that runs there (%s)", target, s.Schema, status.Schema, clean(s.Version))
	}
	return s, raw, nil
}

// askable is the address to ask a server that listens on address.
func askable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	ip, err := netip.ParseAddr(host)
	switch {
	case host == "", err == nil && ip.IsUnspecified() && ip.Is4():
		host = "127.0.0.1"
	case err == nil && ip.IsUnspecified():
		host = "::1"
	}
	return net.JoinHostPort(host, port)
}

// cause is what is below net/http's error, which repeats the URL.
func cause(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// firstLine is the beginning of an answer, fit to be shown.
func firstLine(raw []byte) string {
	const most = 120
	line, _, _ := strings.Cut(strings.TrimSpace(string(raw[:min(len(raw), 4*most)])), "\n")
	return clip(clean(line), most)
}
