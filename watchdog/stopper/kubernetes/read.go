package kubernetes

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

const (
	// maxName is the longest name that Kubernetes gives to anything.
	maxName = 253
	maxUID  = 128
)

var (
	// nameForm is wider than any kind's own rule, and yet safe as a part of a path.
	nameForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._:-]*[A-Za-z0-9])?$`)
	uidForm  = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	kindForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*$`)
)

func isName(s string) bool { return len(s) <= maxName && nameForm.MatchString(s) }
func isUID(s string) bool  { return len(s) <= maxUID && uidForm.MatchString(s) }
func isKind(s string) bool { return len(s) <= 63 && kindForm.MatchString(s) }

// status is Kubernetes' Status, as far as it is shown.
type status struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
	Reason  string `json:"reason"`
	Details struct {
		RetryAfterSeconds float64 `json:"retryAfterSeconds"`
	} `json:"details"`
}

// readStatus reads a Status; fields of another type than they should have are left out.
func readStatus(body []byte) (status, bool) {
	var told status
	err := json.Unmarshal(body, &told)
	var mistyped *json.UnmarshalTypeError
	if err != nil && !errors.As(err, &mistyped) || told.Kind != "Status" {
		return status{}, false
	}
	return told, true
}

// metadata is what is read of any object.
type metadata struct {
	Name            string         `json:"name"`
	UID             string         `json:"uid"`
	ResourceVersion string         `json:"resourceVersion"`
	Deleted         string         `json:"deletionTimestamp"`
	Owners          []ownerRef     `json:"ownerReferences"`
	Managed         []managedField `json:"managedFields"`
}

type ownerRef struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	UID        string `json:"uid"`
	Controller bool   `json:"controller"`
}

// managedField says which fields one manager has set, and when it last changed one of them.
type managedField struct {
	Manager     string          `json:"manager"`
	Operation   string          `json:"operation"`
	Subresource string          `json:"subresource"`
	Time        string          `json:"time"`
	Fields      json.RawMessage `json:"fieldsV1"`
}

// controller is the owner that manages the object, of which there is at most one.
func (m metadata) controller() (ownerRef, bool) {
	for _, o := range m.Owners {
		if o.Controller {
			return o, true
		}
	}
	return ownerRef{}, false
}

// readMetadata reads the metadata of the object of that kind and name, whole or alone.
func readMetadata(body []byte, kind, name string) (metadata, error) {
	var object struct {
		Kind string   `json:"kind"`
		Meta metadata `json:"metadata"`
	}
	if err := json.Unmarshal(body, &object); err != nil {
		return metadata{}, unreadable(err)
	}
	switch {
	case object.Kind != kind && object.Kind != "PartialObjectMetadata":
		return metadata{}, fmt.Errorf("the answer is a %q, not a %s", object.Kind, kind)
	case object.Meta.Name != name:
		return metadata{}, fmt.Errorf("the answer is about %q", object.Meta.Name)
	case !isUID(object.Meta.UID):
		return metadata{}, errors.New("the answer has no uid")
	}
	return object.Meta, nil
}

// scale is what is read of a Scale of autoscaling/v1.
type scale struct {
	name, uid, resourceVersion string
	// wanted is spec.replicas, there is status.replicas.
	wanted int32
	there  watchdog.Maybe[int32]
}

// readScale reads the Scale of the object of that name. Kubernetes leaves spec.replicas out where it is 0; a Scale
// without any spec is none.
func readScale(body []byte, name string) (scale, error) {
	var s struct {
		Kind       string   `json:"kind"`
		APIVersion string   `json:"apiVersion"`
		Meta       metadata `json:"metadata"`
		Spec       *struct {
			Replicas int32 `json:"replicas"`
		} `json:"spec"`
		Status struct {
			Replicas *int32 `json:"replicas"`
		} `json:"status"`
	}
	if err := json.Unmarshal(body, &s); err != nil {
		return scale{}, unreadable(err)
	}
	switch {
	case s.Kind != "Scale" || s.APIVersion != scaleAPIVersion:
		return scale{}, fmt.Errorf("the answer is a %q of %q, not a Scale of %s", s.Kind, s.APIVersion, scaleAPIVersion)
	case s.Meta.Name != name:
		return scale{}, fmt.Errorf("the answer is about %q", s.Meta.Name)
	case !isUID(s.Meta.UID):
		return scale{}, errors.New("the answer has no uid")
	case s.Meta.ResourceVersion == "":
		return scale{}, errors.New("the answer has no resourceVersion, so a scaling at the same time could not be told")
	case s.Spec == nil || s.Spec.Replicas < 0:
		return scale{}, errors.New("the answer does not say how many replicas are wanted")
	}
	found := scale{name: s.Meta.Name, uid: s.Meta.UID, resourceVersion: s.Meta.ResourceVersion, wanted: s.Spec.Replicas}
	if s.Status.Replicas != nil && *s.Status.Replicas >= 0 {
		found.there = watchdog.Known(*s.Status.Replicas)
	}
	return found, nil
}

// unreadable says that an answer is no JSON of the form that is needed, without showing any of it.
func unreadable(err error) error {
	var mistyped *json.UnmarshalTypeError
	if errors.As(err, &mistyped) && isKind(strings.ReplaceAll(mistyped.Field, ".", "")) {
		return fmt.Errorf("the answer has another type than expected in %s", mistyped.Field)
	}
	return errors.New("the answer cannot be read")
}
