package runpod

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// TestMounts: whatever is not of the document's form is unknown, and unknown is never "nothing is lost".
func TestMounts(t *testing.T) {
	unknown := watchdog.Maybe[storage]{}
	network := watchdog.Known(storage{network: true})
	own := func(text string) watchdog.Maybe[storage] { return watchdog.Known(storage{own: text}) }
	for body, want := range map[string]watchdog.Maybe[storage]{
		`{}`: watchdog.Known(storage{}),
		`{"persistent":{"size":20,"path":"/workspace"}}`:                own("the pod's own volume disk of 20 GB at /workspace"),
		`{"persistent":{"size":0,"path":""}}`:                           own("the pod's own volume disk"),
		`{"persistent":{}}`:                                             own("the pod's own volume disk"),
		`{"persistent":{"path":"/` + strings.Repeat("a", 64) + `"}}`:    own("the pod's own volume disk"),
		`{"persistent":null}`:                                           watchdog.Known(storage{}),
		`{"network":[{"volumeId":"v","path":"/p"}]}`:                    network,
		`{"network":[]}`:                                                watchdog.Known(storage{}),
		`{"network":null}`:                                              watchdog.Known(storage{}),
		`{"persistent":{"size":20},"network":[{"volumeId":"v"}]}`:       watchdog.Known(storage{own: "the pod's own volume disk of 20 GB", network: true}),
		`{"ephemeral":{}}`:                                              unknown,
		`{"network":[{"volumeId":"v","path":"/p"}],"cache":{"size":9}}`: unknown,
		`{"persistent":{"size":20,"path":"/w","snapshot":true}}`:        unknown,
		`{"persistent":{"size":"20"}}`:                                  unknown,
		`{"persistent":true}`:                                           unknown,
		`{"network":{"volumeId":"v"}}`:                                  unknown,
		`null`:                                                          unknown,
		`[]`:                                                            unknown,
		`"none"`:                                                        unknown,
	} {
		var pod v2Pod
		if err := json.Unmarshal([]byte(`{"mounts":`+body+`}`), &pod); err != nil {
			t.Fatal(err)
		}
		if pod.Mounts.Maybe != want {
			t.Errorf("%s: %+v, want %+v", body, pod.Mounts.Maybe, want)
		}
	}
	var pod v2Pod
	if err := json.Unmarshal([]byte(`{}`), &pod); err != nil || pod.Mounts.Known {
		t.Errorf("no mounts: %+v, error %v", pod.Mounts, err)
	}
}

func TestGraphQLStorage(t *testing.T) {
	unknown := watchdog.Maybe[storage]{}
	for body, want := range map[string]watchdog.Maybe[storage]{
		`{"volumeInGb":0}`:                              watchdog.Known(storage{}),
		`{"volumeInGb":0,"networkVolumeId":null}`:       watchdog.Known(storage{}),
		`{"volumeInGb":0,"networkVolumeId":"v"}`:        watchdog.Known(storage{network: true}),
		`{"volumeInGb":40,"networkVolumeId":"v"}`:       watchdog.Known(storage{network: true}),
		`{"volumeInGb":40,"networkVolumeId":""}`:        watchdog.Known(storage{own: "the pod's own volume disk of 40 GB"}),
		`{"volumeInGb":40,"networkVolumeId":7}`:         watchdog.Known(storage{own: "the pod's own volume disk of 40 GB"}),
		`{"volumeInGb":0.5}`:                            watchdog.Known(storage{own: "the pod's own volume disk of 0.5 GB"}),
		`{"volumeInGb":-1,"networkVolumeId":"v"}`:       unknown,
		`{"volumeInGb":"0"}`:                            unknown,
		`{"volumeInGb":null,"networkVolumeId":"v"}`:     unknown,
		`{"volumeInGb":false}`:                          unknown,
		`{}`:                                            unknown,
		`{"volume_in_gb":0,"networkVolume":{"id":"v"}}`: unknown,
	} {
		var pod graphqlPod
		if err := json.Unmarshal([]byte(body), &pod); err != nil {
			t.Fatal(err)
		}
		if got := pod.storage(); got != want {
			t.Errorf("%s: %+v, want %+v", body, got, want)
		}
	}
}
