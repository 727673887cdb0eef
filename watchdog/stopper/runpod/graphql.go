package runpod

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
)

const (
	stopMutation = `mutation stopPod($podId: String!) { podStop(input: {podId: $podId}) { id desiredStatus } }`
	// terminateMutation has no selection, since its answer is null.
	terminateMutation = `mutation terminatePod($podId: String!) { podTerminate(input: {podId: $podId}) }`

	podQuery = `query pod($podId: String!) { pod(input: {podId: $podId}) { id desiredStatus costPerHr } }`
	// storageQuery is a question of its own: of a field that GraphQL no longer knew, the price would go with the answer.
	storageQuery = `query pod($podId: String!) { pod(input: {podId: $podId}) { id volumeInGb networkVolumeId } }`
)

// graphqlStop is the mutation podStop or podTerminate. It is a service of its own: a key that REST refuses may be good here.
type graphqlStop struct{ c *Client }

type graphqlRequest struct {
	Query     string            `json:"query"`
	Variables map[string]string `json:"variables"`
}

// graphqlPod is what the calls return of a pod. DesiredStatus is an intent, not what is.
type graphqlPod struct {
	ID            loosely[string]  `json:"id"`
	DesiredStatus loosely[string]  `json:"desiredStatus"`
	CostPerHr     price            `json:"costPerHr"`
	VolumeInGb    loosely[float64] `json:"volumeInGb"`
	NetworkVolume loosely[string]  `json:"networkVolumeId"`
}

// graphqlData has the one or the other, by what was asked.
type graphqlData struct {
	PodStop loosely[graphqlPod] `json:"podStop"`
	Pod     loosely[graphqlPod] `json:"pod"`
	// PodTerminate is null where the pod is deleted, and empty where there is no such field.
	PodTerminate json.RawMessage `json:"podTerminate"`
}

// Name is the rung's word in logs.
func (graphqlStop) Name() string { return "graphql" }

// Stop asks once.
func (g graphqlStop) Stop(ctx context.Context) stopper.Answer {
	if g.c.terminates() {
		r, err := g.c.sendGraphQL(ctx, terminateMutation)
		if err != nil {
			return stopper.Answer{Kind: stopper.Failed, Detail: err.Error()}
		}
		return g.c.sortTermination(r)
	}
	pod, answer := g.c.graphql(ctx, stopMutation, func(d graphqlData) loosely[graphqlPod] { return d.PodStop })
	if answer.Kind == stopper.Accepted {
		answer.Detail = g.c.clean("desired status " + pod.DesiredStatus.Or("not told"))
	}
	return g.c.withRemedy(answer)
}

// graphql sends one document about our pod and sorts the answer: Accepted only where what pick takes from it is our
// pod and nothing is called an error. The key goes into the header, not into the address as in RunPod's examples.
func (c *Client) graphql(ctx context.Context, document string, pick func(graphqlData) loosely[graphqlPod]) (graphqlPod, stopper.Answer) {
	r, err := c.sendGraphQL(ctx, document)
	if err != nil {
		return graphqlPod{}, stopper.Answer{Kind: stopper.Failed, Detail: err.Error()}
	}
	return c.sortGraphQL(r, pick)
}

// sendGraphQL sends one document about our pod.
func (c *Client) sendGraphQL(ctx context.Context, document string) (response, error) {
	return c.send(ctx, http.MethodPost, c.graphqlURL, graphqlRequest{
		Query:     document,
		Variables: map[string]string{"podId": c.podID},
	})
}

func (c *Client) sortGraphQL(r response, pick func(graphqlData) loosely[graphqlPod]) (graphqlPod, stopper.Answer) {
	data, a := c.sortReply(r)
	if a.Kind != stopper.Accepted {
		return graphqlPod{}, a
	}
	switch pod := pick(data); {
	case !pod.Known || !pod.Value.ID.Known:
		a.Kind, a.Detail = stopper.Failed, "no pod in the answer"
	case pod.Value.ID.Value != c.podID:
		a.Kind, a.Detail = stopper.Invalid, c.clean("the answer is about another pod: "+pod.Value.ID.Value)
	default:
		return pod.Value, a
	}
	return graphqlPod{}, a
}

// sortTermination sorts an answer to podTerminate, which names no pod: it is null where all went well.
func (c *Client) sortTermination(r response) stopper.Answer {
	data, a := c.sortReply(r)
	switch said := string(data.PodTerminate); {
	case a.Kind != stopper.Accepted:
	case said == "null":
		a.Detail = "podTerminate answered null, which is its yes"
	case said == "":
		a.Kind, a.Detail = stopper.Failed, "no podTerminate in the answer"
	default:
		a.Kind, a.Detail = stopper.Failed, "podTerminate answered something else than null"
	}
	return a
}

// sortReply sorts an answer of GraphQL to whatever question: Accepted where nothing is called an error, whatever the data is.
func (c *Client) sortReply(r response) (graphqlData, stopper.Answer) {
	var body struct {
		Data   loosely[graphqlData] `json:"data"`
		Errors json.RawMessage      `json:"errors"`
	}
	unread := json.Unmarshal(r.body, &body)
	wrong, failed := graphqlErrors(body.Errors)

	a := stopper.Answer{Kind: stopper.Failed, Status: r.status}
	if r.status != http.StatusOK {
		if r.status < 200 || r.status > 299 {
			a = c.refusal(r)
		} else {
			a.Detail = c.clean("unexpected status: " + explain(r))
		}
		// A status that means little gives way to words that mean more.
		if unread == nil && failed && (a.Kind == stopper.Failed || a.Kind == stopper.Invalid) && wrong.kind() != stopper.Failed {
			a.Kind = wrong.kind()
		}
		return graphqlData{}, a
	}
	switch {
	case isHTML(r):
		a.Detail = c.clean("not RunPod's API: " + explain(r))
	case unread != nil:
		a.Detail = "an answer that is no JSON"
	case failed:
		a.Kind, a.Detail = wrong.kind(), c.clean(wrong.text)
		if a.Kind == stopper.RetryAfter {
			a.RetryAfter = askedToWait(r.header, c.now())
		}
	default:
		a.Kind = stopper.Accepted
		return body.Data.Value, a
	}
	return graphqlData{}, a
}

// graphqlError is the errors of an answer in one text, with the codes of their extensions.
type graphqlError struct {
	text string
}

// graphqlErrors reads the field errors, which may be a list of objects, a list of strings, an object or a string; false
// where there is none.
func graphqlErrors(raw json.RawMessage) (graphqlError, bool) {
	if slices.Contains([]string{"", "null", "[]", `""`, "false", "{}"}, compact(raw)) {
		return graphqlError{}, false
	}
	var said message
	_ = json.Unmarshal(raw, &said)
	words := []string{string(said)}
	eachOf(raw, func(item []byte) {
		var e struct {
			Extensions loosely[struct {
				Code loosely[string] `json:"code"`
			}] `json:"extensions"`
		}
		if json.Unmarshal(item, &e) == nil && e.Extensions.Value.Code.Value != "" {
			words = append(words, e.Extensions.Value.Code.Value)
		}
	})
	text := strings.TrimSpace(strings.Join(words, " "))
	if text == "" {
		text = "an error without words"
	}
	return graphqlError{text: text}, true
}

// kind sorts an error by its words, which is all that GraphQL gives: the HTTP status is 200 either way.
func (e graphqlError) kind() stopper.Kind {
	text := strings.ToLower(e.text)
	for _, row := range []struct {
		kind  stopper.Kind
		words []string
	}{
		{stopper.RetryAfter, []string{"too many requests", "rate limit"}},
		{stopper.Denied, []string{"unauthorized", "unauthenticated", "not authorized", "forbidden", "access denied", "permission", "api key"}},
		{stopper.Gone, []string{"not found", "does not exist"}},
	} {
		if slices.ContainsFunc(row.words, func(w string) bool { return strings.Contains(text, w) }) {
			return row.kind
		}
	}
	return stopper.Failed
}

// compact is JSON without the white space around and within an empty list or object.
func compact(raw json.RawMessage) string {
	if len(raw) > 64 {
		return "long"
	}
	return strings.Join(strings.Fields(string(raw)), "")
}
