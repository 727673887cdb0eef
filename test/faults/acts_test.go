package faults

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/test/nonsense"
	"github.com/gpu-watchdog/gpu-watchdog/test/program"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/runpod/runpodtest"
)

// Of the server.

// turns lets every path of the server be answered in this way.
func turns(way nonsense.Way) act {
	return func(p *pod) {
		s := p.servers[0]
		s.turn(way(s.source()), "")
		p.heal = func() { s.turn(nil, "") }
	}
}

// answers lets a path be answered with this status and body.
func answers(path string, status int, kind, body string) act {
	return func(p *pod) {
		s := p.servers[0]
		s.turn(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}, path)
		p.heal = func() { s.turn(nil, path) }
	}
}

// pageReads lets the page be changed.
func pageReads(alter func(string) string) act {
	return func(p *pod) {
		p.servers[0].rewrite(alter)
		p.heal = func() { p.servers[0].rewrite(nil) }
	}
}

// series replaces the values of the series whose names begin in one of these ways; an empty value takes the lines away.
func series(names, value string) func(string) string {
	lines := regexp.MustCompile(`(?m)^((?:` + names + `)\{.*\}) .*\n`)
	put := "${1} " + value + "\n"
	if value == "" {
		put = ""
	}
	return func(page string) string { return lines.ReplaceAllString(page, put) }
}

// gzipNoise says that the page is compressed, and it is not.
func gzipNoise(s nonsense.Source) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		nonsense.Noise(s)(w, r)
	}
}

// drips sends its page, a byte now and then.
func drips(s nonsense.Source) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=1.0.0; charset=utf-8")
		each := time.NewTicker(50 * time.Millisecond)
		defer each.Stop()
		for _, b := range []byte(s.Page()) {
			_, _ = w.Write([]byte{b})
			_ = http.NewResponseController(w).Flush()
			select {
			case <-each.C:
			case <-r.Context().Done():
				return
			case <-s.Left:
				return
			}
		}
	}
}

// resets cuts every connection with a reset.
func resets(nonsense.Source) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = conn.Close()
	}
}

// gone ends the process of the server; it can be begun again.
func gone(p *pod) {
	p.servers[0].finish()
	p.heal = p.servers[0].begin
}

// dies ends the engine under a server that answers on.
func dies(p *pod) { p.servers[0].engine.Die() }

// loops lets the server die five times, each time soon after it got ready.
func loops(p *pod) {
	s := p.servers[0]
	for range 5 {
		s.finish()
		p.until(program.Soon, "the server is seen dead", func() bool { a, _ := p.state(); return a == "broken" })
		s.begin()
		p.until(program.Soon, "the server is seen ready", func() bool { a, _ := p.state(); return a == "busy" || a == "quiet" })
	}
	s.finish()
}

// sticks lets all clients hang up while the gauges stay.
func sticks(p *pod) {
	p.servers[0].engine.StickGauges()
	p.clients.leave()
}

// hangsEngine stops the engine under a request; HTTP answers on.
func hangsEngine(p *pod) {
	s := p.servers[0]
	p.clients.come(s.URL(), 400)
	p.Says("decision", "requests_in_flight")
	s.engine.Hang(true)
}

// asksInVain is one client whose request is never answered.
func (p *pod) asksInVain() net.Conn {
	s := p.servers[0]
	s.turn(nonsense.Hangs(s.source()), "/v1/completions")
	const body = `{"prompt":"word","max_tokens":8}`
	return p.sends(fmt.Sprintf("POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
}

func asksInVain(p *pod) {
	conn := p.asksInVain()
	p.heal = func() { _ = conn.Close() }
}

// sends opens a connection to the server and writes into it.
func (p *pod) sends(text string) net.Conn {
	p.t.Helper()
	conn, err := net.Dial("tcp", p.servers[0].address)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, text); err != nil {
		p.t.Fatal(err)
	}
	p.conn = conn
	return conn
}

func sends(text string) act {
	return func(p *pod) {
		conn := p.sends(text)
		p.heal = func() { _ = conn.Close() }
	}
}

// closesHalf lets the client that waits say that it will send no more.
func closesHalf(p *pod) {
	if tcp, ok := p.conn.(*net.TCPConn); ok {
		_ = tcp.CloseWrite()
	}
}

// Of the settings and the process.

func setting(env ...string) act { return func(p *pod) { p.set(env...) } }

// inSandbox runs the program with something taken away.
func inSandbox(what string) act {
	return func(p *pod) {
		self, err := os.Executable()
		if err != nil {
			p.t.Fatal(err)
		}
		p.config.Wrap = []string{self}
		p.set(sandboxVariable + "=" + what)
	}
}

// portTaken lets somebody else listen where the program wants to.
func portTaken(variable string) act {
	return func(p *pod) {
		other, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			p.t.Fatal(err)
		}
		p.t.Cleanup(func() { _ = other.Close() })
		p.blind = p.blind || variable == "WATCHDOG_LISTEN"
		p.set(variable + "=" + other.Addr().String())
	}
}

// killed kills the watchdog once it has seen so much quiet, and starts it again.
func killedAfter(idle time.Duration) act {
	return func(p *pod) {
		p.until(program.Soon, "idle for "+idle.String(), func() bool { return p.Status().Idle > idle.Seconds() })
		p.Kill()
		p.start()
	}
}

// suspended stops the process for a while, as a laptop's lid or a debugger does.
func suspended(d time.Duration) act {
	return func(p *pod) {
		p.Signal(syscall.SIGSTOP)
		over := time.NewTimer(d)
		<-over.C
		p.Signal(syscall.SIGCONT)
	}
}

// ordered gives an order to the program, and takes it back when the fault is over.
func ordered(order, back []string) act {
	give := func(p *pod, words []string) {
		cmd := exec.CommandContext(p.t.Context(), binary, words...)
		cmd.Env = p.config.Env
		if out, err := cmd.CombinedOutput(); err != nil {
			p.t.Fatalf("%s: %s: %v: %s", p, words, err, out)
		}
	}
	return func(p *pod) {
		p.Says("taking orders")
		give(p, order)
		p.heal = func() { give(p, back) }
	}
}

// talks lets bytes flow on another port of the pod.
func talks(p *pod) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		p.t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		p.t.Fatal(err)
	}
	p.set("WATCHDOG_PORTS=" + port)
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		p.t.Fatal(err)
	}
	other, err := l.Accept()
	if err != nil {
		p.t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() {
		each := time.NewTicker(20 * time.Millisecond)
		defer each.Stop()
		for {
			if _, err := io.WriteString(conn, "ping"); err != nil {
				return
			}
			<-each.C
		}
	})
	group.Go(func() { _, _ = io.Copy(io.Discard, other) }) // it ends with the connection
	p.heal = func() {
		_ = conn.Close()
		_ = other.Close()
	}
	p.t.Cleanup(func() {
		p.heal()
		_ = l.Close()
		group.Wait()
	})
}

// Of the provider.

var stops = []runpodtest.Call{runpodtest.V2Action, runpodtest.GraphQLStop}

// provider lets calls be answered by faults; what it refuses is no stop.
func provider(f runpodtest.Fault, calls ...runpodtest.Call) act {
	return func(p *pod) {
		p.refusals = true
		for _, c := range calls {
			p.provider.Inject(c, f)
		}
		p.heal = p.provider.Heal
	}
}

func forever(f runpodtest.Fault) runpodtest.Fault { f.Forever = true; return f }

// accepted is a yes of which nothing comes.
func accepted() runpodtest.Fault {
	return runpodtest.Fault{
		Status: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Forever: true,
		Body: `{"id":"` + podID + `","status":"RUNNING"}`,
	}
}

// overtakes lets work come after the stop was accepted and before the pod ends.
func overtakes(p *pod) {
	provider(accepted(), runpodtest.V2Action)(p)
	p.Says("stop attempt answer", "accepted")
	p.clients.come(p.servers[0].URL(), 40)
	p.Says("decision", "overtaken")
	p.forgiven = p.stopCalls()
	p.refusals = false
	p.stays("busy requests_in_flight")
	if n := p.stopCalls(); n > p.forgiven {
		p.t.Errorf("%s: under work it was stopped: %s", p, p.calls())
	}
	p.provider.Heal()
	p.clients.leave()
}

// diesAfterYes kills the watchdog between the provider's yes and the end of the pod, which does not come.
func diesAfterYes(p *pod) {
	provider(accepted(), runpodtest.V2Action)(p)
	p.Says("stop attempt answer", "accepted")
	p.Kill()
	p.provider.Heal()
	p.start()
}

// stranger is a server on another host: whoever follows a redirect to it brings it the key.
func redirected(p *pod) {
	stranger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.t.Errorf("%s: the redirect was followed, with the key: %t", p, strings.Contains(r.Header.Get("Authorization"), apiKey))
	}))
	p.t.Cleanup(stranger.Close)
	f := runpodtest.Fault{Status: http.StatusTemporaryRedirect, Header: http.Header{"Location": {stranger.URL + "/v2/pods/x/action"}}, Forever: true}
	provider(f, runpodtest.V2Action)(p)
}

// badCertificate is an API behind TLS that nobody vouches for.
func badCertificate(p *pod) {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	p.t.Cleanup(s.Close)
	p.set("WATCHDOG_RUNPOD_API_URL=" + s.URL + "/v2")
}

// nobody is an address at which nobody listens.
func (p *pod) nobody() string {
	port, free, err := reserve(loopback)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(free)
	return fmt.Sprintf("http://127.0.0.1:%d", port)
}

// Of what is pushed to us.

// posts sends a body to what takes in spans and rows, so many times.
func posts(path, kind, body string, times int) act {
	return func(p *pod) {
		url := "http://" + p.Says("taking spans and rows").Text("address") + path
		client := &http.Client{Timeout: 5 * time.Second}
		defer client.CloseIdleConnections()
		var group sync.WaitGroup
		work := make(chan struct{})
		for range min(times, 8) {
			group.Go(func() {
				for range work {
					resp, err := client.Post(url, kind, strings.NewReader(body))
					if err == nil {
						_, _ = io.Copy(io.Discard, resp.Body)
						_ = resp.Body.Close()
					}
				}
			})
		}
		for range times {
			work <- struct{}{}
		}
		close(work)
		group.Wait()
	}
}

// nothingTaken holds what was pushed to having been no work and no harm.
func nothingTaken(p *pod) {
	if lines := p.Find(func(l program.Line) bool { return l.Msg() == "decision" && l.Holds("rows_received") }); len(lines) > 0 {
		p.t.Errorf("%s: it was taken for work: %v", p, lines[0])
	}
}

// scrapers ask for the page twenty times a second. (Far more of them keep a slow server busy, and then a final look finds one of
// them waiting each time.)
func scrapers(p *pod) {
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	p.t.Cleanup(func() { cancel(); group.Wait() })
	for range 2 {
		group.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			each := time.NewTicker(100 * time.Millisecond)
			defer each.Stop()
			for ctx.Err() == nil {
				r, err := http.NewRequestWithContext(ctx, http.MethodGet, p.servers[0].URL()+metrics, nil)
				if err != nil {
					return
				}
				if resp, err := client.Do(r); err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
				}
				<-each.C
			}
		})
	}
}

// comesAndGoes is a request that is over before the next look.
func (p *pod) comesAndGoes() {
	p.t.Helper()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	if err := ask(p.t.Context(), client, p.servers[0].URL(), 8); err != nil {
		p.t.Fatal(err)
	}
}

// evidence holds a source to a word.
func (p *pod) evidence(source, word string) {
	p.t.Helper()
	p.Await(source+" "+word, program.Soon, func(l program.Line) bool {
		e, _ := l["evidence"].(map[string]any)
		return l.Msg() == "decision" && e[source] == word
	})
}

// writes holds the program to having written these words to a person, outside of its log.
func (p *pod) writes(words ...string) {
	p.t.Helper()
	text := ""
	for _, l := range p.Lines() {
		text += l.Text("text") + "\n"
	}
	for _, w := range words {
		if !strings.Contains(text, w) {
			p.t.Errorf("%s: it does not say %q: %s", p, w, text)
		}
	}
}

// once holds the program to having asked for one stop only.
func once(p *pod) {
	if n := p.stopCalls(); n != 1 {
		p.t.Errorf("%s: RunPod was asked %d times: %s", p, n, p.calls())
	}
}
