package vllm

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// maxDetail bounds what we repeat of another's words, in bytes.
const maxDetail = 200

// failure says what a request without a usable answer means.
type failure struct {
	outcome watchdog.Outcome
	detail  string
	// gone: the server that we spoke to last time may be another one next time.
	gone bool
	// mute: nobody is there who could answer another question.
	mute bool
}

// classify tells the failures of a request apart. Only a refusal at every address of the host is knowledge: nobody
// listens. A name that does not resolve, a missing route, or our own lack of descriptors say nothing about the server, nor
// does a reset; they are unreadable. connected says that a connection stood at some time during the request.
func classify(err error, waited time.Duration, connected bool) failure {
	if cannot := (*unreachable)(nil); errors.As(err, &cannot) {
		return cannot.failure(waited)
	}
	if detail := certificateTrouble(err); detail != "" {
		return failure{outcome: watchdog.OutcomeUnreadable, detail: detail, mute: true}
	}
	var timeout net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return failure{outcome: watchdog.OutcomeTimeout, detail: "given up after " + rounded(waited)}
	case errors.As(err, &timeout) && timeout.Timeout() && !connected:
		return failure{outcome: watchdog.OutcomeTimeout, detail: "no connection within " + rounded(waited), mute: true}
	case errors.As(err, &timeout) && timeout.Timeout():
		return failure{outcome: watchdog.OutcomeTimeout, detail: "no whole answer within " + rounded(waited)}
	case errors.Is(err, errTooLarge):
		return failure{outcome: watchdog.OutcomeUnreadable, detail: err.Error()}
	case errors.Is(err, net.ErrClosed):
		return failure{outcome: watchdog.OutcomeUnreadable, detail: "our own connection was closed", mute: true}
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return failure{outcome: watchdog.OutcomeUnreadable, detail: "the connection was reset before the answer was whole", gone: true}
	case errors.Is(err, io.ErrUnexpectedEOF):
		return failure{outcome: watchdog.OutcomeUnreadable, detail: "is half a page: the connection ended before the answer was whole", gone: true}
	case errors.Is(err, io.EOF):
		return failure{outcome: watchdog.OutcomeUnreadable, detail: "the connection was closed without an answer", gone: true}
	}
	return failure{outcome: watchdog.OutcomeUnreadable, detail: "does not speak HTTP as we do: " + clean(err.Error()), gone: true, mute: true}
}

// failure classifies what kept us from connecting.
func (u *unreachable) failure(waited time.Duration) failure {
	var dns *net.DNSError
	switch {
	case u.refused():
		return failure{outcome: watchdog.OutcomeRefused, detail: "connection refused: nobody listens there", gone: true, mute: true}
	case u.timedOut():
		return failure{outcome: watchdog.OutcomeTimeout, detail: "no connection within " + rounded(waited), mute: true}
	case errors.As(u, &dns):
		return failure{outcome: watchdog.OutcomeUnreadable, detail: "no address for " + clean(dns.Name) + ": check the host in its URL", gone: true, mute: true}
	}
	return failure{outcome: watchdog.OutcomeUnreadable, detail: "cannot be reached: " + clean(u.Error()), gone: true, mute: true}
}

// certificateTrouble says what is wrong with TLS; empty where it is something else.
func certificateTrouble(err error) string {
	var (
		verify  *tls.CertificateVerificationError
		notTLS  tls.RecordHeaderError
		alerted tls.AlertError
	)
	switch {
	case errors.As(err, &verify):
		return "certificate does not hold: " + clean(verify.Err.Error()) + "; trust its issuer (SSL_CERT_FILE) or correct the host in its URL"
	case errors.As(err, &notTLS), errors.Is(err, http.ErrSchemeMismatch):
		return "does not speak TLS: use http:// in its URL"
	case errors.As(err, &alerted):
		return "refuses TLS with us: " + clean(alerted.Error())
	}
	return ""
}

// rounded prints a duration for people.
func rounded(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}

// refusal says in words what an answer other than 200 means for /metrics.
func refusal(a answer) string {
	text := http.StatusText(a.status)
	switch {
	case a.status >= 300 && a.status < 400 && a.location != "":
		return "answers with a redirect to " + target(a.location) + ", which is not followed: give that address if it is the server's"
	case a.status == http.StatusNotFound:
		return "answers 404: not vLLM, or its address has another path"
	case a.status == http.StatusUnauthorized, a.status == http.StatusForbidden:
		return fmt.Sprintf("answers %d %s: something before vLLM wants a login", a.status, text)
	}
	return strings.TrimSpace(fmt.Sprintf("answers %d %s", a.status, text))
}

// target shows where a redirect leads without user, query or fragment.
func target(location string) string {
	u, err := url.Parse(location)
	if err != nil {
		return "an unreadable address"
	}
	u.User, u.RawQuery, u.ForceQuery, u.Fragment = nil, "", false, ""
	return clean(u.String())
}

// clean makes another's words fit for a log line: bounded, printable, without the query string of any URL in it.
func clean(s string) string {
	if i := strings.IndexByte(s, '?'); i >= 0 {
		s = s[:i]
	}
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	if len(s) > maxDetail {
		s = strings.ToValidUTF8(s[:maxDetail], "") + "…"
	}
	return s
}
