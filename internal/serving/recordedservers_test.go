package serving

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/collector/vllm"
)

// Servers of six versions, from before their first request to after five finished streams and three requests of one token (each
// folder a version, each page LABEL-STATE.metrics.txt, perhaps with .gz). Nothing of it is garbage, and the counts are the client's.
func TestRecordedServers(t *testing.T) {
	root := os.Getenv(recordings)
	if root == "" {
		t.Skip("set " + recordings + " to a folder of recorded pages")
	}
	first, err := filepath.Glob(filepath.Join(root, "*", "*-b-ready-no-request-yet.metrics.txt*"))
	if err != nil || len(first) == 0 {
		t.Fatalf("%s has no recorded servers: %v", root, err)
	}
	for _, path := range first {
		label, _, _ := strings.Cut(path, "-b-ready")
		if strings.Contains(label, "nologstats") {
			continue
		}
		t.Run(strings.TrimPrefix(label, root), func(t *testing.T) {
			tracker := NewTracker(Day)
			at := start
			for i, state := range []string{"b-ready-no-request-yet", "c-running-and-waiting", "d0-just-after-all-finished", "d-2s-after-all-finished"} {
				at = at.Add(30 * time.Second)
				if why := tracker.Read("a", at, recorded(t, label+"-"+state)); why != "" {
					t.Fatalf("page %d: %s", i, why)
				}
			}
			w := tracker.Window(Day, at)
			tokens := w.OutputTokens()
			if w.Requests() != known(5) || w.PromptTokens() != known(1529) || tokens != known(6000) && tokens != known(4000) {
				t.Errorf("%+v requests, %+v prompt tokens, %+v output tokens", w.Requests(), w.PromptTokens(), tokens)
			}
			for f := range vllm.NumFamilies {
				got := w.Figure(f)
				if got.Refused > 0 || !got.Mean.Known {
					t.Errorf("family %d: %+v", f, got)
				}
				if f != vllm.InterToken && f != vllm.PerOutputToken && got.Count != 5 {
					t.Errorf("family %d: %v observations", f, got.Count)
				}
			}
			if got := w.Figure(vllm.InterToken); got.Count != tokens.Value-5 {
				t.Errorf("%v gaps between %v tokens", got.Count, tokens.Value)
			}
			perToken, gaps := w.Figure(vllm.PerOutputToken).Mean.Value, w.Figure(vllm.InterToken).Mean.Value
			if perToken < gaps*.9 || perToken > gaps*1.1 {
				t.Errorf("%v s for each token, %v s between two", perToken, gaps)
			}
			// Three requests of one token have no time per token, whatever the server says.
			before := w.Figure(vllm.PerOutputToken)
			for _, state := range []string{"e-2s-after-abort", "g-after-3-one-token-requests"} {
				at = at.Add(30 * time.Second)
				if why := tracker.Read("a", at, recorded(t, label+"-"+state)); why != "" {
					t.Fatalf("%s: %s", state, why)
				}
			}
			w = tracker.Window(Day, at)
			if after := w.Figure(vllm.PerOutputToken); after.Count != before.Count || after.Mean != before.Mean || w.Requests() != known(8) {
				t.Errorf("after %+v requests the time per token is %+v, was %+v", w.Requests(), after, before)
			}
		})
	}
}

// A server that aborted four requests, two of which had never run: their prefill is as long as its host was up.
func TestRecordedServerAbort(t *testing.T) {
	root := os.Getenv(recordings)
	if root == "" {
		t.Skip("set " + recordings + " to a folder of recorded pages")
	}
	tracker := NewTracker(Day)
	tracker.Read("a", start, recorded(t, filepath.Join(root, "0.32.0", "serverabort-1-2-running-2-waiting")))
	tracker.Read("a", start.Add(30*time.Second), recorded(t, filepath.Join(root, "0.32.0", "serverabort-2-after-pause-mode-abort")))
	w := tracker.Window(Day, start.Add(30*time.Second))
	for _, f := range []vllm.Family{vllm.TTFT, vllm.Prefill, vllm.EndToEnd} {
		if got := w.Figure(f); got.Count != 0 || got.Mean.Known || got.Refused != 1 {
			t.Errorf("family %d: %+v", f, got)
		}
	}
	if got := w.Figure(vllm.InterToken); !got.Mean.Known || w.Aborted() != 4 {
		t.Errorf("%+v, %v aborted", got, w.Aborted())
	}
}

func recorded(t *testing.T, path string) *vllm.Serving {
	t.Helper()
	path += ".metrics.txt"
	body, err := os.ReadFile(path)
	if err != nil {
		body = unpack(t, filepath.Dir(path), filepath.Base(path)+".gz")
	}
	var page vllm.Serving
	if err := vllm.ParseServing(body, "", &page); err != nil {
		t.Fatal(err)
	}
	if page.StartedAt > 0 {
		page.StartedAt = float64(start.Unix()) - 60 // when the page was read is not on it
	}
	return &page
}
