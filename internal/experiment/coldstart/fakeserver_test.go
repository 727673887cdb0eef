package coldstart

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// The test binary, started again with this variable, is a server that starts in known phases.
const fakeVariable = "GPU_WATCHDOG_TEST_COLDSTART_FAKE"

// fake is a server with a known start.
type fake struct {
	Address string
	// Lines are what it writes before it listens, each so long after the one before.
	Lines []fakeLine
	// Late is how much longer the first token of the first request takes; Usual is what each takes.
	Late, Usual time.Duration
	// Dies ends it, with status 3, instead of listening. Deaf keeps it from listening and from hearing SIGTERM.
	Dies, Deaf bool
	// Child starts a process in a session of its own, which hears no SIGTERM either, and writes its pid to that file.
	Child string
	// Environ writes the whole environment and the arguments into that file.
	Environ string
	// Old has no completions.
	Old bool
}

type fakeLine struct {
	After time.Duration
	Text  string
}

func TestMain(m *testing.M) {
	if text := os.Getenv(fakeVariable); text != "" {
		var f fake
		if err := json.Unmarshal([]byte(text), &f); err != nil {
			panic(err)
		}
		f.run()
		return
	}
	os.Exit(m.Run())
}

func (f fake) run() {
	if f.Environ != "" {
		text, _ := json.Marshal(map[string]any{"env": os.Environ(), "args": os.Args[1:]})
		_ = os.WriteFile(f.Environ, text, 0o600)
	}
	if f.Child != "" {
		self, _ := json.Marshal(fake{Deaf: true})
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), fakeVariable+"="+string(self))
		child.Stdout = os.Stdout // it holds our pipe
		child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		if err := child.Start(); err != nil {
			panic(err)
		}
		_ = os.WriteFile(f.Child+".tmp", []byte(strconv.Itoa(child.Process.Pid)), 0o600)
		_ = os.Rename(f.Child+".tmp", f.Child)
	}
	for _, line := range f.Lines {
		<-time.After(line.After)
		fmt.Fprintln(os.Stderr, line.Text)
	}
	switch {
	case f.Dies:
		os.Exit(3)
	case f.Deaf:
		signal.Ignore(syscall.SIGTERM)
		<-time.After(time.Minute) // nobody needs it any longer than that
		os.Exit(0)
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM)
	l, err := net.Listen("tcp", f.Address)
	if err != nil {
		panic(err)
	}
	go func() { _ = (&http.Server{Handler: f.pages()}).Serve(l) }()
	<-ended
	os.Exit(0)
}

func (f fake) pages() http.Handler {
	var asked atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(http.ResponseWriter, *http.Request) {})
	if f.Old {
		return mux
	}
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"version":"0.0.1-fake"}`) })
	mux.HandleFunc("GET /v1/models", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"data":[{"id":"fake"}]}`) })
	mux.HandleFunc("POST /v1/completions", func(w http.ResponseWriter, r *http.Request) {
		wait := f.Usual
		if asked.Add(1) == 1 {
			wait += f.Late
		}
		select {
		case <-time.After(wait):
		case <-r.Context().Done():
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for range askedTokens {
			fmt.Fprint(w, `data: {"choices":[{"text":"x"}]}`+"\n\n")
		}
		fmt.Fprintf(w, `data: {"choices":[],"usage":{"prompt_tokens":2,"completion_tokens":%d}}`+"\n\ndata: [DONE]\n\n", askedTokens)
	})
	return mux
}

// freePort is an address of loopback where nobody listens, below the ports that the kernel gives to connections: one of those
// may be taken before the server comes to listen there, by a look whether it does.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 15_000+rand.IntN(15_000))
		if l, err := net.Listen("tcp", address); err == nil {
			l.Close()
			return address
		}
	}
	t.Fatal("no port is free")
	return ""
}

// configOf starts f.
func configOf(t *testing.T, f fake) Config {
	t.Helper()
	if f.Address == "" {
		f.Address = freePort(t)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	how, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	model := filepath.Join(t.TempDir(), "model")
	if err := os.MkdirAll(model, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(model, "weights"), make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	return Config{
		Argv: []string{self, "-test.run=^$"}, Env: append(os.Environ(), fakeVariable+"="+string(how)),
		URL: "http://" + f.Address, Health: "/health", Files: []string{model}, LogDir: t.TempDir(), Grace: 5 * time.Second, Timeout: time.Minute,
	}
}
