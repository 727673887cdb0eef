package stopper

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// MaxDetail is the most bytes of an answer that are shown.
	MaxDetail = 300
	// maxScanned bounds how much of a text is looked at; callers bound their bodies to the same.
	maxScanned = 1 << 20
	// maxRewritten bounds what the expressions below run over; they only ever shorten.
	maxRewritten = 2048
	redacted     = "[secret]"
)

var (
	// Go's own errors and other people's tools print whole URLs, with the key in the query.
	urlUserInfo = regexp.MustCompile(`(?i)(https?://)[^\s/?#"'<>@]*@`)
	urlQuery    = regexp.MustCompile(`(?i)(https?://[^\s?"'<>]*)\?[^\s"'<>]*`)
	bearer      = regexp.MustCompile(`(?i)\bbearer\s+[^\s"',;]{16,}`) // shorter ones are words
	apiKey      = regexp.MustCompile(`(?i)\bapi_?key(["']?\s*[=:]\s*["']?)[^\s"'&,;]+`)
)

// CleanDetail makes text of the outside world fit for logs, metrics and pages: white space is folded, what cannot be
// printed is replaced by a space, the secrets, bearer tokens, user information and queries of URLs are taken out, and
// the rest is cut to MaxDetail bytes.
func CleanDetail(text string, secrets ...string) string {
	if len(text) > maxScanned {
		text = text[:maxScanned]
		// A secret that the cut went through would no longer be recognised.
		for _, s := range secrets {
			text = text[:max(0, min(len(text), maxScanned-len(s)))]
		}
	}
	text = fold(text)
	for _, s := range secrets {
		if s != "" {
			text = strings.ReplaceAll(text, s, redacted)
		}
	}
	text = cut(text, maxRewritten)
	text = urlUserInfo.ReplaceAllString(text, "$1")
	text = urlQuery.ReplaceAllString(text, "$1")
	text = bearer.ReplaceAllString(text, "Bearer "+redacted)
	text = apiKey.ReplaceAllString(text, "api_key${1}"+redacted)
	return cut(text, MaxDetail)
}

// fold replaces every run of white space and unprintable runes by one space.
func fold(text string) string {
	var b strings.Builder
	b.Grow(min(len(text), maxRewritten))
	space := false
	for _, r := range text {
		if r == utf8.RuneError || unicode.IsSpace(r) || !unicode.IsPrint(r) {
			space = b.Len() > 0
			continue
		}
		if space {
			b.WriteByte(' ')
			space = false
		}
		b.WriteRune(r)
	}
	return b.String()
}

// cut shortens text to at most n bytes at the border of a rune, with an ellipsis where something was lost.
func cut(text string, n int) string {
	const ellipsis = "…"
	if len(text) <= n {
		return text
	}
	end := n - len(ellipsis)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + ellipsis
}
