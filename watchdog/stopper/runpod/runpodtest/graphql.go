package runpodtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// graphql answers the way of RunPod's GraphQL: errors come under a 200, and what is stopped is told as an intent.
func (s *Server) graphql(call Call, r *http.Request, body []byte) answer {
	var asked struct {
		Query     string            `json:"query"`
		Variables map[string]string `json:"variables"`
	}
	if err := json.Unmarshal(body, &asked); err != nil || asked.Query == "" {
		return answer{status: http.StatusBadRequest, header: contentType(typeJSON), body: encode(graphqlErrors("", "POST body missing, invalid Content-Type, or JSON object has no keys."))}
	}
	field := map[Call]string{GraphQLRead: "pod", GraphQLStop: "podStop", GraphQLTerminate: "podTerminate"}[call]
	key, bearer := bearerOf(r)
	if !bearer || !s.knows(key) || s.refused(call) {
		return s.graphqlAnswer(graphqlErrors(field, "Unauthorized"))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if asked.Variables["podId"] != s.pod.id || s.pod.status == Terminated {
		missing := "pod not found"
		if call == GraphQLTerminate {
			missing += " to terminate"
		}
		return s.graphqlAnswer(graphqlErrors(field, missing))
	}
	if call == GraphQLTerminate {
		a := s.graphqlAnswer(map[string]any{"data": map[string]any{field: nil}})
		a.stopped = s.terminate().stopped
		return a
	}
	stopped := false
	if call == GraphQLStop {
		if s.pod.locked || s.pod.pinned {
			return s.graphqlAnswer(graphqlErrors(field, "Something went wrong. Please try again later or contact support."))
		}
		s.stops++
		if !s.opts.NeverStops {
			stopped = s.pod.act("stop") == done
		}
	}
	// A stop is told as an intent, even where nothing comes of it.
	desired := s.pod.status
	if call == GraphQLStop {
		desired = Exited
	}
	found := map[string]any{"id": s.pod.id, "desiredStatus": desired}
	if call == GraphQLRead {
		found = s.pod.fields(asked.Query)
	}
	a := s.graphqlAnswer(map[string]any{"data": map[string]any{field: found}})
	a.stopped = stopped
	return a
}

// fields are those of the pod that a query names.
func (p *pod) fields(query string) map[string]any {
	all := map[string]any{
		"id": p.id, "desiredStatus": p.status, "costPerHr": fmt.Sprint(p.cost), "volumeInGb": p.volumeGB, "networkVolumeId": nil,
	}
	if p.network != "" {
		all["networkVolumeId"] = p.network
	}
	maps.DeleteFunc(all, func(name string, _ any) bool { return !slices.Contains(strings.Fields(query), name) })
	return all
}

func (s *Server) graphqlAnswer(body any) answer {
	return answer{status: http.StatusOK, header: contentType(typeJSON), body: encode(body)}
}

// graphqlErrors is an error about a field, or about the whole request where field is empty.
func graphqlErrors(field, message string) map[string]any {
	one := map[string]any{"message": message}
	body := map[string]any{"errors": []any{one}}
	if field != "" {
		one["path"] = []string{field}
		body["data"] = map[string]any{field: nil}
	}
	return body
}
