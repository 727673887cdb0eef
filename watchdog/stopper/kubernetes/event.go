package kubernetes

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/secret"
)

const (
	eventsGroup = "events.k8s.io"
	// eventWait bounds the writing of an Event: the stop is under way, and its report waits for this.
	eventWait = 2 * time.Second
	// maxInstance is the longest reporting instance that the API server takes.
	maxInstance = 128
)

// event is an Event of events.k8s.io/v1.
type event struct {
	APIVersion          string    `json:"apiVersion"`
	Kind                string    `json:"kind"`
	Metadata            eventMeta `json:"metadata"`
	EventTime           string    `json:"eventTime"`
	ReportingController string    `json:"reportingController"`
	ReportingInstance   string    `json:"reportingInstance"`
	Action              string    `json:"action"`
	Reason              string    `json:"reason"`
	Regarding           eventRef  `json:"regarding"`
	Related             eventRef  `json:"related"`
	Note                string    `json:"note"`
	Type                string    `json:"type"`
}

type eventMeta struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
}

type eventRef struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace"`
	Name       string `json:"name"`
	UID        string `json:"uid"`
}

// announce writes an Event on the owner that was scaled, where `kubectl describe` and `kubectl get events` show it. It is
// not worth failing for: what it returns is why it could not be written, the first time, else nothing.
func (c *Client) announce(ctx context.Context, target, pod link) string {
	if target.Namespace == "" {
		return "" // an Event lies in the namespace of what it is about
	}
	ctx, cancel := context.WithTimeout(ctx, eventWait)
	defer cancel()
	rule := Rule{Verb: "create", Group: eventsGroup, Resource: "events"}
	_, failed := c.ask(ctx, question{
		method: http.MethodPost, path: groupVersionPath(eventsGroup, "v1") + "/namespaces/" + target.Namespace + "/events",
		accept: acceptJSON, payload: c.eventOf(target, pod), rule: rule,
	})
	if failed == nil || c.eventTroubleSaid.Swap(true) {
		return ""
	}
	return "no Event on it: " + failed.Answer.Detail
}

func (c *Client) eventOf(target, pod link) event {
	now := c.now().UTC()
	// No longer than the 1,024 bytes that the API server takes: two names, a kind and a shown text.
	note := "gpu-watchdog scaled " + target.Object.String() + " from 1 replica to 0, asked by its pod " + pod.Name
	if c.why != nil {
		if why := shown(c.why(), secret.Secret{}); why != "" {
			note += ": " + why
		}
	}
	suffix := "." + strconv.FormatInt(now.UnixNano(), 16)
	return event{
		APIVersion: eventsGroup + "/v1",
		Kind:       "Event",
		// Names that Kubernetes takes for a Deployment are fit for an Event, but for their length.
		Metadata:            eventMeta{Name: strings.TrimRight(target.Name[:min(len(target.Name), maxName-len(suffix))], "-.") + suffix, Namespace: target.Namespace},
		EventTime:           now.Format("2006-01-02T15:04:05.000000Z07:00"),
		ReportingController: fieldManager,
		ReportingInstance:   pod.Name[:min(len(pod.Name), maxInstance)],
		Action:              "ScaleToZero",
		Reason:              "Stopped",
		Regarding:           refTo(target),
		Related:             refTo(pod),
		Note:                note,
		Type:                "Normal",
	}
}

func refTo(l link) eventRef {
	version := l.Version
	if l.Group != "" {
		version = fmt.Sprintf("%s/%s", l.Group, l.Version)
	}
	return eventRef{APIVersion: version, Kind: l.Kind, Namespace: l.Namespace, Name: l.Name, UID: l.UID}
}
