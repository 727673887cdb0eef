package post

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"

	"github.com/gpu-watchdog/gpu-watchdog/internal/secret"
)

// SignatureHeader carries the Signature of the body.
const SignatureHeader = "X-Gpu-Watchdog-Signature"

// Signature is the value of SignatureHeader for a body under key: "sha256=" and the HMAC-SHA256 in 64 lower-case hexadecimal
// digits. It is empty where the key is not set.
func Signature(key secret.Secret, body []byte) string {
	if !key.IsSet() {
		return ""
	}
	mac := hmac.New(sha256.New, []byte(key.Reveal()))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}
