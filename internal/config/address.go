package config

import (
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// ServerURLs are the base URLs of the servers to watch, without a trailing slash; none where there is no server.
type ServerURLs []string

func (u ServerURLs) String() string {
	if len(u) == 0 {
		return none
	}
	return strings.Join(u, ",")
}

// APIURL is a base URL without a trailing slash: https, or http on a loopback address.
type APIURL string

// ListenAddress is host:port.
type ListenAddress string

// Loopback says that only this machine, or this pod, reaches the address.
func (a ListenAddress) Loopback() bool {
	host, _, err := net.SplitHostPort(string(a))
	return err == nil && isLoopback(host)
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

func parseServerURLs(s string) (any, error) {
	if s == none {
		return ServerURLs(nil), nil
	}
	if strings.Contains(s, "@") { // before anything is split: a password may hold a comma
		return nil, flaws{userinfoFlaw}
	}
	var (
		urls ServerURLs
		bad  flaws
		seen = map[string]bool{}
	)
	for _, part := range list(s) {
		if part == "" {
			bad = append(bad, flaw{withoutQuery(s), emptyPart})
			continue
		}
		if part == none {
			bad = append(bad, flaw{withoutQuery(s), "none stands alone; write none, or the servers"})
			continue
		}
		u, text := parseBaseURL(part, "http")
		if text == "" {
			text = serverPathFlaw(u)
		}
		if text == "" && seen[sameServer(u)] {
			text = "is named twice; name each server once"
		}
		if text != "" {
			bad = append(bad, flaw{withoutQuery(part), text})
			continue
		}
		seen[sameServer(u)] = true
		urls = append(urls, u.String())
	}
	if len(bad) > 0 {
		return nil, bad
	}
	return urls, nil
}

func parseAPIURL(s string) (any, error) {
	u, text := parseBaseURL(s, "https")
	if text == "" && u.Scheme != "https" && !isLoopback(u.Hostname()) {
		text = "would send the key unencrypted; write https, or a loopback address such as 127.0.0.1"
	}
	if text == userinfoFlaw.text {
		return nil, flaws{userinfoFlaw}
	}
	if text != "" {
		return nil, wrong(withoutQuery(s), "%s", text)
	}
	return APIURL(u.String()), nil
}

var userinfoFlaw = flaw{"", "holds an @: a user name or a password cannot be given in a URL (its value is not shown); " +
	"write scheme://host:port"}

// parseBaseURL reads scheme://host[:port][/path] and drops the slash at its end; or it says what is wrong.
func parseBaseURL(s, usualScheme string) (*url.URL, string) {
	if strings.Contains(s, "@") {
		return nil, userinfoFlaw.text
	}
	if !strings.Contains(s, "://") {
		if u, text := parseBaseURL(usualScheme+"://"+s, usualScheme); text == "" {
			return nil, "has no scheme; did you mean " + clip(u.String()) + "?"
		}
		return nil, "is no URL; write " + usualScheme + "://host:port"
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || !printable(s):
		return nil, "is no URL; write " + usualScheme + "://host:port"
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, "has a scheme that is not spoken here; write http or https"
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(s, "#"):
		return nil, "has a query or a fragment (not shown), and a base address has none; end it before the ? or #"
	case !isHost(u.Hostname()):
		return nil, "names no host; write " + usualScheme + "://host:port"
	case strings.HasSuffix(u.Host, ":") || !isPort(u.Port(), u.Port() == ""):
		return nil, "has no valid port; a port is a number from 1 to 65535"
	}
	u.Host = strings.ToLower(u.Host)
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), strings.TrimRight(u.RawPath, "/")
	return u, ""
}

// serverPathFlaw catches the address of one of vLLM's pages given in place of the server's.
func serverPathFlaw(u *url.URL) string {
	for _, page := range []string{"/v1", "/metrics", "/health"} {
		if base, ok := strings.CutSuffix(u.Path, page); ok {
			server := url.URL{Scheme: u.Scheme, Host: u.Host, Path: base}
			return "is a page of the server, not the server; did you mean " + clip(server.String()) + "?"
		}
	}
	return ""
}

// sameServer is equal for two spellings of one address.
func sameServer(u *url.URL) string {
	return u.Scheme + "://" + hostPort(u) + u.Path
}

// hostPort always has a port.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// withoutQuery cuts what may be a secret off a URL that is to be shown.
func withoutQuery(s string) string {
	if i := strings.IndexAny(s, "?#"); i >= 0 {
		return s[:i+1] + "…"
	}
	return s
}

func isPort(s string, empty bool) bool {
	if s == "" {
		return empty
	}
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

// isHost accepts IP literals and names as DNS and container networks have them. A name that ends in a number would be
// an IP address with a mistake in it.
func isHost(s string) bool {
	if _, err := netip.ParseAddr(s); err == nil {
		return true
	}
	if s == "" || len(s) > 253 || !onlyNameLetters(s) {
		return false
	}
	labels := strings.Split(strings.TrimSuffix(s, "."), ".")
	if slices.Contains(labels, "") {
		return false
	}
	_, err := strconv.Atoi(labels[len(labels)-1])
	return err != nil
}

// IngestAddress is host:port; empty takes nothing in.
type IngestAddress string

func (a IngestAddress) String() string {
	if a == "" {
		return off
	}
	return string(a)
}

const off = "off"

func parseIngestAddress(s string) (any, error) {
	if s == off {
		return IngestAddress(""), nil
	}
	a, err := parseListenAddress(s)
	if err != nil {
		return nil, err
	}
	return IngestAddress(a.(ListenAddress)), nil
}

func parseListenAddress(s string) (any, error) {
	host, port, err := net.SplitHostPort(s)
	switch {
	case isPort(s, false):
		return nil, wrong(s, "has no host; did you mean 127.0.0.1:%s?", s)
	case strings.Contains(s, "://"):
		return nil, wrong(s, "is a URL; write only host:port, such as 127.0.0.1:9877")
	case err != nil || host != "" && !isHost(host):
		return nil, wrong(s, "is no address; write host:port, such as 127.0.0.1:9877 or [::1]:9877")
	case port != "0" && !isPort(port, false):
		return nil, wrong(s, "has no valid port; a port is a number from 1 to 65535, or 0 for any that is free")
	}
	return ListenAddress(s), nil
}
