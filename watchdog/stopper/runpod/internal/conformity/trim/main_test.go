package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const big = `{"openapi":"3.1.0","info":{"title":"T","version":"1","description":"long"},"servers":[{"url":"https://x"}],
"security":[{"b":[]}],"x-other":1,"tags":[{"name":"Pods"}],
"paths":{
 "/v2/pods":{"get":{"responses":{"200":{"$ref":"#/components/responses/Other"}}},"post":{}},
 "/v2/templates":{"get":{},"post":{"requestBody":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/New"}}}}}},
 "/v2/pods/{id}":{"get":{"summary":"s","responses":{"200":{"description":"d","content":{"application/json":{"schema":{"$ref":"#/components/schemas/Pod"},"examples":{"p":{}}}}}}}},
 "/v2/pods/{id}/action":{"post":{"responses":{"404":{"$ref":"#/components/responses/NotFound"}}}}},
"components":{"securitySchemes":{"b":{"type":"http"}},
 "responses":{"NotFound":{"description":"d"},"Other":{"description":"d"}},
 "schemas":{"Pod":{"type":"object","properties":{"description":{"type":"string","description":"d"},"next":{"$ref":"#/components/schemas/Pod"},"status":{"$ref":"#/components/schemas/Status"}}},
  "Status":{"type":"string","examples":["A"]},"New":{"type":"object"},"Unused":{"type":"string"}}}}`

const small = `{"components":{"responses":{"NotFound":{"description":""}},
"schemas":{"New":{"type":"object"},"Pod":{"properties":{"description":{"description":"","type":"string"},"next":{"$ref":"#/components/schemas/Pod"},"status":{"$ref":"#/components/schemas/Status"}},"type":"object"},"Status":{"type":"string"}},
"securitySchemes":{"b":{"type":"http"}}},"info":{"description":"","title":"T","version":"1"},"openapi":"3.1.0",
"paths":{"/v2/pods":{"post":{}},"/v2/pods/{id}":{"get":{"responses":{"200":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/Pod"}}},"description":""}}}},
"/v2/pods/{id}/action":{"post":{"responses":{"404":{"$ref":"#/components/responses/NotFound"}}}},
"/v2/templates":{"post":{"requestBody":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/New"}}}}}}},
"security":[{"b":[]}],"servers":[{"url":"https://x"}]}`

// tight takes out the white space of JSON without white space in its strings.
func tight(s string) string { return strings.Join(strings.Fields(s), "") }

func TestTrim(t *testing.T) {
	path := filepath.Join(t.TempDir(), "openapi.json")
	if err := os.WriteFile(path, []byte(big), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := run([]string{path}, &out); err != nil {
		t.Fatal(err)
	}
	if got := tight(out.String()); got != tight(small) {
		t.Errorf("got\n%s\nwant\n%s", got, tight(small))
	}
}

func TestTrimRefuses(t *testing.T) {
	for _, c := range []struct{ name, doc, want string }{
		{"no JSON", "openapi: 3.1.0", "invalid character"},
		{"no such path", strings.ReplaceAll(big, "/action", "/act"), "no path /v2/pods/{id}/action in it"},
		{"broken reference", strings.ReplaceAll(big, `"Status":`, `"State":`), `"#/components/schemas/Status" leads nowhere`},
		{"foreign reference", strings.ReplaceAll(big, "#/components/schemas/Status", "other.json#/Status"), "of a form that is not followed"},
	} {
		if _, err := trim([]byte(c.doc)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v", c.name, err)
		}
	}
	if run(nil, nil) == nil || run([]string{"/nowhere"}, nil) == nil {
		t.Error("no document, and no error")
	}
}

// TestTheCommittedPartIsTrimmed: trimming it again changes nothing.
func TestTheCommittedPartIsTrimmed(t *testing.T) {
	committed, err := os.ReadFile("../testdata/pods.json")
	if err != nil {
		t.Fatal(err)
	}
	again, err := trim(committed)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again, committed) {
		t.Error("testdata/pods.json is not what trim writes")
	}
}
