package report_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// chromium is a headless browser that is driven through its debugging pipe, with nothing on the network.
type chromium struct {
	t       testing.TB
	to      io.Writer
	replies chan reply
	last    int
	session string
	// loaded and complaints come from the browser by itself: pages that finished, requests to elsewhere, errors.
	loaded     int
	complaints []string
}

// reply is an answer, or an event, which has no ID.
type reply struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// startChromium skips the test where there is no browser.
func startChromium(t testing.TB) *chromium {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome-headless-shell"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skip("there is no Chromium on this machine, so nobody looked at the page; apt-get install chromium")
	}
	read, theirWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	theirRead, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	folder := t.TempDir()
	cmd := exec.CommandContext(ctx, path, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--remote-debugging-pipe", "--user-data-dir="+folder)
	cmd.Env = append(os.Environ(), "HOME="+folder)
	cmd.ExtraFiles = []*os.File{theirRead, theirWrite} // 3 and 4, as the browser wants them
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	theirRead.Close()
	theirWrite.Close()
	b := &chromium{t: t, to: write, replies: make(chan reply, 10_000)}
	go func() { // ends with the browser
		defer close(b.replies)
		for in := bufio.NewReader(read); ; {
			message, err := in.ReadBytes(0)
			if err != nil {
				return
			}
			var r reply
			if json.Unmarshal(bytes.TrimSuffix(message, []byte{0}), &r) == nil {
				b.replies <- r
			}
		}
	}()
	t.Cleanup(func() {
		fmt.Fprint(write, `{"id":1000000,"method":"Browser.close"}`+"\x00")
		write.Close()
		for range b.replies { // until the browser has ended
		}
		_ = cmd.Wait()
		cancel()
		read.Close()
		if t.Failed() {
			t.Logf("the browser says: %.4000s", said.String())
		}
	})
	var target struct{ TargetID, SessionID string }
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &target)
	b.session = target.SessionID
	for _, domain := range []string{"Page", "Network", "Log", "Runtime"} {
		b.call(domain+".enable", nil, nil)
	}
	return b
}

// call asks the browser, and keeps what it tells by itself meanwhile.
func (b *chromium) call(method string, params map[string]any, result any) {
	b.t.Helper()
	b.last++
	message := map[string]any{"id": b.last, "method": method}
	if params != nil {
		message["params"] = params
	}
	if b.session != "" {
		message["sessionId"] = b.session
	}
	text, err := json.Marshal(message)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.to.Write(append(text, 0)); err != nil {
		b.t.Fatalf("%s: %v", method, err)
	}
	for {
		r := b.next(method)
		if r.ID != b.last {
			continue
		}
		if r.Error != nil {
			b.t.Fatalf("%s: %s", method, r.Error.Message)
		}
		if result != nil {
			if err := json.Unmarshal(r.Result, result); err != nil {
				b.t.Fatalf("%s: %v in %.300s", method, err, r.Result)
			}
		}
		return
	}
}

// next waits for whatever the browser says next.
func (b *chromium) next(awaited string) reply {
	b.t.Helper()
	timer := time.NewTimer(30 * time.Second)
	defer timer.Stop()
	select {
	case r, ok := <-b.replies:
		if !ok {
			b.t.Fatalf("%s: the browser ended", awaited)
		}
		switch r.Method {
		case "Page.loadEventFired":
			b.loaded++
		case "Log.entryAdded", "Runtime.exceptionThrown", "Runtime.consoleAPICalled":
			b.complaints = append(b.complaints, string(r.Params))
		case "Network.requestWillBeSent":
			var p struct{ Request struct{ URL string } }
			if err := json.Unmarshal(r.Params, &p); err != nil || !strings.HasPrefix(p.Request.URL, "file:") && !strings.HasPrefix(p.Request.URL, "data:") {
				b.complaints = append(b.complaints, "it asks for "+p.Request.URL)
			}
		}
		return r
	case <-timer.C:
		b.t.Fatalf("%s: the browser has not answered for 30 s", awaited)
	}
	return reply{}
}

// prefer is what a person has asked the machine for: light or dark.
func (b *chromium) prefer(scheme string) {
	b.t.Helper()
	b.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

// open shows a file in a window of a width.
func (b *chromium) open(path string, width int) {
	b.t.Helper()
	b.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": false}, nil)
	before := b.loaded
	b.call("Page.navigate", map[string]any{"url": "file://" + path}, nil)
	for b.loaded == before {
		b.next("the page")
	}
}

// evaluate runs a script in the page, and reads its value.
func (b *chromium) evaluate(script string, value any) {
	b.t.Helper()
	var out struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct{ Exception struct{ Description string } }
	}
	b.call("Runtime.evaluate", map[string]any{"expression": script, "returnByValue": true}, &out)
	if out.ExceptionDetails != nil {
		b.t.Fatalf("script: %s", out.ExceptionDetails.Exception.Description)
	}
	if err := json.Unmarshal(out.Result.Value, value); err != nil {
		b.t.Fatalf("script: %v in %.300s", err, out.Result.Value)
	}
}

// picture writes the whole page as a PNG.
func (b *chromium) picture(path string, width int) {
	b.t.Helper()
	var height float64
	b.evaluate("document.documentElement.scrollHeight", &height)
	var shot struct{ Data string }
	b.call("Page.captureScreenshot", map[string]any{"captureBeyondViewport": true, "clip": map[string]any{"x": 0, "y": 0, "width": width, "height": height, "scale": 1}}, &shot)
	png, err := base64.StdEncoding.DecodeString(shot.Data)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}
