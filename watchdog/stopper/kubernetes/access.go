package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
)

const authorizationGroup = "authorization.k8s.io"

// review is a SelfSubjectAccessReview: may I?
type review struct {
	APIVersion string     `json:"apiVersion"`
	Kind       string     `json:"kind"`
	Spec       reviewSpec `json:"spec"`
}

type reviewSpec struct {
	Attributes reviewAttributes `json:"resourceAttributes"`
}

type reviewAttributes struct {
	Namespace   string `json:"namespace,omitempty"`
	Verb        string `json:"verb"`
	Group       string `json:"group"`
	Resource    string `json:"resource"`
	Subresource string `json:"subresource,omitempty"`
	Name        string `json:"name,omitempty"`
}

// mayI asks the authorizers of the cluster about one right of our own. Every account may ask this, unless somebody took
// that away.
func (c *Client) mayI(ctx context.Context, rule Rule, namespace string) (bool, *Error) {
	plural, sub, _ := strings.Cut(rule.Resource, "/")
	asked := review{APIVersion: authorizationGroup + "/v1", Kind: "SelfSubjectAccessReview", Spec: reviewSpec{reviewAttributes{
		Namespace: namespace, Verb: rule.Verb, Group: rule.Group, Resource: plural, Subresource: sub, Name: rule.Name,
	}}}
	doing := Rule{Verb: "create", Group: authorizationGroup, Resource: "selfsubjectaccessreviews"}
	r, failed := c.ask(ctx, question{
		method: http.MethodPost, path: groupVersionPath(authorizationGroup, "v1") + "/selfsubjectaccessreviews",
		accept: acceptJSON, payload: asked, rule: doing,
	})
	if failed != nil {
		return false, failed
	}
	allowed, err := readReview(r.body)
	if err != nil {
		return false, errorf(stopper.Failed, "%s: %s", doing.doing(), shown(err.Error(), r.token))
	}
	return allowed, nil
}

// readReview reads the answer. An authorizer that could not decide counts as a no only if it did not say yes.
func readReview(body []byte) (bool, error) {
	var told struct {
		Kind   string `json:"kind"`
		Status *struct {
			Allowed watchdog.Maybe[bool] `json:"allowed"`
			Trouble string               `json:"evaluationError"`
		} `json:"status"`
	}
	if err := json.Unmarshal(body, &told); err != nil {
		return false, unreadable(err)
	}
	switch {
	case told.Kind != "SelfSubjectAccessReview":
		return false, fmt.Errorf("the answer is a %q, not a SelfSubjectAccessReview", told.Kind)
	case told.Status == nil || !told.Status.Allowed.Known:
		return false, errors.New("the answer says neither yes nor no")
	case !told.Status.Allowed.Value && told.Status.Trouble != "":
		return false, errors.New("the authorizer could not decide: " + told.Status.Trouble)
	}
	return told.Status.Allowed.Value, nil
}
