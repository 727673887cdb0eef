package web

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// The page must work under its own policy: a style or a script that the policy does not name is not run by a browser.
func TestPagePolicyNamesItsOwnParts(t *testing.T) {
	r := get(t, showing(fullView()), "/")
	if r.StatusCode != http.StatusOK || r.Header.Get("Content-Type") != "text/html; charset=utf-8" {
		t.Fatalf("answered %d as %q", r.StatusCode, r.Header.Get("Content-Type"))
	}
	html, policy := body(t, r), r.Header.Get("Content-Security-Policy")
	for _, part := range []string{"style", "script"} {
		found := regexp.MustCompile(`(?s)<`+part+`>(.*?)</`+part+`>`).FindAllStringSubmatch(html, -1)
		if len(found) != 1 || len(found[0][1]) < 500 {
			t.Fatalf("the page has %d of <%s>, or an empty one", len(found), part)
		}
		sum := sha256.Sum256([]byte(found[0][1]))
		if want := part + "-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(policy, want) {
			t.Errorf("the policy %q lacks %s", policy, want)
		}
	}
}

// Nothing comes from elsewhere, nothing is turned into markup, and the whole stays small.
func TestPageIsSelfContained(t *testing.T) {
	html := string(page)
	for _, never := range []string{"http://", "https://", "//cdn", "@import", "url(", "innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", " style=", " onclick=", "/*page."} {
		rest := strings.ReplaceAll(html, "http://www.w3.org/2000/svg", "") // the name of SVG, which nobody fetches
		if strings.Contains(rest, never) {
			t.Errorf("the page holds %q", never)
		}
	}
	if len(page) > 16<<10 {
		t.Errorf("the page has %d bytes", len(page))
	}
}

// Every field that the script reads is one that /status has.
func TestPageReadsWhatStatusSays(t *testing.T) {
	var document map[string]any
	if err := json.Unmarshal([]byte(body(t, get(t, showing(heldView()), "/status"))), &document); err != nil {
		t.Fatal(err)
	}
	last, _ := document["last_stop"].(map[string]any)
	sources, _ := document["sources"].(map[string]any)
	money, _ := document["money"].(map[string]any)
	target, _ := document["target"].(map[string]any)
	serving, _ := document["serving"].(map[string]any)
	ttft, _ := serving["ttft_seconds"].(map[string]any)
	caps, _ := document["caps"].(map[string]any)
	holds, _ := document["holds"].([]any)
	hold, _ := holds[0].(map[string]any)
	for object, fields := range map[string]map[string]any{"s": document, "c": caps, "h": hold, "l": last, "src": sources, "m": money, "t": target, "w": serving, "f": ttft} {
		reads := regexp.MustCompile(`[^\w.]`+object+`\.([a-z_][a-z_0-9]*)`).FindAllStringSubmatch(pageScript, -1)
		if len(reads) == 0 {
			t.Errorf("the script reads nothing of %q", object)
		}
		for _, read := range reads {
			if _, ok := fields[read[1]]; !ok {
				t.Errorf("the script reads %s.%s, which is not in the status", object, read[1])
			}
		}
	}
}
