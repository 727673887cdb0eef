package config

import (
	"strings"

	"github.com/gpu-watchdog/gpu-watchdog/internal/secret"
)

// Secret is a setting that no log, error, table or page may show.
type Secret = secret.Secret

const masked = secret.Mask

// parseSecret refuses what cannot be sent in a header. Its mistakes never repeat the value.
func parseSecret(s string) (any, error) {
	if len(s) > maxSecretBytes {
		return nil, wrong("", "is longer than %d bytes, which no key is (its value is not shown)", maxSecretBytes)
	}
	if !printable(s) || strings.Contains(s, "{{") {
		return nil, wrong("", "holds a blank, a control character, a letter beyond ASCII or an unfilled placeholder, which "+
			"no key does (its value is not shown); copy the key again")
	}
	return secret.New(s), nil
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
