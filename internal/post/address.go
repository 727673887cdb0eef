package post

import (
	"cmp"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gpu-watchdog/gpu-watchdog/internal/secret"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
)

const (
	// maxAddress bounds a URL, in bytes.
	maxAddress = 4096
	// leastWhole and leastPiece are the fewest bytes that are taken for a secret: of a whole path, query, user name or password,
	// and of a piece of a path or query. What is shorter hides nothing, and blotting it out would blot out words.
	leastWhole, leastPiece = 4, 6
)

// Address is a URL of which only scheme and host may be seen: the path of a hook is its key. Every way of printing it shows no
// more. The zero Address is nowhere.
type Address struct {
	whole        secret.Secret
	scheme, host string
	// hidden are the parts that must not come back in any text, the longest first.
	hidden []secret.Secret
}

// ParseAddress reads the URL that the variable setting holds: https to anywhere, or http within the own network, where
// certificates are rare. Its errors name the variable and the host, and never show the rest.
func ParseAddress(setting string, raw secret.Secret) (Address, error) {
	text := raw.Reveal()
	u, err := url.Parse(text)
	switch {
	case text == "":
		return Address{}, fmt.Errorf("%s is empty; it has the form https://host/path", setting)
	case len(text) > maxAddress:
		return Address{}, fmt.Errorf("%s has %d bytes, more than %d (its value is not shown); copy the URL again", setting, len(text), maxAddress)
	case err != nil, u.Opaque != "", u.Hostname() == "", !isHost(u.Host):
		return Address{}, fmt.Errorf("%s cannot be read as a URL (its value is not shown); it has the form https://host/path", setting)
	case u.Scheme != "https" && u.Scheme != "http":
		return Address{}, fmt.Errorf("%s is neither https nor http (its value is not shown); it has the form https://host/path", setting)
	case u.Fragment != "":
		return Address{}, fmt.Errorf("%s has a fragment (what follows #), which is never sent; take it out, or write %%23 for a # that is meant", setting)
	case u.Scheme == "http" && !isInside(u.Hostname()):
		return Address{}, fmt.Errorf("%s would be sent in the clear to %s; use https (http is for loopback and private addresses, and for names without a dot or under .svc, .local or .internal)", setting, u.Host)
	}
	return Address{whole: raw, scheme: u.Scheme, host: u.Host, hidden: hiddenParts(text, u)}, nil
}

// Host is the host, with the port where the URL has one.
func (a Address) Host() string { return a.host }

func (a Address) String() string {
	if a.host == "" {
		return ""
	}
	return a.scheme + "://" + a.host + "/" + secret.Mask
}

// GoString is String, so that %#v shows no more.
func (a Address) GoString() string { return a.String() }

// Clean makes text of the outside world fit to be shown (see stopper.CleanDetail), without the secret parts of the address and
// without the keys.
func (a Address) Clean(text string, keys ...secret.Secret) string {
	hidden := make([]string, 0, len(a.hidden)+len(keys))
	for _, s := range slices.Concat(keys, a.hidden) {
		hidden = append(hidden, s.Reveal())
	}
	return stopper.CleanDetail(text, hidden...)
}

// hiddenParts are the forms in which the secret parts of a URL may come back: whole or in pieces, as written or decoded.
func hiddenParts(text string, u *url.URL) []secret.Secret {
	var parts []string
	add := func(least int, some ...string) {
		for _, s := range some {
			for _, form := range []string{s, folded(s)} {
				if len(form) >= least && !strings.Contains(secret.Mask, form) {
					parts = append(parts, form)
				}
			}
		}
	}
	add(leastWhole, text, u.String(), u.RequestURI(), u.Path, u.EscapedPath(), u.RawQuery)
	add(leastPiece, strings.Split(u.Path, "/")...)
	add(leastPiece, strings.Split(u.EscapedPath(), "/")...)
	for _, values := range u.Query() {
		add(leastPiece, values...)
	}
	for parameter := range strings.SplitSeq(u.RawQuery, "&") {
		_, value, _ := strings.Cut(parameter, "=")
		add(leastPiece, value)
	}
	if u.User != nil {
		password, _ := u.User.Password()
		add(leastWhole, u.User.String(), u.User.Username(), password)
	}
	slices.SortFunc(parts, func(a, b string) int { return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b)) })
	parts = slices.Compact(parts)
	hidden := make([]secret.Secret, len(parts))
	for i, p := range parts {
		hidden[i] = secret.New(p)
	}
	return hidden
}

// folded is a text as CleanDetail makes it before it looks for secrets: what is blank or cannot be printed is one space.
func folded(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool {
		return r == utf8.RuneError || unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")
}

// isHost keeps what is shown to letters, digits and the marks of addresses.
func isHost(host string) bool {
	return !strings.ContainsFunc(host, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("-._:[]", r)
	})
}

// isInside says that a host is on the own machine or network, as far as its name or address tells.
func isInside(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if ip, err := netip.ParseAddr(host); err == nil {
		ip = ip.Unmap()
		return ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast()
	}
	if !strings.Contains(host, ".") {
		return true
	}
	return slices.ContainsFunc([]string{".localhost", ".svc", ".local", ".internal"}, func(suffix string) bool {
		return strings.HasSuffix(host, suffix)
	})
}
