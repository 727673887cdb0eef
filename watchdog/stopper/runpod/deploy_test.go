package runpod_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/runpod/internal/conformity"
)

type object = map[string]any

// TestWhatIsDeployedIsByTheDocument holds the bodies that users send to RunPod to its document, and each of them with one thing
// broken to not being so.
func TestWhatIsDeployedIsByTheDocument(t *testing.T) {
	document, err := conformity.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, sent := range []struct {
		file, path string
		broken     map[string]object // what is put in place of a field; nil takes it away
	}{
		{"template.json", "/v2/templates", map[string]object{
			"no name":                   {"name": nil},
			"empty name":                {"name": ""},
			"no image":                  {"image": nil},
			"arguments as a list":       {"args": []string{"model"}},
			"field of API v1":           {"dockerStartCmd": []string{"model"}},
			"field of API v1, of disks": {"volumeInGb": 20},
			"settings that are no text": {"env": object{"WATCHDOG_DRY_RUN": true}},
			"volume too small":          {"mounts": object{"persistent": object{"size": 5, "path": "/workspace"}}},
			"volume without a path":     {"mounts": object{"persistent": object{"size": 50}}},
			"network volume":            {"mounts": object{"network": []object{{"volumeId": "v", "path": "/workspace"}}}},
			"no such category":          {"category": "GPU"},
			"no disk":                   {"disk": 0},
		}},
		{"pod.json", "/v2/pods", map[string]object{
			"no name":                    {"name": nil},
			"GPU without a name":         {"gpu": object{"count": 1}},
			"GPU by its old name":        {"gpuTypeIds": []string{"NVIDIA L40S"}},
			"driver without a point":     {"gpu": object{"id": "NVIDIA L40S", "minCudaVersion": "13"}},
			"volume without a path":      {"mounts": object{"network": []object{{"volumeId": "v"}}}},
			"two network volumes":        {"mounts": object{"network": []object{{"volumeId": "v", "path": "/a"}, {"volumeId": "w", "path": "/b"}}}},
			"volume by its old name":     {"networkVolumeId": "v"},
			"data center by old name":    {"dataCenterId": "US-TX-3"},
			"spot, which v2 does not":    {"interruptible": true},
			"neither template nor image": {"templateId": nil},
		}},
	} {
		t.Run(sent.file, func(t *testing.T) {
			text, err := os.ReadFile("../../../deploy/runpod/" + sent.file)
			if err != nil {
				t.Fatal(err)
			}
			var body object
			if err := json.Unmarshal(text, &body); err != nil {
				t.Fatal(err)
			}
			if err := sending(t, document, sent.path, body); err != nil {
				t.Errorf("the file itself: %v", err)
			}
			for name, change := range sent.broken {
				wrong := maps.Clone(body)
				for field, value := range change {
					wrong[field] = value
					if value == nil {
						delete(wrong, field)
					}
				}
				if err := sending(t, document, sent.path, wrong); err == nil {
					t.Errorf("%s: it passes", name)
				}
			}
		})
	}
}

// sending says what RunPod's document has against a body that is sent to a path.
func sending(t *testing.T, document *conformity.Document, path string, body object) error {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest(http.MethodPost, "https://api.runpod.io"+path, strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	return document.Request(req, text)
}
