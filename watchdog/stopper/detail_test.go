package stopper_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
)

const secret = "rpa_0123456789abcdefgh"

func TestCleanDetail(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"plain", "access denied", "access denied"},
		{"white space", "  a\r\n\tb \u00a0 c  ", "a b c"},
		{"unprintable", "a\x1b[31mb\x00\xff\u200bc", "a [31mb c"},
		{"secret", "key " + secret + " is bad", "key [secret] is bad"},
		{"secret in a word", `{"key":"` + secret + `"}`, `{"key":"[secret]"}`},
		{"another's bearer", "Authorization: bearer abc.def-ghi.jkl_mno, more", "Authorization: Bearer [secret], more"},
		{"words about a bearer", "missing bearer token", "missing bearer token"},
		{"query", `Post "https://api.example/graphql?api_key=hunter2": x509`, `Post "https://api.example/graphql": x509`},
		{"user information", "at https://user:hunter2@host/path now", "at https://host/path now"},
		{"key elsewhere", "apiKey=hunter2&x", "api_key=[secret]&x"},
		{"key in JSON", `{"api_key": "hunter2"}`, `{"api_key": "[secret]"}`},
		{"words about a key", "API key not found", "API key not found"},
		{"letters", "중지됨 – é", "중지됨 – é"},
		{"empty", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := stopper.CleanDetail(c.in, secret, ""); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestCleanDetailIsBounded(t *testing.T) {
	// The cut goes through a rune of three bytes, wherever it falls.
	for pad := range 4 {
		got := stopper.CleanDetail(strings.Repeat("x", pad) + strings.Repeat("중", 200))
		if len(got) > stopper.MaxDetail || !utf8.ValidString(got) || !strings.HasSuffix(got, "…") {
			t.Errorf("pad %d: %d bytes, ends %q", pad, len(got), got[len(got)-6:])
		}
	}
}

// TestNoHalfSecret puts the secret across the place where an endless text is cut.
func TestNoHalfSecret(t *testing.T) {
	for inside := 1; inside < len(secret); inside++ {
		text := strings.Repeat(" ", 1<<20-inside) + secret + " and more"
		if got := stopper.CleanDetail(text, secret); got != "" {
			t.Fatalf("with %d bytes of the secret before the cut: %q", inside, got)
		}
	}
}

func FuzzCleanDetail(f *testing.F) {
	for _, s := range []string{"", "plain", secret, "rpa_\x000123456789abcdefgh", "https://a:b@c?d=" + secret, strings.Repeat("é", 400), "bearer " + secret, "\xff\xfe"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := stopper.CleanDetail(text, secret)
		switch {
		case len(got) > stopper.MaxDetail:
			t.Errorf("%d bytes", len(got))
		case !utf8.ValidString(got):
			t.Errorf("%q is no text", got)
		case strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }):
			t.Errorf("%q has what cannot be printed", got)
		case strings.Contains(got, secret):
			t.Errorf("%q has the secret", got)
		}
	})
}
