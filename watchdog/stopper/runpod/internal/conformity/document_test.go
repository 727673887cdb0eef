package conformity

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

const podURL = "http://127.0.0.1:1/v2/pods/testpod"

func load(t *testing.T) *Document {
	t.Helper()
	d, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func request(t *testing.T, method, url, body string) *http.Request {
	t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer key")
	req.Header.Set("Content-Type", "application/json")
	return req
}

// TestRequestIsHeldToTheDocument starts from a right request and breaks one thing in each case.
func TestRequestIsHeldToTheDocument(t *testing.T) {
	d := load(t)
	for name, c := range map[string]struct {
		method, url, body string
		change            func(*http.Request)
		wrong             bool
	}{
		"right":                {},
		"terminate":            {body: `{"action":"terminate"}`},
		"delete":               {method: http.MethodDelete, url: podURL, body: " "},
		"delete with a query":  {method: http.MethodDelete, url: podURL + "?force=true", body: " ", wrong: true},
		"delete an action":     {method: http.MethodDelete, wrong: true},
		"other action":         {body: `{"action":"hibernate"}`, wrong: true},
		"other field":          {body: `{"command":"stop"}`, wrong: true},
		"field too many":       {body: `{"action":"stop","force":true}`, wrong: true},
		"action of wrong type": {body: `{"action":1}`, wrong: true},
		"no body":              {body: " ", wrong: true},
		"path of API v1":       {url: podURL + "/stop", wrong: true},
		"wrong method":         {method: http.MethodPut, wrong: true},
		"query":                {url: podURL + "/action?api_key=x", wrong: true},
		"no bearer":            {change: func(r *http.Request) { r.Header.Del("Authorization") }, wrong: true},
		"basic authorization":  {change: func(r *http.Request) { r.SetBasicAuth("a", "b") }, wrong: true},
		"no content type":      {change: func(r *http.Request) { r.Header.Del("Content-Type") }, wrong: true},
	} {
		t.Run(name, func(t *testing.T) {
			if c.method == "" {
				c.method = http.MethodPost
			}
			if c.url == "" {
				c.url = podURL + "/action"
			}
			if c.body == "" {
				c.body = `{"action":"stop"}`
			}
			req := request(t, c.method, c.url, c.body)
			if c.change != nil {
				c.change(req)
			}
			err := d.Request(req, []byte(strings.TrimSpace(c.body)))
			if (err != nil) != c.wrong {
				t.Errorf("error %v, want one: %t", err, c.wrong)
			}
		})
	}
}

// rightPod is a pod by the document, with what is required and no more.
const rightPod = `{"id":"testpod","name":"n","status":"EXITED","actions":["start"],"image":"i","args":"","disk":5,"mounts":{},
"ports":[],"env":{"A":"b"},"registry":null,"cloud":"SECURE","dataCenterId":null,"cudaVersion":null,"ssh":{"proxy":null,"direct":null},
"template":null,"cost":0.5,"locked":false,"runtime":null,"createdAt":"2026-01-02T03:04:05Z","startedAt":null,"globalNetworking":{"enabled":false}}`

func TestAnswerIsHeldToTheDocument(t *testing.T) {
	d := load(t)
	problem := `{"title":"Forbidden","status":403,"detail":"access denied"}`
	for name, c := range map[string]struct {
		status int
		kind   string
		body   string
		change map[string]any // of rightPod; nil takes the field away
		wrong  bool
	}{
		"right pod":               {},
		"cost as text":            {change: map[string]any{"cost": "0.5"}, wrong: true},
		"cost by its old name":    {change: map[string]any{"cost": nil, "costPerHr": 0.5}, wrong: true},
		"field too many":          {change: map[string]any{"desiredStatus": "EXITED"}, wrong: true},
		"unknown status":          {change: map[string]any{"status": "STOPPED"}, wrong: true},
		"unknown action":          {change: map[string]any{"actions": []string{"reset"}}, wrong: true},
		"locked as a number":      {change: map[string]any{"locked": 0}, wrong: true},
		"runtime too rich":        {change: map[string]any{"runtime": map[string]any{"uptimeInSeconds": 1}}, wrong: true},
		"right GPU":               {change: map[string]any{"gpu": map[string]any{"id": "NVIDIA L40S", "count": 1}}},
		"GPU too rich":            {change: map[string]any{"gpu": map[string]any{"id": "NVIDIA L40S", "minCudaVersion": "13.0"}}, wrong: true},
		"no id":                   {change: map[string]any{"id": nil}, wrong: true},
		"env not text":            {change: map[string]any{"env": map[string]any{"A": 1}}, wrong: true},
		"own volume disk":         {change: map[string]any{"mounts": map[string]any{"persistent": map[string]any{"size": 20, "path": "/w"}}}},
		"disk without its size":   {change: map[string]any{"mounts": map[string]any{"persistent": map[string]any{"path": "/w"}}}, wrong: true},
		"network volume":          {change: map[string]any{"mounts": map[string]any{"network": []any{map[string]any{"volumeId": "v", "path": "/w"}}}}},
		"two network volumes":     {change: map[string]any{"mounts": map[string]any{"network": []any{map[string]any{"volumeId": "v", "path": "/w"}, map[string]any{"volumeId": "u", "path": "/u"}}}}, wrong: true},
		"storage of another kind": {change: map[string]any{"mounts": map[string]any{"ephemeral": 1}}, wrong: true},
		"wrong content type":      {kind: "text/html", wrong: true},
		"right problem":           {status: 403, kind: "application/problem+json", body: problem},
		"problem as plain JSON":   {status: 403, kind: "application/json", body: problem, wrong: true},
		"problem without detail":  {status: 403, kind: "application/problem+json", body: `{"title":"Forbidden","status":403}`, wrong: true},
		"problem of other status": {status: 401, kind: "application/problem+json", body: problem, wrong: true},
		"problem too rich":        {status: 403, kind: "application/problem+json", body: `{"title":"Forbidden","status":403,"detail":"d","message":"m"}`, wrong: true},
	} {
		t.Run(name, func(t *testing.T) {
			if c.status == 0 {
				c.status = http.StatusOK
			}
			if c.kind == "" {
				c.kind = "application/json"
			}
			if c.body == "" {
				c.body = string(changed(t, c.change))
			}
			err := d.Answer(request(t, http.MethodGet, podURL, ""), c.status, http.Header{"Content-Type": {c.kind}}, []byte(c.body))
			if (err != nil) != c.wrong {
				t.Errorf("error %v, want one: %t", err, c.wrong)
			}
		})
	}
}

// TestAnswersToATermination: a 204 without a body by either way; the action may also answer with the pod.
func TestAnswersToATermination(t *testing.T) {
	d := load(t)
	pod := http.Header{"Content-Type": {"application/json"}}
	for _, c := range []struct {
		method, url string
		status      int
		header      http.Header
		body        string
		wrong       bool
	}{
		{http.MethodDelete, podURL, 204, http.Header{}, "", false},
		{http.MethodDelete, podURL, 200, pod, "yes", true},
		{http.MethodPost, podURL + "/action", 204, http.Header{}, "", false},
		{http.MethodPost, podURL + "/action", 200, pod, rightPod, false},
		{http.MethodGet, podURL, 204, http.Header{}, "", true},
	} {
		if err := d.Answer(request(t, c.method, c.url, ""), c.status, c.header, []byte(c.body)); (err != nil) != c.wrong {
			t.Errorf("%s %s %d: error %v, want one: %t", c.method, c.url, c.status, err, c.wrong)
		}
	}
}

func changed(t *testing.T, change map[string]any) []byte {
	t.Helper()
	var pod map[string]any
	if err := json.Unmarshal([]byte(rightPod), &pod); err != nil {
		t.Fatal(err)
	}
	for name, value := range change {
		if value == nil {
			delete(pod, name)
		} else {
			pod[name] = value
		}
	}
	out, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEveryRequiredFieldIsRequired(t *testing.T) {
	d := load(t)
	var pod map[string]any
	if err := json.Unmarshal([]byte(rightPod), &pod); err != nil {
		t.Fatal(err)
	}
	for name := range pod {
		body := changed(t, map[string]any{name: nil})
		if d.Answer(request(t, http.MethodGet, podURL, ""), 200, http.Header{"Content-Type": {"application/json"}}, body) == nil {
			t.Errorf("a pod without %s passed", name)
		}
	}
}
