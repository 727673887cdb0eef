package faults

import (
	"context"
	"net/http"
	"time"
)

// idle is a server that has had no request yet.
var idle = play{name: "idle", begin: func(p *pod) { p.servers[0].begin() }, first: []string{"quiet"}}

// served is one that has had some, and is idle now.
var served = play{name: "served", begin: func(p *pod) {
	p.servers[0].begin()
	ctx, cancel := context.WithTimeout(p.t.Context(), 10*time.Second)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	for range 3 {
		if err := ask(ctx, client, p.servers[0].URL(), 2); err != nil {
			p.t.Fatal(err)
		}
	}
}, first: []string{"quiet"}}

// two are two idle servers.
var two = play{name: "two servers", begin: func(p *pod) {
	p.servers = append(p.servers, newServer(p.t, loopback))
	p.servers[0].begin()
	p.servers[1].begin()
}, first: []string{"quiet"}}

// work are two clients, whose answers come as a whole.
var work = play{name: "work", begin: (*pod).come, rest: (*pod).leave, first: []string{"requests_in_flight"}}

// fresh are two clients that open a connection for each request.
var fresh = play{name: "work, by fresh connections", begin: func(p *pod) {
	p.servers[0].begin()
	p.clients.close = true
	p.clients.come(p.servers[0].URL(), 60)
	p.clients.come(p.servers[0].URL(), 60)
}, rest: (*pod).leave, first: []string{"busy"}}

// long is a client that sends one long request at once after the other.
var long = play{name: "long requests", begin: func(p *pod) {
	p.servers[0].begin()
	p.clients.come(p.servers[0].URL(), 100)
}, rest: (*pod).leave, first: []string{"requests_in_flight"}}

// oneOfTwo is work for the second of two servers.
var oneOfTwo = play{name: "one of two works", begin: func(p *pod) {
	two.begin(p)
	p.clients.come(p.servers[1].URL(), 40)
	p.clients.come(p.servers[1].URL(), 40)
}, rest: (*pod).leave, first: []string{"requests_in_flight"}}

// idleGPU is an idle server beside a GPU that can be seen.
var idleGPU = play{name: "idle, with a GPU", begin: func(p *pod) {
	p.newGPUs(1)
	p.servers[0].begin()
}, first: []string{"quiet"}}

// gpuWork is a GPU that somebody works on, of which the server knows nothing.
var gpuWork = play{name: "a kernel", begin: func(p *pod) {
	idleGPU.begin(p)
	p.gpu.level(60, 200)
}, rest: func(p *pod) { p.gpu.level(0, 78) }, first: []string{"gpu_active"}}

// computing is work for the server at which the GPU shows.
var computing = play{name: "work, with a GPU", begin: func(p *pod) {
	p.newGPUs(1)
	p.come()
	p.gpu.level(70, 250)
}, rest: func(p *pod) {
	p.leave()
	p.gpu.level(0, 78)
}, first: []string{"busy"}}

// waiting is a client whose request is never answered, and of which the server's page knows nothing.
var waiting = play{name: "a request in vain", begin: func(p *pod) {
	p.servers[0].begin()
	p.asksInVain()
}, first: []string{"connection_active"}}

func (p *pod) come() {
	p.servers[0].begin()
	p.clients.come(p.servers[0].URL(), 40)
	p.clients.come(p.servers[0].URL(), 40)
}

func (p *pod) leave() { p.clients.leave() }
