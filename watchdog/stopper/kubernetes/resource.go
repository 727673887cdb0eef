package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
)

// resource is how the API server serves a kind.
type resource struct {
	group, version, kind string
	// plural is its name in paths.
	plural     string
	namespaced bool
	// scalable: it has a scale subresource.
	scalable bool
}

// builtin are the kinds whose paths never change, so that the usual chains need no discovery. LeaderWorkerSet is here for
// the sake of those who have discovery turned off.
var builtin = []resource{
	{"", "v1", "Pod", "pods", true, false},
	{"", "v1", "Node", "nodes", false, false},
	{"", "v1", "ReplicationController", "replicationcontrollers", true, true},
	{"apps", "v1", "ReplicaSet", "replicasets", true, true},
	{"apps", "v1", "Deployment", "deployments", true, true},
	{"apps", "v1", "StatefulSet", "statefulsets", true, true},
	{"apps", "v1", "DaemonSet", "daemonsets", true, false},
	{"batch", "v1", "Job", "jobs", true, false},
	{"batch", "v1", "CronJob", "cronjobs", true, false},
	{"leaderworkerset.x-k8s.io", "v1", "LeaderWorkerSet", "leaderworkersets", true, true},
}

// path is the address of one object, or of something below it.
func (r resource) path(namespace, name string, below ...string) string {
	parts := []string{groupVersionPath(r.group, r.version)}
	if r.namespaced {
		parts = append(parts, "namespaces", url.PathEscape(namespace))
	}
	parts = append(parts, url.PathEscape(r.plural), url.PathEscape(name))
	return strings.Join(append(parts, below...), "/")
}

// rule is the right to do verb to one object of the kind, or to a subresource of it.
func (r resource) rule(verb, name string, below ...string) Rule {
	return Rule{Verb: verb, Group: r.group, Resource: strings.Join(append([]string{r.plural}, below...), "/"), Name: name}
}

func groupVersionPath(group, version string) string {
	if group == "" {
		return "/api/" + url.PathEscape(version)
	}
	return "/apis/" + url.PathEscape(group) + "/" + url.PathEscape(version)
}

// splitAPIVersion takes "apps/v1" apart; the core has no group.
func splitAPIVersion(apiVersion string) (group, version string) {
	group, version, found := strings.Cut(apiVersion, "/")
	if !found {
		return "", group
	}
	return group, version
}

// resourceOf finds out how a kind is served. An error of status 404 says that it is not served at all.
func (c *Client) resourceOf(ctx context.Context, group, version, kind string) (resource, *Error) {
	for _, known := range builtin {
		if known.group == group && known.version == version && known.kind == kind {
			return known, nil
		}
	}
	found, err := c.discover(ctx, group, version, kind)
	if err == nil || err.Answer.Status != http.StatusNotFound || group == "" {
		return found, err
	}
	// Whoever wrote the reference may have known a version that has been retired since.
	preferred, errGroup := c.preferredVersion(ctx, group)
	if errGroup != nil || preferred == version {
		return resource{}, err
	}
	return c.discover(ctx, group, preferred, kind)
}

// discover looks a kind up in what the server says of a group and version.
func (c *Client) discover(ctx context.Context, group, version, kind string) (resource, *Error) {
	path := groupVersionPath(group, version)
	rule := Rule{Verb: "get", Resource: path}
	r, failed := c.ask(ctx, question{method: http.MethodGet, path: path, accept: acceptJSON, rule: rule})
	if failed != nil {
		// What this takes is no right on a resource, and every account has it unless somebody took it away.
		if failed.Missing != (Rule{}) {
			failed.Missing = Rule{}
			failed.Answer.Detail = shown("get "+path+": the service account may not ask which kinds there are (the ClusterRole system:discovery)", r.token)
		}
		return resource{}, failed
	}
	list, err := readResources(r.body)
	if err != nil {
		return resource{}, errorf(stopper.Failed, "%s: %v", rule.doing(), err)
	}
	found, ok := list.find(group, version, kind)
	if !ok {
		gone := errorf(stopper.Gone, "the cluster serves no %s of %s/%s", kind, group, version)
		gone.Answer.Status = http.StatusNotFound
		return resource{}, gone
	}
	return found, nil
}

func (c *Client) preferredVersion(ctx context.Context, group string) (string, *Error) {
	path := "/apis/" + url.PathEscape(group)
	rule := Rule{Verb: "get", Resource: path}
	r, failed := c.ask(ctx, question{method: http.MethodGet, path: path, accept: acceptJSON, rule: rule})
	if failed != nil {
		return "", failed
	}
	version, err := readPreferredVersion(r.body)
	if err != nil {
		return "", errorf(stopper.Failed, "%s: %v", rule.doing(), err)
	}
	return version, nil
}

// resourceList is an APIResourceList: kinds, and their subresources as plural/subresource.
type resourceList struct {
	Kind      string `json:"kind"`
	Resources []struct {
		Name       string `json:"name"`
		Kind       string `json:"kind"`
		Namespaced bool   `json:"namespaced"`
	} `json:"resources"`
}

func readResources(body []byte) (resourceList, error) {
	var list resourceList
	if err := json.Unmarshal(body, &list); err != nil {
		return resourceList{}, unreadable(err)
	}
	if list.Kind != "APIResourceList" {
		return resourceList{}, fmt.Errorf("the answer is a %q, not an APIResourceList", list.Kind)
	}
	return list, nil
}

func (l resourceList) find(group, version, kind string) (resource, bool) {
	for _, r := range l.Resources {
		if r.Kind != kind || !isName(r.Name) {
			continue // isName leaves out what has a slash, the subresources
		}
		found := resource{group: group, version: version, kind: kind, plural: r.Name, namespaced: r.Namespaced}
		for _, sub := range l.Resources {
			if sub.Name == r.Name+"/scale" && sub.Kind == "Scale" {
				found.scalable = true
			}
		}
		return found, true
	}
	return resource{}, false
}

// readPreferredVersion reads an APIGroup.
func readPreferredVersion(body []byte) (string, error) {
	var group struct {
		Kind      string `json:"kind"`
		Preferred struct {
			Version string `json:"version"`
		} `json:"preferredVersion"`
	}
	if err := json.Unmarshal(body, &group); err != nil {
		return "", unreadable(err)
	}
	if group.Kind != "APIGroup" || !isName(group.Preferred.Version) {
		return "", errors.New("the answer names no version of the group")
	}
	return group.Preferred.Version, nil
}
