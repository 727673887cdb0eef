package faults

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/test/program"
)

// bare is a pod that runs no vLLM, in a container, where the CPU is on by itself.
var bare = play{name: "no server", begin: func(p *pod) {
	p.contain(true)
	p.set("WATCHDOG_VLLM_URLS=none")
}, first: []string{"quiet"}}

// spinning is one on which something takes a whole core for ever.
var spinning = play{name: "something spins", begin: func(p *pod) {
	bare.begin(p)
	p.inTheContainer(spin)
}, first: []string{"host_active"}}

// monitored is an idle server which a monitor sends a real request of one token, again and again.
var monitored = play{name: "a monitor", begin: func(p *pod) {
	p.servers[0].begin()
	monitor(p)
}, first: nil}

// heldIdle is an idle server that somebody holds.
var heldIdle = play{name: "idle, held", begin: func(p *pod) {
	p.servers[0].begin()
	p.later = ordered([]string{"hold", "1h", "a demo"}, nil)
}, first: []string{"quiet"}}

// spin takes a core, also beside the many pods of this suite.
const spin = "exec nice -n -15 sh -c 'while :; do :; done'"

// computes is a job.
func computes(p *pod) { p.heal = p.inTheContainer(spin) }

// learned lets the program have learned, in an hour that no test has, that this pod takes so many cores to idle.
func learned(cores float64) act {
	return func(p *pod) {
		file := p.volume("memory.json")
		p.until(program.Soon, "a memory", func() bool { _, err := os.Stat(file); return err == nil })
		p.Kill()
		text, err := os.ReadFile(file)
		if err != nil {
			p.t.Fatal(err)
		}
		var memory map[string]any
		if err := json.Unmarshal(text, &memory); err != nil {
			p.t.Fatal(err)
		}
		state, _ := memory["state"].(map[string]any)
		cpu, _ := state["cpu"].(map[string]any)
		if cpu == nil {
			p.t.Fatalf("%s: no baseline in %s", p, text)
		}
		cpu["idle_cores"] = cores
		if text, err = json.Marshal(memory); err != nil {
			p.t.Fatal(err)
		}
		if err := os.WriteFile(file, text, 0o600); err != nil {
			p.t.Fatal(err)
		}
		p.start()
	}
}

// On PORTS.

// listens lets somebody listen on a port of PORTS, who says no word by himself.
func listens(p *pod) net.Listener {
	p.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = l.Close() })
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		p.t.Fatal(err)
	}
	p.set("WATCHDOG_VLLM_URLS=none", "WATCHDOG_PORTS="+port)
	return l
}

// another is a pod whose server is not vLLM.
var another = play{name: "another server, idle", begin: func(p *pod) {
	p.contain(true)
	p.listener = listens(p)
}, first: []string{"quiet"}}

// meets connects a client to what listens on PORTS.
func (p *pod) meets() (client, server net.Conn) {
	p.t.Helper()
	client, err := net.Dial("tcp", p.listener.Addr().String())
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = client.Close() })
	if server, err = p.listener.Accept(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = server.Close() })
	return client, server
}

func (p *pod) writesTo(conn net.Conn, text string) {
	p.t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		p.t.Error(err)
	}
}

// opens is a browser that shows a page and does nothing: a WebSocket that was agreed on, and then no byte.
func opens(p *pod) {
	client, server := p.meets()
	p.writesTo(client, "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	until(server, "\r\n\r\n")
	p.writesTo(server, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	until(client, "\r\n\r\n")
}

func until(conn net.Conn, end string) {
	var all []byte
	b := make([]byte, 512)
	for len(all) < len(end) || string(all[len(all)-len(end):]) != end {
		n, err := conn.Read(b)
		if err != nil {
			return
		}
		all = append(all, b[:n]...)
	}
}

// prompts is a client of it that waits for an answer.
func prompts(p *pod) {
	client, server := p.meets()
	p.writesTo(client, "POST /prompt HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
	until(server, "{}")
	p.heal = func() { _ = client.Close(); _ = server.Close() }
}

// uploads is a client of it that sends bytes now and then, each of which is answered.
func uploads(p *pod) {
	client, server := p.meets()
	var group sync.WaitGroup
	group.Go(func() { _, _ = io.Copy(server, server) }) // it ends with the connection
	group.Go(func() {
		each := time.NewTicker(150 * time.Millisecond)
		defer each.Stop()
		b := make([]byte, 64)
		for {
			if _, err := io.WriteString(client, "frame"); err != nil {
				return
			}
			if _, err := client.Read(b); err != nil {
				return
			}
			<-each.C
		}
	})
	p.heal = func() { _ = client.Close(); _ = server.Close() }
	p.t.Cleanup(func() { p.heal(); group.Wait() })
}

// nobodyListens closes the port again.
func nobodyListens(p *pod) { _ = p.listener.Close() }

// Of monitors.

// probePause is the time from one of the monitor's requests to the next: shorter than the idle limit, as in life.
const probePause = 400 * time.Millisecond

func monitor(p *pod) {
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() {
		client := &http.Client{Transport: &http.Transport{}}
		defer client.CloseIdleConnections()
		each := time.NewTicker(probePause)
		defer each.Stop()
		for ctx.Err() == nil {
			_ = prompt(ctx, client, p.servers[0].URL(), "ok", 1) // the end of the row cuts it
			<-each.C
		}
	})
	p.heal = func() { cancel(); group.Wait() }
	p.t.Cleanup(p.heal)
}

// uses is a client with a long request among the probes.
func uses(p *pod) {
	p.clients.come(p.servers[0].URL(), 100)
	p.heal = p.clients.leave
}

// Of hooks.

// hook answers what is posted to it.
func hook(p *pod, answer http.HandlerFunc) (url string, asked *atomic.Int64) {
	asked = new(atomic.Int64)
	left := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if answer != nil {
			answer(w, r)
			return
		}
		select { // it hangs
		case <-left:
		case <-r.Context().Done():
		}
	}))
	p.t.Cleanup(func() { close(left); s.Close() })
	return s.URL, asked
}

// hooked stops by a webhook, and by RunPod where that does not help.
func hooked(answer http.HandlerFunc) act {
	return func(p *pod) {
		url, _ := hook(p, answer)
		p.set("WATCHDOG_STOP=webhook,runpod", "WATCHDOG_STOP_URL="+url+"/stop")
	}
}

// Of exec.

// wraps lets the program run in a container as exec does, with a shell's script for its server.
func wraps(script string) act {
	return func(p *pod) {
		p.contain(false)
		p.config.Args = []string{"exec", "--", "/bin/sh", "-c", script}
	}
}

// wrapped is an idle server that runs under exec: its process is the container's, its port this test's.
var wrapped = play{name: "exec, idle", begin: func(p *pod) {
	wraps("exec sleep 1000")(p)
	p.servers[0].begin()
}, first: []string{"quiet"}}

// wrappedWork is one with two clients.
var wrappedWork = play{name: "exec, work", begin: func(p *pod) {
	wraps("exec sleep 1000")(p)
	p.come()
}, rest: (*pod).leave, first: []string{"requests_in_flight"}}

// runs lets exec have another server, of which nobody listens.
func runs(script string) act {
	return func(p *pod) {
		p.servers[0].finish()
		p.config.Args = []string{"exec", "--", "/bin/sh", "-c", script}
	}
}

// diesUnder kills the server under exec, and it listens again once it was started again.
func diesUnder(p *pod) {
	was := p.child(false, 0)
	p.servers[0].finish()
	p.kills(was)
	p.child(false, was)
	p.servers[0].begin()
}

// killsTheWatchdog kills it beside the server.
func killsTheWatchdog(p *pod) {
	p.until(program.Soon, "some quiet", func() bool { return p.Status().Idle > 0.5 })
	p.kills(p.child(true, 0))
}

func (p *pod) kills(pid int) {
	p.t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		p.t.Error(err)
	}
}

// servesUnwatched holds exec to running its server on.
func servesUnwatched(p *pod) {
	server := p.child(false, 0)
	over := time.Now().Add(watched)
	p.until(2*watched, "time passes", func() bool { return time.Now().After(over) })
	if err := syscall.Kill(server, 0); err != nil || !p.Lives() || p.wasStopped() {
		p.t.Errorf("%s: the server: %v; exec lives: %t; it was stopped: %t", p, err, p.Lives(), p.wasStopped())
	}
}
