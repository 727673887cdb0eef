package web

import (
	"crypto/sha256"
	_ "embed" // the page is part of the program
	"encoding/base64"
	"net/http"
	"strings"
)

//go:embed page/page.html
var pageFrame string

//go:embed page/page.css
var pageStyle string

//go:embed page/page.js
var pageScript string

// page is the one document, with its style and script in it, and policy allows exactly these two and nothing else: no
// other origin, no frame, no form, and no text that is turned into markup.
var page, pagePolicy = assemble()

func assemble() (document []byte, policy string) {
	whole := strings.Replace(pageFrame, "/*page.css*/", pageStyle, 1)
	whole = strings.Replace(whole, "/*page.js*/", pageScript, 1)
	policy = strings.Join([]string{
		"default-src 'none'",
		"style-src " + digest(pageStyle),
		"script-src " + digest(pageScript),
		"connect-src 'self'",
		"img-src data:",
		"base-uri 'none'",
		"form-action 'none'",
		"frame-ancestors 'none'",
		"require-trusted-types-for 'script'",
	}, "; ")
	return []byte(whole), policy
}

func digest(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func servePage(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Security-Policy", pagePolicy)
	answer(w, http.StatusOK, "text/html; charset=utf-8", page)
}
