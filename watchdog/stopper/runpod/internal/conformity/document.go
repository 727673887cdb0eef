package conformity

import (
	"bytes"
	"context"
	_ "embed" // testdata/pods.json
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
)

//go:embed testdata/pods.json
var pods []byte

// closed are the schemas to which Load lets nothing be added: the document leaves them open for RunPod's own future,
// but a field of ours that it does not name is a mistake of ours.
var closed = []string{"Pod", "ErrorResponse", "PodRuntime", "PodSsh", "PodGlobalNetworking"}

// closedAlone is closed only where nothing is added to it: a pod has it as it is, the request for a pod adds to it.
const closedAlone = "#/components/schemas/GpuConfig"

// Document is RunPod's document, ready to check with.
type Document struct {
	doc    *openapi3.T
	router routers.Router
	server *url.URL
}

// Load reads the trimmed document.
func Load() (*Document, error) {
	strict, err := closeSchemas(pods)
	if err != nil {
		return nil, fmt.Errorf("close schemas: %w", err)
	}
	doc, err := openapi3.NewLoader().LoadFromData(strict)
	if err != nil {
		return nil, fmt.Errorf("load document: %w", err)
	}
	router, err := legacy.NewRouter(doc)
	if err != nil {
		return nil, fmt.Errorf("route document: %w", err)
	}
	server, err := url.Parse(doc.Servers[0].URL)
	if err != nil {
		return nil, fmt.Errorf("read server of document: %w", err)
	}
	return &Document{doc: doc, router: router, server: server}, nil
}

func closeSchemas(raw []byte) ([]byte, error) {
	var doc map[string]any
	if err := json.Unmarshal(raw, &doc); err != nil {
		return nil, err
	}
	schemas := doc["components"].(map[string]any)["schemas"].(map[string]any)
	for _, name := range closed {
		schema, ok := schemas[name].(map[string]any)
		if !ok {
			return nil, fmt.Errorf("schema %s is not there", name)
		}
		schema["unevaluatedProperties"] = false
	}
	if closeAlone(doc) == 0 {
		return nil, fmt.Errorf("%s stands nowhere alone", closedAlone)
	}
	return json.Marshal(doc)
}

// closeAlone closes what consists of closedAlone only, and says how often it did.
func closeAlone(node any) (times int) {
	switch n := node.(type) {
	case []any:
		for _, one := range n {
			times += closeAlone(one)
		}
	case map[string]any:
		if parts, _ := n["allOf"].([]any); len(parts) == 1 && n["properties"] == nil {
			if part, _ := parts[0].(map[string]any); part["$ref"] == closedAlone {
				n["unevaluatedProperties"] = false
				times++
			}
		}
		for _, one := range n {
			times += closeAlone(one)
		}
	}
	return times
}

// Request checks one request: path, method, bearer, content type and body. The host is not looked at.
func (d *Document) Request(req *http.Request, body []byte) error {
	input, err := d.input(req, body)
	if err != nil {
		return err
	}
	if req.URL.RawQuery != "" {
		return fmt.Errorf("query %q: the document knows none here", req.URL.RawQuery)
	}
	return openapi3filter.ValidateRequest(context.Background(), input)
}

// Answer checks one answer to a request that Request let pass: status, headers, content type and body.
func (d *Document) Answer(req *http.Request, status int, header http.Header, body []byte) error {
	input, err := d.input(req, nil)
	if err != nil {
		return err
	}
	if status >= 400 {
		if err := problemStatus(status, body); err != nil {
			return err
		}
	}
	return openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input,
		Status:                 status,
		Header:                 header,
		Body:                   io.NopCloser(bytes.NewReader(body)),
		Options:                options(),
	})
}

// PodProperty returns the types that the document gives a property of a Pod ("string", "null", …); none where it has
// no such property. Names one below the other lead to a property of a property, or of the items of a list.
func (d *Document) PodProperty(names ...string) []string {
	schema := d.doc.Components.Schemas["Pod"]
	for _, name := range names {
		schema = propertyOf(schema, name)
	}
	if schema == nil || schema.Value == nil || schema.Value.Type == nil {
		return nil
	}
	return slices.Clone(*schema.Value.Type)
}

func propertyOf(schema *openapi3.SchemaRef, name string) *openapi3.SchemaRef {
	if schema == nil || schema.Value == nil {
		return nil
	}
	if schema.Value.Items != nil {
		return propertyOf(schema.Value.Items, name)
	}
	if p := schema.Value.Properties[name]; p != nil {
		return p
	}
	for _, part := range schema.Value.AllOf {
		if found := propertyOf(part, name); found != nil {
			return found
		}
	}
	return nil
}

func (d *Document) input(req *http.Request, body []byte) (*openapi3filter.RequestValidationInput, error) {
	there := req.Clone(context.Background())
	there.URL.Scheme, there.URL.Host, there.Host = d.server.Scheme, d.server.Host, d.server.Host
	there.Body = io.NopCloser(bytes.NewReader(body))
	there.ContentLength = int64(len(body))
	route, params, err := d.router.FindRoute(there)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", req.Method, req.URL.Path, err)
	}
	return &openapi3filter.RequestValidationInput{Request: there, PathParams: params, Route: route, Options: options()}, nil
}

var bearer = regexp.MustCompile(`^Bearer \S+$`)

func options() *openapi3filter.Options {
	return &openapi3filter.Options{
		IncludeResponseStatus:             true,
		RejectWhenRequestBodyNotSpecified: true,
		SkipSettingDefaults:               true,
		AuthenticationFunc: func(_ context.Context, in *openapi3filter.AuthenticationInput) error {
			if !strings.EqualFold(in.SecurityScheme.Scheme, "bearer") || in.SecurityScheme.Type != "http" {
				return fmt.Errorf("the document asks for %s %s, which is not checked", in.SecurityScheme.Type, in.SecurityScheme.Scheme)
			}
			if !bearer.MatchString(in.RequestValidationInput.Request.Header.Get("Authorization")) {
				return errors.New("no bearer token")
			}
			return nil
		},
	}
}

// problemStatus holds an error's body to its own status line, which no schema can say.
func problemStatus(status int, body []byte) error {
	var said struct {
		Status int `json:"status"`
	}
	if err := json.Unmarshal(body, &said); err != nil {
		return fmt.Errorf("body of a %d: %w", status, err)
	}
	if said.Status != status {
		return fmt.Errorf("body of a %d says status %d", status, said.Status)
	}
	return nil
}
