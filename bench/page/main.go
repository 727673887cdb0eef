// Command page is a vLLM server as far as a watchdog reads one: it serves a recorded /metrics page, made longer by a
// real model's name, whose figures go on as those of a live server do, and /health, /load and /version beside it. The benches run it as a
// process of its own, so that what it costs is not in their figures.
//
//	page -recorded collector/vllm/testdata/0.32.0-idle.metrics.gz -listen 127.0.0.1:8123 [-work 200/1000]
package main

import (
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

func main() {
	recorded := flag.String("recorded", "", "a recorded page, packed with gzip")
	listen := flag.String("listen", "127.0.0.1:0", "address")
	work := flag.String("work", "0/1", "N/M: of M pages in a row the last N show work")
	flag.Parse()
	if err := serve(*recorded, *listen, *work); err != nil {
		fmt.Fprintln(os.Stderr, "page: "+err.Error())
		os.Exit(1)
	}
}

func serve(recorded, listen, work string) error {
	var busy, of uint64
	if _, err := fmt.Sscanf(work, "%d/%d", &busy, &of); err != nil || of == 0 || busy > of {
		return fmt.Errorf("-work %q: write N/M, N at most M", work)
	}
	p, err := readPage(recorded)
	if err != nil {
		return err
	}
	var served atomic.Uint64
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		n := served.Add(1) - 1
		w.Header().Set("Content-Type", "text/plain; version=1.0.0; charset=utf-8")
		_, _ = w.Write(p.at(state(n, busy, of)))
	})
	mux.HandleFunc("GET /health", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /load", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"server_load":%d}`, state(served.Load(), busy, of).running)
	})
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, `{"version":"0.32.0"}`)
	})
	server := http.Server{
		Addr: listen, Handler: mux, ReadHeaderTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second,
		ErrorLog: log.New(os.Stderr, "page: ", 0),
	}
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
