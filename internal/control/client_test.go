package control

import (
	"bufio"
	"context"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/control/orders"
)

// Where nobody answers, the command says so, and where it looked.
func TestNotReachable(t *testing.T) {
	path := socketPath(t)
	abandoned := socketPath(t)
	dead(t, abandoned)
	file := socketPath(t)
	written(t, file, "")
	for name, x := range map[string]struct {
		client Client
		kind   orders.Kind
		says   []string
	}{
		"no socket":       {Client{Path: path}, orders.Unreachable, []string{"there is no socket at " + path, "is gpu-watchdog running", "WATCHDOG_CONTROL_SOCKET=" + path}},
		"no folder":       {Client{Path: path + "/s.sock"}, orders.Unreachable, []string{"there is no socket at"}},
		"below a file":    {Client{Path: file + "/s.sock"}, orders.Unreachable, []string{"there is no socket at"}},
		"dead":            {Client{Path: abandoned}, orders.Unreachable, []string{abandoned + ": nobody listens there any more"}},
		"a file":          {Client{Path: file}, orders.Unreachable, []string{file + ": nobody listens there any more"}},
		"no place":        {Client{places: []string{path, path + "2"}}, orders.Unreachable, []string{path + ", nor at " + path + "2"}},
		"one dead":        {Client{places: []string{path, abandoned, path + "2"}}, orders.Unreachable, []string{abandoned + ": nobody listens there any more"}},
		"not absolute":    {Client{Path: "s.sock"}, orders.Wrong, []string{"WATCHDOG_CONTROL_SOCKET", `"s.sock" is not absolute`}},
		"without a name":  {Client{Path: "@watchdog"}, orders.Wrong, []string{"is not absolute"}},
		"too long a path": {Client{Path: "/" + strings.Repeat("x", 107)}, orders.Wrong, []string{"it has 108 bytes"}},
	} {
		got, err := x.client.Standing(t.Context())
		if orders.KindOf(err) != x.kind || !contains(err.Error(), x.says...) || got.Text != "" || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The order that cannot be meant is not even sent.
func TestWrongDurations(t *testing.T) {
	c := Client{Path: socketPath(t)}
	for _, d := range []time.Duration{-time.Hour, 0, time.Millisecond, 24*time.Hour + 1} {
		if _, err := c.Hold(t.Context(), d, ""); orders.KindOf(err) != orders.Wrong {
			t.Errorf("hold %s: %v", d, err)
		}
		if _, err := c.Postpone(t.Context(), d); orders.KindOf(err) != orders.Wrong {
			t.Errorf("postpone %s: %v", d, err)
		}
	}
}

// saying is a foreign server: it reads a request's first line, says something and hangs up.
func saying(t *testing.T, text string) (path string) {
	t.Helper()
	path = socketPath(t)
	l := listening(t, path)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r := bufio.NewReader(c)
			for line, err := r.ReadString('\n'); err == nil && line != "\r\n"; line, err = r.ReadString('\n') {
			}
			_, _ = io.Copy(io.Discard, io.LimitReader(r, int64(r.Buffered())))
			_, _ = io.WriteString(c, text)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-ended })
	return path
}

func TestForeignServers(t *testing.T) {
	ours := versionHeader + ": 1\r\n"
	for name, x := range map[string]struct {
		says string
		kind orders.Kind
		text string
	}{
		"nothing":            {"", orders.Unreachable, "no answer that can be read, so it is not known whether"},
		"no HTTP":            {"220 mail.example ESMTP\r\n", orders.Unreachable, "no answer that can be read"},
		"another program":    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", orders.Unreachable, "what answers there is not gpu-watchdog: is WATCHDOG_CONTROL_SOCKET another program's socket?"},
		"another's redirect": {"HTTP/1.1 302 Found\r\nLocation: http://example.com/\r\nContent-Length: 0\r\n\r\n", orders.Unreachable, "not gpu-watchdog"},
		"half an answer":     {"HTTP/1.1 200 OK\r\n" + ours + "Content-Length: 20\r\n\r\n{\"text\":", orders.Failed, "the answer broke off"},
		"no JSON":            {"HTTP/1.1 200 OK\r\n" + ours + "\r\nyes", orders.Failed, "the answer cannot be read, but the order was carried out"},
		"an endless answer":  {"HTTP/1.1 200 OK\r\n" + ours + "\r\n" + strings.Repeat(" ", mostAnswer+1), orders.Failed, "longer than 262144 bytes"},
		"an endless header":  {"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20), orders.Unreachable, "no answer that can be read"},
		"no reason":          {"HTTP/1.1 500 Oops\r\n" + ours + "\r\n", orders.Failed, "answered 500 without saying why"},
		"a kind of tomorrow": {"HTTP/1.1 429 Slow\r\n" + ours + "\r\n{\"kind\": \"later\", \"error\": \"not\\u001b now\", \"retry\": 3}", orders.Failed, "not now"},
	} {
		t.Run(name, func(t *testing.T) {
			path := saying(t, x.says)
			got, err := Client{Path: path}.Hold(t.Context(), time.Hour, "")
			if orders.KindOf(err) != x.kind || !strings.Contains(err.Error(), x.text) || got.Text != "" {
				t.Errorf("%+v, %v", got, err)
			}
			if name != "a kind of tomorrow" && !strings.HasPrefix(err.Error(), path) {
				t.Errorf("%q does not say where", err)
			}
		})
	}
}

// What a watchdog says reaches the terminal without control characters.
func TestAnswersAreCleaned(t *testing.T) {
	path := saying(t, "HTTP/1.1 200 OK\r\n"+versionHeader+`: 1`+"\r\n\r\n"+`{"text": "\u001b[2Jheld\nfor you", "holds": [{"until": "2026-11-24T12:00:00.5+00:00", "by": "\u0007root", "why": null}], "new": 1}`)
	got, err := Client{Path: path}.Standing(t.Context())
	if err != nil || got.Text != "[2Jheld\nfor you" || len(got.Holds) != 1 || got.Holds[0] != (orders.Lease{Until: noon, By: "root"}) || got.Until.Known {
		t.Errorf("%+v, %v", got, err)
	}
}

// Who listens and says nothing is not waited for longer than the caller wants.
func TestSilentServer(t *testing.T) {
	path := socketPath(t)
	listening(t, path)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := (Client{Path: path}).Standing(ctx); !errors.Is(err, context.DeadlineExceeded) || !contains(err.Error(), path, "not known whether the order was carried out") {
		t.Errorf("heard %v", err)
	}
}

// Of several places the first at which somebody lives counts.
func TestClientFindsTheWatchdog(t *testing.T) {
	abandoned := socketPath(t)
	dead(t, abandoned)
	d := &desk{}
	s, _, _ := opened(t, Config{Path: socketPath(t), Orders: d})
	other, _, _ := opened(t, Config{Path: socketPath(t)})
	c := Client{places: []string{filepath.Join(filepath.Dir(abandoned), "none"), abandoned, s.Path(), other.Path()}}
	if _, err := c.Release(t.Context(), true); err != nil || d.last() == nil {
		t.Errorf("not asked there: %v", err)
	}
}
