package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/test/e2e/internal/stage"
)

var acts = []stage.Act[*play]{
	{Name: "start", About: "vLLM starts under exec", Run: (*play).start},
	{Name: "kill", About: "the watchdog is killed again and again under load", Run: (*play).kill},
	{Name: "term", About: "SIGTERM while streams are open", Run: (*play).term},
	{Name: "wrong-model", About: "a model that is not there, on RunPod", Run: (*play).wrongModel},
	{Name: "dead", About: "the engine hangs, and then dies, on RunPod", Run: (*play).dead},
	{Name: "job", About: "a job that ends, on RunPod", Run: (*play).job},
}

// readyMost is how long vLLM may take to get ready on a slow machine.
const readyMost = 5 * time.Minute

// play is what is on the stage.
type play struct {
	config config
	report *stage.Report
	pod    stage.Pod
	w      *wrapped
}

func (p *play) leave() {
	if p.w != nil {
		p.w.end()
	}
	p.w = nil
}

// stand sees that vLLM serves under exec, off RunPod.
func (p *play) stand(ctx context.Context) error {
	if p.w != nil {
		return nil
	}
	w, err := p.wrap(ctx, "serves", false, func(port string) []string { return stage.Command(p.config.venv, p.config.model, port) })
	if err != nil {
		return err
	}
	p.w = w
	return w.ready(ctx)
}

func (w *wrapped) ready(ctx context.Context) error {
	if !stage.Until(ctx, readyMost, func() bool { return w.health(ctx) == http.StatusOK || w.ended() }) || w.ended() {
		return fmt.Errorf("vLLM is not ready; the end of %s:\n%s", w.log, stage.Tail(w.log))
	}
	return nil
}

var quick = &http.Client{Timeout: time.Second}

// health is the status of the server's /health, 0 where there is no answer.
func (w *wrapped) health(ctx context.Context) int {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.url+"/health", nil)
	if err != nil {
		return 0
	}
	resp, err := quick.Do(req)
	if err != nil {
		return 0
	}
	resp.Body.Close()
	return resp.StatusCode
}

var patient = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}}

// complete asks for so many tokens; a stream is read to its end, where seen is called at its first bytes.
func (w *wrapped) complete(ctx context.Context, tokens int, stream bool, seen func()) error {
	body, err := json.Marshal(map[string]any{"model": stage.ModelName, "prompt": "say something about nothing", "max_tokens": tokens, "ignore_eos": true, "stream": stream})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url+"/v1/completions", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := patient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	buf := make([]byte, 32<<10)
	if n, _ := resp.Body.Read(buf); n > 0 && seen != nil {
		seen()
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("HTTP %d", resp.StatusCode)
	}
	return nil
}

func (p *play) start(ctx context.Context) error {
	if err := p.stand(ctx); err != nil {
		return err
	}
	ready := time.Now()
	found, err := p.w.await(ctx, 30*time.Second, "cold start phases", func(l line) bool { return l.is("cold start phases") })
	if err != nil {
		return err
	}
	good, sum := true, 0.0
	var evidence []string
	for _, name := range []string{"boot", "prepare", "weights", "compile", "capture", "warm_up", "serve"} {
		seconds, known := found.number(name + "_seconds")
		usd, priced := found.number(name + "_usd")
		// Nothing is compiled nor captured on a CPU with --enforce-eager.
		good = good && known == priced && (known || name == "compile" || name == "capture")
		sum += seconds
		if known {
			evidence = append(evidence, fmt.Sprintf("%s: %.2f s, $%.6f", name, seconds, usd))
		}
	}
	total, _ := found.number("total_seconds")
	measured := p.w.find(func(l line) bool { return l.is("cold start measured") })
	took := ready.Sub(p.w.find(func(line) bool { return true })[0].at).Seconds()
	p.report.Check("the phases of a measured start are logged, add up, and name a remedy", good && len(measured) == 1 && sum > total-0.01 && sum < total+0.01 && found.word("remedy") != "" && total > took-20,
		append(evidence, fmt.Sprintf("in all %.2f s; %s takes most: %s", total, found.word("longest_phase"), found.word("remedy")))...)

	server, err := p.w.child(ctx, "vllm", 0)
	if err != nil {
		return err
	}
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", server))
	if err != nil {
		return err
	}
	var ours []string
	for variable := range strings.SplitSeq(string(environ), "\x00") {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, "WATCHDOG_") || name == "GPU_WATCHDOG_LINK" || name == "GOMAXPROCS" || name == "RUNPOD_API_KEY" {
			ours = append(ours, name)
		}
	}
	p.report.Check("nothing of ours is in vLLM's environment", len(ours) == 0 && len(environ) > 0, fmt.Sprintf("%d bytes, of which ours: %v", len(environ), ours))
	return nil
}

// load keeps clients busy until ctx ends, and counts.
func (w *wrapped) load(ctx context.Context) func() (served int, failed []error) {
	var mu sync.Mutex
	var served int
	var failed []error
	var clients sync.WaitGroup
	stop := make(chan struct{})
	for n := range 3 {
		clients.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				err := w.complete(ctx, 16+40*n, n == 2, nil)
				mu.Lock()
				if served++; err != nil {
					served--
					failed = append(failed, err)
				}
				mu.Unlock()
			}
		})
	}
	return func() (int, []error) {
		close(stop)
		clients.Wait()
		return served, failed
	}
}

func (p *play) kill(ctx context.Context) error {
	if err := p.stand(ctx); err != nil {
		return err
	}
	w := p.w
	server, err := w.child(ctx, "vllm", 0)
	if err != nil {
		return err
	}
	tree := stage.Descendants(server)
	finish := w.load(ctx)
	began, last := time.Now(), 0
	var failure error
	for n := range p.config.kills {
		watch, err := w.child(ctx, watcher, last)
		if err != nil {
			failure = err
			break
		}
		// In turns one that has looked, which is started again at once, and one that is just starting.
		life := 5200 * time.Millisecond
		if n%2 == 1 {
			life = time.Duration(n%10) * 100 * time.Millisecond
		}
		stage.Rest(ctx, life)
		if failure = syscall.Kill(watch, syscall.SIGKILL); failure != nil {
			break
		}
		last = watch
	}
	lasted := time.Since(began)
	again, err := w.child(ctx, watcher, last)
	served, failed := finish()
	if failure != nil {
		return failure
	}
	ended := w.find(func(l line) bool { return l.is("watchdog ended") })
	still := slices.Equal(stage.Descendants(server), tree)
	p.report.Check(fmt.Sprintf("the watchdog is killed %d times under load: vLLM's processes are the same, and no request is lost", p.config.kills),
		err == nil && len(failed) == 0 && served > 0 && still && len(ended) == p.config.kills && stage.Alive(server) && !w.ended(),
		fmt.Sprintf("%d requests served in %.0f s, %d failed %v", served, lasted.Seconds(), len(failed), failed[:min(3, len(failed))]),
		fmt.Sprintf("vLLM is process %d with %d more, as before: %t; %d ends of the watchdog are in the log; the present one is process %d", server, len(tree)-1, still, len(ended), again))
	started := func(l line) bool { return l.is("watchdog started") }
	before := len(w.find(started))
	stage.Until(ctx, 10*time.Second, func() bool { return len(w.find(started)) > before || before > 0 })
	return nil
}

func (p *play) term(ctx context.Context) error {
	if err := p.stand(ctx); err != nil {
		return err
	}
	w := p.w
	server, err := w.child(ctx, "vllm", 0)
	if err != nil {
		return err
	}
	all := stage.Descendants(w.cmd.Process.Pid)
	var streams, seen sync.WaitGroup
	stay, leave := context.WithCancel(ctx)
	defer leave()
	for range 2 {
		seen.Add(1)
		streams.Go(func() {
			var once sync.Once
			_ = w.complete(stay, 4000, true, func() { once.Do(seen.Done) }) // it is cut
			once.Do(seen.Done)
		})
	}
	seen.Wait()
	sent := time.Now()
	if err := w.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	passed := stage.Until(ctx, 5*time.Second, func() bool { return w.health(ctx) != http.StatusOK })
	heard := time.Since(sent)
	gone := stage.Until(ctx, 30*time.Second, w.ended)
	took := time.Since(sent)
	if !gone {
		return fmt.Errorf("exec still runs")
	}
	left := slices.DeleteFunc(all, func(pid int) bool { return !stage.Alive(pid) })
	killed := w.find(func(l line) bool { return l.is("server killed") })
	const grace = 8 * time.Second
	status := w.status()
	right := status == 0 || status == 128+15 || status == 128+9 && len(killed) == 1
	p.report.Check("SIGTERM comes to vLLM at once, and all is gone within the grace though clients wait", passed && heard < 2*time.Second && took < grace+time.Second && len(left) == 0 && right,
		fmt.Sprintf("vLLM (process %d) serves no more after %.2f s; exec was gone after %.2f s (grace %.0f s) with status %d, vLLM killed: %t; %d processes left", server, heard.Seconds(), took.Seconds(), grace.Seconds(), status, len(killed) == 1, len(left)))
	leave()
	streams.Wait()
	p.leave()
	return nil
}

// stopped waits for a stop for that reason, and holds exec to staying on.
func (p *play) stopped(ctx context.Context, name string, w *wrapped, most time.Duration, reason string, more func() (bool, string)) error {
	decided, err := w.await(ctx, most, "a stop for "+reason, func(l line) bool {
		return l.is("decision") && l.word("verdict") == "stop" && l.word("reason") == reason
	})
	if err != nil {
		return err
	}
	accepted := stage.Until(ctx, time.Minute, func() bool { return w.provider.Stops() > 0 })
	held := w.find(func(l line) bool { return l.is("decision") && l.word("verdict") == "stop" })
	fine, what := more()
	p.report.Check(name, accepted && fine && !w.ended(),
		fmt.Sprintf("decided: %s, %s", reason, decided.word("detail")),
		fmt.Sprintf("RunPod got %d request(s) for a stop, %d stop verdict(s), %.1f s after the first; exec stays on: %t", w.provider.Stops(), len(held), time.Since(decided.at).Seconds(), !w.ended()), what)
	return nil
}

func (p *play) wrongModel(ctx context.Context) error {
	p.leave()
	missing := filepath.Join(p.config.work, "no-such-model")
	w, err := p.wrap(ctx, "wrong-model", true, func(port string) []string { return stage.Command(p.config.venv, missing, port) })
	if err != nil {
		return err
	}
	p.w = w
	return p.stopped(ctx, "a server that cannot start is crash_loop, with vLLM's last lines, and the pod is stopped", w, 8*time.Minute, "crash_loop", func() (bool, string) {
		ends := w.find(func(l line) bool { return l.is("server ended") })
		told := w.find(func(l line) bool {
			return l.fields != nil && !l.is("server ended") && strings.Contains(l.text, "no-such-model")
		})
		if len(told) == 0 {
			return len(ends) >= 5, fmt.Sprintf("%d starts failed; no line of the watchdog's has vLLM's last words yet", len(ends))
		}
		return len(ends) >= 5, fmt.Sprintf("%d starts failed; %q tells vLLM's last words: %.300s", len(ends), told[0].word("msg"), told[0].text)
	})
}

func (p *play) dead(ctx context.Context) error {
	p.leave()
	w, err := p.wrap(ctx, "dead", true, func(port string) []string { return stage.Command(p.config.venv, p.config.model, port) },
		// One that goes on without its engine is not started again. Within STARTUP_TIMEOUT of its start it may be loading still.
		"VLLM_KEEP_ALIVE_ON_ENGINE_DEATH=1", "WATCHDOG_STARTUP_TIMEOUT=90s")
	if err != nil {
		return err
	}
	p.w = w
	if err := w.ready(ctx); err != nil {
		return err
	}
	engine, err := stage.ProcessNamed(w.cmd.Process.Pid, "EngineCore")
	if err != nil {
		return err
	}
	if err := syscall.Kill(engine, syscall.SIGSTOP); err != nil {
		return err
	}
	hanging, leave := context.WithCancel(ctx)
	defer leave()
	var clients sync.WaitGroup
	clients.Go(func() { _ = w.complete(hanging, 16, false, nil) }) // nobody answers it
	stage.Rest(ctx, 3*time.Second)
	early := w.provider.Stops()
	if err := syscall.Kill(engine, syscall.SIGKILL); err != nil {
		return err
	}
	killed := time.Now()
	defer clients.Wait()
	defer leave()
	return p.stopped(ctx, "an engine that hung and died is server_dead after BROKEN_LIMIT, and the pod is stopped", w, 2*time.Minute, "server_dead", func() (bool, string) {
		first := w.find(func(l line) bool { return l.is("decision") && l.word("verdict") == "stop" })[0].at.Sub(killed)
		return early == 0 && first >= brokenLimit-time.Second, fmt.Sprintf("%.1f s after its death (BROKEN_LIMIT %.0f s); while it hung: %d stops", first.Seconds(), brokenLimit.Seconds(), early)
	})
}

func (p *play) job(ctx context.Context) error {
	p.leave()
	w, err := p.wrap(ctx, "job", true, func(string) []string { return []string{"/bin/sh", "-c", "echo computed; sleep 3"} })
	if err != nil {
		return err
	}
	p.w = w
	if err := p.stopped(ctx, "a job that ended with 0 is job_done, and the pod is stopped, while exec stays on", w, time.Minute, "job_done", func() (bool, string) {
		starts := w.find(func(l line) bool { return l.text == "computed" })
		return len(starts) == 1, fmt.Sprintf("it ran %d time(s)", len(starts))
	}); err != nil {
		return err
	}
	if err := w.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	gone := stage.Until(ctx, 10*time.Second, w.ended)
	if !gone {
		return fmt.Errorf("exec still runs 10 s after SIGTERM")
	}
	p.report.Check("the container then ends with the job's status", w.status() == 0, fmt.Sprintf("status %d", w.status()))
	return nil
}
