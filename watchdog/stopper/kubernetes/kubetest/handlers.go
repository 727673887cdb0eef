package kubetest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const maxRequestBody = 64 << 10

// raw is JSON that is written as it is.
func raw(s string) json.RawMessage { return json.RawMessage(s) }

// answer is what a handler wants to be sent.
type answer struct {
	status int
	body   any
}

// target is what a path means.
type target struct {
	kind Kind
	name string
	sub  string
}

// ServeHTTP answers, records the request, and plays hooks and faults.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequestBody))
	if err != nil {
		http.Error(w, "request body cannot be read", http.StatusRequestEntityTooLarge)
		return
	}
	got := Request{Method: r.Method, Path: r.URL.Path, Query: r.URL.RawQuery, Accept: r.Header.Get("Accept"), UserAgent: r.UserAgent(), Body: body}
	s.runHooks(r)
	if fault, scripted := s.nextFault(r); scripted {
		got.Status = s.play(w, r, fault)
		s.record(got)
		if got.Status == 0 || fault.Half {
			panic(http.ErrAbortHandler)
		}
		return
	}
	a := s.answerTo(r, body)
	got.Status = a.status
	s.record(got)
	encoded, err := json.Marshal(a.body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.status)
	_, _ = w.Write(encoded)
}

func (s *Server) answerTo(r *http.Request, body []byte) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer "+s.token {
		return failure(http.StatusUnauthorized, "Unauthorized", "Unauthorized")
	}
	switch r.URL.Path {
	case "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews":
		return s.review(body)
	case "/apis/events.k8s.io/v1/namespaces/" + s.opts.Namespace + "/events":
		return s.writeEvent(body)
	}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	if found, ok := s.discovery(parts); ok {
		return found
	}
	asked, ok := s.parse(parts)
	if !ok {
		return failure(http.StatusNotFound, "NotFound", "the server could not find the requested resource")
	}
	verb := map[string]string{http.MethodGet: "get", http.MethodPut: "update"}[r.Method]
	resource := asked.kind.Plural
	if asked.sub != "" {
		resource += "/" + asked.sub
	}
	if !s.may(Rule{verb, asked.kind.Group, resource, asked.name}) {
		return s.forbidden(verb, asked.kind, resource, asked.name)
	}
	object := s.find(asked.kind, asked.name)
	switch {
	case asked.sub == "scale" && !asked.kind.Scale, asked.sub != "" && asked.sub != "scale":
		return failure(http.StatusNotFound, "NotFound", "the server could not find the requested resource")
	case object == nil:
		return failure(http.StatusNotFound, "NotFound", fmt.Sprintf("%s %q not found", qualified(asked.kind.Plural, asked.kind.Group), asked.name))
	case verb == "get" && asked.sub == "":
		return answer{http.StatusOK, object.whole(s.opts.Namespace, strings.Contains(r.Header.Get("Accept"), "as=PartialObjectMetadata"))}
	case verb == "get":
		return answer{http.StatusOK, object.scale(s.opts.Namespace)}
	case verb == "update" && asked.sub == "scale":
		return s.update(r, object, body)
	}
	return failure(http.StatusMethodNotAllowed, "MethodNotAllowed", "the server does not allow this method on the requested resource")
}

// parse takes apart the path of one object, or of something below it.
func (s *Server) parse(parts []string) (target, bool) {
	var group, version string
	switch {
	case len(parts) > 2 && parts[0] == "api":
		version, parts = parts[1], parts[2:]
	case len(parts) > 3 && parts[0] == "apis":
		group, version, parts = parts[1], parts[2], parts[3:]
	default:
		return target{}, false
	}
	inNamespace := len(parts) > 2 && parts[0] == "namespaces" && parts[1] == s.opts.Namespace
	if inNamespace {
		parts = parts[2:]
	}
	if len(parts) < 2 || len(parts) > 3 {
		return target{}, false
	}
	for _, k := range s.kinds {
		if k.Group == group && k.Version == version && k.Plural == parts[0] && k.Cluster == !inNamespace {
			return target{kind: k, name: parts[1], sub: strings.Join(parts[2:], "")}, true
		}
	}
	return target{}, false
}

// discovery answers what kinds there are.
func (s *Server) discovery(parts []string) (answer, bool) {
	switch {
	case len(parts) == 2 && parts[0] == "api":
		return s.list("", parts[1]), true
	case len(parts) == 2 && parts[0] == "apis":
		for _, k := range s.kinds {
			if k.Group == parts[1] {
				v := map[string]any{"groupVersion": k.apiVersion(), "version": k.Version}
				return answer{http.StatusOK, map[string]any{"kind": "APIGroup", "apiVersion": "v1", "name": k.Group, "versions": []any{v}, "preferredVersion": v}}, true
			}
		}
		return failure(http.StatusNotFound, "NotFound", "the server could not find the requested resource"), true
	case len(parts) == 3 && parts[0] == "apis":
		return s.list(parts[1], parts[2]), true
	}
	return answer{}, false
}

func (s *Server) list(group, version string) answer {
	if !s.may(Rule{"get", "", Kind{Group: group, Version: version}.apiVersion(), ""}) {
		return failure(http.StatusForbidden, "Forbidden", fmt.Sprintf(`forbidden: User %q cannot get path "/apis/%s/%s"`, user(s.opts.Namespace), group, version))
	}
	var found []any
	for _, k := range s.kinds {
		if k.Group != group || k.Version != version {
			continue
		}
		found = append(found, map[string]any{"name": k.Plural, "kind": k.Name, "namespaced": !k.Cluster, "verbs": []string{"get", "list"}},
			map[string]any{"name": k.Plural + "/status", "kind": k.Name, "namespaced": !k.Cluster, "verbs": []string{"get"}})
		if k.Scale {
			found = append(found, map[string]any{"name": k.Plural + "/scale", "kind": "Scale", "group": "autoscaling", "version": "v1", "namespaced": !k.Cluster, "verbs": []string{"get", "update"}})
		}
	}
	if found == nil {
		return failure(http.StatusNotFound, "NotFound", "the server could not find the requested resource")
	}
	return answer{http.StatusOK, map[string]any{"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": Kind{Group: group, Version: version}.apiVersion(), "resources": found}}
}

func (s *Server) find(k Kind, name string) *Object {
	for _, o := range s.objects {
		if o.Kind == k && o.Name == name {
			return o
		}
	}
	return nil
}

func (s *Server) may(asked Rule) bool {
	lets := func(r Rule) bool {
		is := func(pattern, value string) bool { return pattern == "*" || pattern == value }
		return is(r.Verb, asked.Verb) && is(r.Group, asked.Group) && is(r.Resource, asked.Resource) && (r.Name == "" || is(r.Name, asked.Name))
	}
	return slices.ContainsFunc(s.rules, lets) && !slices.ContainsFunc(s.denied, lets)
}

// update sets the scale of an object: conditions, admission, then the change, unless it is a dry run.
func (s *Server) update(r *http.Request, o *Object, body []byte) answer {
	var sent struct {
		Kind     string `json:"kind"`
		Metadata struct {
			Name, UID, ResourceVersion string
		} `json:"metadata"`
		Spec struct {
			Replicas int `json:"replicas"`
		} `json:"spec"`
	}
	resource := qualified(o.Kind.Plural, o.Kind.Group)
	switch err := json.Unmarshal(body, &sent); {
	case err != nil || sent.Kind != "Scale" || sent.Metadata.Name != o.Name:
		return failure(http.StatusBadRequest, "BadRequest", "the object in the data is not the scale of "+o.Name)
	case sent.Metadata.UID != "" && sent.Metadata.UID != o.UID:
		return failure(http.StatusConflict, "Conflict", fmt.Sprintf("Operation cannot be fulfilled on %s %q: Precondition failed: UID in precondition: %s, UID in object meta: %s", resource, o.Name, sent.Metadata.UID, o.UID))
	case sent.Metadata.ResourceVersion != "" && sent.Metadata.ResourceVersion != strconv.Itoa(o.version):
		return failure(http.StatusConflict, "Conflict", fmt.Sprintf("Operation cannot be fulfilled on %s %q: the object has been modified; please apply your changes to the latest version and try again", resource, o.Name))
	case sent.Spec.Replicas < 0:
		return failure(http.StatusUnprocessableEntity, "Invalid", fmt.Sprintf("Scale.autoscaling %q is invalid: spec.replicas: Invalid value: %d: must be greater than or equal to 0", o.Name, sent.Spec.Replicas))
	}
	to := sent.Spec.Replicas
	if s.opts.Mutate != nil {
		to = s.opts.Mutate(to)
	}
	if s.opts.Admit != nil {
		if message := s.opts.Admit(o.Replicas, to); message != "" {
			return failure(http.StatusUnprocessableEntity, "Invalid", fmt.Sprintf("%s %q is invalid: : ValidatingAdmissionPolicy 'only-zero' with binding 'only-zero' denied request: %s", resource, o.Name, message))
		}
	}
	if r.URL.Query().Get("dryRun") == "All" {
		would := *o
		would.scaledBy(r.URL.Query().Get("fieldManager"), to, time.Now())
		return answer{http.StatusOK, would.scale(s.opts.Namespace)}
	}
	o.scaledBy(r.URL.Query().Get("fieldManager"), to, time.Now())
	if s.opts.OnScale != nil {
		s.opts.OnScale(o.Kind.Name, o.Name, to)
	}
	return answer{http.StatusOK, o.scale(s.opts.Namespace)}
}

// review says whether the account has a right.
func (s *Server) review(body []byte) answer {
	if !s.may(Rule{"create", "authorization.k8s.io", "selfsubjectaccessreviews", ""}) {
		return s.forbidden("create", Kind{Group: "authorization.k8s.io", Cluster: true}, "selfsubjectaccessreviews", "")
	}
	var sent struct {
		Kind string `json:"kind"`
		Spec struct {
			ResourceAttributes struct{ Namespace, Verb, Group, Resource, Subresource, Name string } `json:"resourceAttributes"`
		} `json:"spec"`
	}
	if err := json.Unmarshal(body, &sent); err != nil || sent.Kind != "SelfSubjectAccessReview" {
		return failure(http.StatusBadRequest, "BadRequest", "the object in the data is not a SelfSubjectAccessReview")
	}
	a := sent.Spec.ResourceAttributes
	resource := a.Resource
	if a.Subresource != "" {
		resource += "/" + a.Subresource
	}
	allowed := a.Namespace == s.opts.Namespace && s.may(Rule{a.Verb, a.Group, resource, a.Name})
	return answer{http.StatusCreated, map[string]any{
		"kind": "SelfSubjectAccessReview", "apiVersion": "authorization.k8s.io/v1", "spec": sent.Spec, "status": map[string]any{"allowed": allowed},
	}}
}

// writeEvent takes an Event, as strictly as events.k8s.io/v1 does in what the client sets.
func (s *Server) writeEvent(body []byte) answer {
	if !s.may(Rule{"create", "events.k8s.io", "events", ""}) {
		return s.forbidden("create", Kind{Group: "events.k8s.io"}, "events", "")
	}
	var sent map[string]any
	if err := json.Unmarshal(body, &sent); err != nil {
		return failure(http.StatusBadRequest, "BadRequest", err.Error())
	}
	word := func(field string) string { text, _ := sent[field].(string); return text }
	regarding, _ := sent["regarding"].(map[string]any)
	meta, _ := sent["metadata"].(map[string]any)
	_, errTime := time.Parse("2006-01-02T15:04:05.000000Z07:00", word("eventTime"))
	switch {
	case errTime != nil:
		return failure(http.StatusUnprocessableEntity, "Invalid", "eventTime: Required value")
	case word("type") != "Normal" && word("type") != "Warning":
		return failure(http.StatusUnprocessableEntity, "Invalid", "type: Invalid value")
	case word("reportingController") == "" || word("action") == "" || word("reason") == "" || word("reportingInstance") == "" || len(word("reportingInstance")) > 128:
		return failure(http.StatusUnprocessableEntity, "Invalid", "a field is required or too long")
	case len(word("note")) > 1024:
		return failure(http.StatusUnprocessableEntity, "Invalid", "note: can have at most 1024 characters")
	case regarding["namespace"] != s.opts.Namespace || meta["namespace"] != s.opts.Namespace:
		return failure(http.StatusUnprocessableEntity, "Invalid", "regarding.namespace: does not match the namespace")
	}
	if name, _ := meta["name"].(string); name == "" || len(name) > 253 {
		return failure(http.StatusUnprocessableEntity, "Invalid", "metadata.name: Required value")
	}
	s.events = append(s.events, sent)
	return answer{http.StatusCreated, sent}
}

func (s *Server) forbidden(verb string, k Kind, resource, name string) answer {
	where := fmt.Sprintf(" in the namespace %q", s.opts.Namespace)
	if k.Cluster {
		where = " at the cluster scope"
	}
	plural, _, _ := strings.Cut(resource, "/")
	return failure(http.StatusForbidden, "Forbidden", fmt.Sprintf("%s %q is forbidden: User %q cannot %s resource %q in API group %q%s",
		qualified(plural, k.Group), name, user(s.opts.Namespace), verb, resource, k.Group, where))
}

func qualified(plural, group string) string {
	if group == "" {
		return plural
	}
	return plural + "." + group
}

// failure is a Status as the API server writes it.
func failure(code int, reason, message string) answer {
	return answer{code, map[string]any{"kind": "Status", "apiVersion": "v1", "metadata": map[string]any{}, "status": "Failure", "message": message, "reason": reason, "code": code}}
}
