package runpodtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	maxRequestBody  = 64 << 10
	typeJSON        = "application/json"
	typeProblem     = "application/problem+json"
	rateLimitPolicy = `"minute";q=60;w=60, "hour";q=3000;w=3600, "day";q=50000;w=86400`
	rateLimit       = `"minute";r=58;t=31, "hour";r=2990;t=1812, "day";r=49990;t=45012`
)

// answer is what a handler wants to be sent.
type answer struct {
	status int
	header http.Header
	body   []byte
	// stopped: this answer is about a stop or a termination that took effect.
	stopped bool
}

// ServeHTTP answers, records the request, and plays the faults.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequestBody))
	if err != nil {
		http.Error(w, "request body cannot be read", http.StatusRequestEntityTooLarge)
		return
	}
	s.countPending(1)
	defer s.countPending(-1)
	call := callOf(r, body)
	got := Request{Call: call, Method: r.Method, Path: r.URL.EscapedPath(), Query: r.URL.RawQuery, Header: r.Header.Clone(), Body: body}

	fault, scripted := s.nextFault(call)
	if !s.wait(r, fault) {
		s.record(got)
		panic(http.ErrAbortHandler)
	}
	var a answer
	if scripted && fault.Status != 0 {
		a = answer{status: fault.Status, header: fault.Header, body: []byte(fault.Body)}
	} else {
		a = s.answerTo(call, r, body)
	}
	got.Status = a.status
	s.record(got)

	for name, values := range a.header {
		w.Header()[name] = values
	}
	if w.Header().Get("Content-Length") == "" && a.status != http.StatusNoContent {
		// With a length the answer is whole as soon as it is flushed, before OnStop.
		w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
	if a.stopped && s.opts.OnStop != nil {
		_ = http.NewResponseController(w).Flush()
		s.opts.OnStop()
	}
}

// wait plays delay, hang and drop; false where no answer is to be sent.
func (s *Server) wait(r *http.Request, f Fault) bool {
	var due <-chan time.Time // never, for Hang
	if !f.Hang {
		if f.Delay <= 0 {
			return !f.Drop
		}
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-due:
		return !f.Drop
	case <-r.Context().Done():
	case <-s.closing:
	}
	return false
}

func callOf(r *http.Request, body []byte) Call {
	path, isPod := strings.CutPrefix(r.URL.EscapedPath(), "/v2/pods/")
	_, action, _ := strings.Cut(path, "/")
	switch {
	case isPod && action == "" && r.Method == http.MethodGet:
		return V2Read
	case isPod && action == "" && r.Method == http.MethodDelete:
		return V2Delete
	case isPod && action == "action" && r.Method == http.MethodPost:
		return V2Action
	case r.URL.Path == "/graphql" && r.Method == http.MethodPost && bytes.Contains(body, []byte("podStop")):
		return GraphQLStop
	case r.URL.Path == "/graphql" && r.Method == http.MethodPost && bytes.Contains(body, []byte("podTerminate")):
		return GraphQLTerminate
	case r.URL.Path == "/graphql" && r.Method == http.MethodPost:
		return GraphQLRead
	}
	return ""
}

func (s *Server) answerTo(call Call, r *http.Request, body []byte) answer {
	// RunPod's front turns away who does not name himself, and Python's default name.
	if agent := r.UserAgent(); agent == "" || strings.HasPrefix(agent, "Python-urllib") {
		return answer{status: http.StatusForbidden, header: contentType("text/plain; charset=UTF-8"), body: []byte("error code: 1010\n")}
	}
	switch call {
	case GraphQLRead, GraphQLStop, GraphQLTerminate:
		return s.graphql(call, r, body)
	}
	switch key, bearer := bearerOf(r); {
	case !bearer:
		return problem(http.StatusUnauthorized, "missing bearer token")
	case !s.knows(key):
		return problem(http.StatusUnauthorized, "invalid bearer token")
	}
	a := s.rest(call, r, body)
	a.header.Set("RateLimit-Policy", rateLimitPolicy)
	if a.header.Get("RateLimit") == "" {
		a.header.Set("RateLimit", rateLimit)
	}
	return a
}

func (s *Server) rest(call Call, r *http.Request, body []byte) answer {
	id, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/pods/"), "/")
	switch {
	case call == "":
		return problem(http.StatusNotFound, "resource not found")
	case s.refused(call):
		return problem(http.StatusForbidden, "access denied")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if id != s.pod.id || s.pod.status == Terminated {
		return problem(http.StatusNotFound, "pod not found")
	}
	switch call {
	case V2Read:
		return podAnswer(&s.pod)
	case V2Delete:
		return s.terminate()
	}
	action, faults := readAction(r, body)
	if len(faults) > 0 {
		return problem(http.StatusUnprocessableEntity, "request body does not match the schema", faults...)
	}
	if action == "terminate" {
		return s.terminate()
	}
	if action == "stop" && s.opts.NeverStops && slices.Contains(s.pod.actions(), action) {
		s.stops++
		return podAnswer(&s.pod)
	}
	switch s.pod.act(action) {
	case conflict:
		return problem(http.StatusConflict, fmt.Sprintf("action %s is not valid for status %s", action, s.pod.status))
	case locked:
		return problem(http.StatusConflict, "pod is locked")
	}
	a := podAnswer(&s.pod)
	if action == "stop" {
		s.stops++
		a.stopped = true
	}
	return a
}

// terminate deletes the pod, which every state allows but the one that it leads to. The caller holds the lock.
func (s *Server) terminate() answer {
	s.deletions++
	a := answer{status: http.StatusNoContent, header: http.Header{}}
	if !s.opts.NeverStops {
		a.stopped = s.pod.act("terminate") == done
	}
	return a
}

// readAction is as strict as the document: one field, of four values.
func readAction(r *http.Request, body []byte) (action string, faults []string) {
	if !strings.HasPrefix(r.Header.Get("Content-Type"), typeJSON) {
		return "", []string{"$: content type is not application/json"}
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return "", []string{"$: not a JSON object"}
	}
	for name, value := range fields {
		if name != "action" {
			faults = append(faults, fmt.Sprintf("$: additional properties '%s' not allowed", name))
		} else if json.Unmarshal(value, &action) != nil || !slices.Contains([]string{"start", "stop", "restart", "terminate"}, action) {
			faults = append(faults, "$.action: not one of the allowed values")
		}
	}
	if _, there := fields["action"]; !there {
		faults = append(faults, "$: missing property 'action'")
	}
	return action, faults
}

func podAnswer(p *pod) answer {
	return answer{status: http.StatusOK, header: contentType(typeJSON), body: encode(p.json())}
}

// problem is an error by RFC 9457.
func problem(status int, detail string, faults ...string) answer {
	body := map[string]any{"title": http.StatusText(status), "status": status, "detail": detail}
	if len(faults) > 0 {
		body["errors"] = faults
	}
	return answer{status: status, header: contentType(typeProblem), body: encode(body)}
}

func problemFault(status int, detail string) Fault {
	a := problem(status, detail)
	return Fault{Status: a.status, Header: a.header, Body: string(a.body)}
}

func bearerOf(r *http.Request) (string, bool) {
	key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return key, ok && key != ""
}

func (s *Server) knows(key string) bool { return s.opts.APIKey == "" || key == s.opts.APIKey }

func contentType(t string) http.Header { return http.Header{"Content-Type": {t}} }

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // only our own types come here
	}
	return b
}
