package runpod

import (
	"bytes"
	"context"
	"encoding/json"
	"strconv"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
)

// maxShownPath bounds the mount path within a refusal, which must keep room for its remedies.
const maxShownPath = 64

// storage is what a pod has beside its container disk.
type storage struct {
	// own is the volume disk of the pod's own in words, which is deleted with the pod; empty where there is none.
	own string
	// network: there is a network volume, which outlives the pod.
	network bool
}

// mounts is REST v2's field of that name. It is known only where every word of it is one that the document has: storage
// of a kind that is not known here could be lost, too.
type mounts struct {
	watchdog.Maybe[storage]
}

// mountsForm is the document's schema Mounts, against which a test holds it.
type mountsForm struct {
	Persistent *struct {
		SizeGB float64 `json:"size"`
		Path   string  `json:"path"`
	} `json:"persistent"`
	Network []struct {
		VolumeID string `json:"volumeId"`
		Path     string `json:"path"`
	} `json:"network"`
}

// UnmarshalJSON never fails.
func (m *mounts) UnmarshalJSON(b []byte) error {
	m.Maybe = watchdog.Maybe[storage]{}
	var found mountsForm
	strict := json.NewDecoder(bytes.NewReader(b))
	strict.DisallowUnknownFields()
	if string(b) == "null" || strict.Decode(&found) != nil {
		return nil
	}
	m.Maybe = watchdog.Known(storage{network: len(found.Network) > 0})
	if p := found.Persistent; p != nil {
		m.Value.own = volumeDisk(p.SizeGB, p.Path)
	}
	return nil
}

func volumeDisk(sizeGB float64, path string) string {
	text := "the pod's own volume disk"
	if sizeGB > 0 {
		text += " of " + strconv.FormatFloat(sizeGB, 'g', 6, 64) + " GB"
	}
	if path != "" && len(path) <= maxShownPath {
		text += " at " + path
	}
	return text
}

// storage is what GraphQL tells: a network volume takes the place of the pod's own, whose size may then say anything.
func (p graphqlPod) storage() watchdog.Maybe[storage] {
	switch size := p.VolumeInGb; {
	case size.Known && size.Value == 0:
		return watchdog.Known(storage{network: p.NetworkVolume.Value != ""})
	case size.Known && size.Value > 0 && p.NetworkVolume.Value != "":
		return watchdog.Known(storage{network: true})
	case size.Known && size.Value > 0:
		return watchdog.Known(storage{own: volumeDisk(size.Value, "")})
	}
	return watchdog.Maybe[storage]{}
}

// WouldLose says, for people, what a termination would delete for good beside the container disk, whose content every stop
// loses; empty where that is nothing. It reads and changes nothing, whatever Config.Action is. An error means that it is
// unknown; like that of Describe it wraps a ReadError for each way.
func (c *Client) WouldLose(ctx context.Context) (string, error) {
	pod, first := c.readV2(ctx)
	if first == nil {
		if pod.storage.Known {
			return c.clean(pod.storage.Value.own), nil
		}
		first = &ReadError{Source: "v2", Answer: stopper.Answer{Status: 200, Detail: "no mounts in the answer that are understood"}}
	}
	found, second := c.storageByGraphQL(ctx)
	if second != nil {
		return "", &describeError{podID: c.podID, reads: []*ReadError{first, second}}
	}
	return c.clean(found.own), nil
}

func (c *Client) storageByGraphQL(ctx context.Context) (storage, *ReadError) {
	found, answer := c.graphql(ctx, storageQuery, func(d graphqlData) loosely[graphqlPod] { return d.Pod })
	if answer.Kind == stopper.Accepted {
		if s := found.storage(); s.Known {
			return s.Value, nil
		}
		answer.Kind, answer.Detail = stopper.Failed, "no volumeInGb in the answer that is understood"
	}
	return storage{}, &ReadError{Source: "graphql", Answer: answer}
}
