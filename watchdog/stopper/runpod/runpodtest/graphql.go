package runpodtest

import (
	"encoding/json"
	"fmt"
	"net/http"
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
	field := "pod"
	if call == GraphQLStop {
		field = "podStop"
	}
	key, bearer := bearerOf(r)
	if !bearer || !s.knows(key) || s.refused(call) {
		return s.graphqlAnswer(graphqlErrors(field, "Unauthorized"))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if asked.Variables["podId"] != s.pod.id || s.pod.status == Terminated {
		return s.graphqlAnswer(graphqlErrors(field, "pod not found"))
	}
	stopped := false
	if call == GraphQLStop {
		if s.pod.locked {
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
		found["costPerHr"] = fmt.Sprint(s.pod.cost)
	}
	a := s.graphqlAnswer(map[string]any{"data": map[string]any{field: found}})
	a.stopped = stopped
	return a
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
