package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/control/orders"
)

const (
	// slack is what a client waits beyond the time that the server takes at most.
	slack = 5 * time.Second
	// mostAnswer is far above any answer, in bytes.
	mostAnswer = 256 << 10
)

// Client gives orders to the watchdog on this machine. Every call is bounded in time: 20 s, and 125 s for Stop. Its errors are of
// a kind (orders.KindOf): Unreachable where no watchdog answers, Denied where the watchdog or the system says no, Wrong where the
// order cannot be meant, and Failed else.
type Client struct {
	// Path is where the socket is; empty looks where a watchdog of this user has it by default. With a path root may ask the
	// watchdog of any user; else whoever listens must be root or ourselves.
	Path string

	// places are looked at where Path is empty; nil are this system's.
	places []string
}

// Standing asks how things stand, and changes nothing.
func (c Client) Standing(ctx context.Context) (orders.Answer, error) {
	return c.ask(ctx, pathHolds, nil)
}

// Hold keeps the pod for so long, from 1 s to 24 h. Asking again for the same reason renews it. why may be empty.
func (c Client) Hold(ctx context.Context, d time.Duration, why string) (orders.Answer, error) {
	if err := orders.CheckFor(d); err != nil {
		return orders.Answer{}, err
	}
	return c.ask(ctx, pathHold, map[string]any{fieldFor: d.String(), fieldWhy: orders.Clean(why, orders.MostWhy)})
}

// Release ends all holds and a postponement, or only one's own holds.
func (c Client) Release(ctx context.Context, own bool) (orders.Answer, error) {
	return c.ask(ctx, pathRelease, map[string]any{fieldOwn: own})
}

// Postpone moves the earliest stop back, by 1 s to 24 h.
func (c Client) Postpone(ctx context.Context, d time.Duration) (orders.Answer, error) {
	if err := orders.CheckFor(d); err != nil {
		return orders.Answer{}, err
	}
	return c.ask(ctx, pathPostpone, map[string]any{fieldFor: d.String()})
}

// Stop asks for a stop, or with rehearse for everything but the stop itself.
func (c Client) Stop(ctx context.Context, rehearse bool) (orders.Answer, error) {
	return c.ask(ctx, pathStop, map[string]any{fieldRehearse: rehearse})
}

// ask sends an order and reads what came of it.
func (c Client) ask(ctx context.Context, path string, body map[string]any) (orders.Answer, error) {
	route := routes[path]
	within, cancel := context.WithTimeout(ctx, route.within+slack)
	defer cancel()
	socket, conn, err := c.dial(within)
	if err != nil {
		return orders.Answer{}, err
	}
	defer conn.Close()
	answer, err := exchange(within, conn, route.method, path, body)
	switch {
	case err == nil:
		return answer, nil
	case ctx.Err() != nil:
		return orders.Answer{}, fmt.Errorf("%s: given up while waiting for the answer, so it is not known whether the order was carried out: %w", socket, ctx.Err())
	case within.Err() != nil:
		return orders.Answer{}, orders.NotReachable("%s: no answer within %s: gpu-watchdog is stuck, and it is not known whether the order was carried out", socket, route.within+slack)
	}
	return orders.Answer{}, err
}

// dial finds the watchdog: a connection to it, and the path of its socket.
func (c Client) dial(ctx context.Context) (socket string, conn net.Conn, err error) {
	places := c.places
	if places == nil {
		places = here().clientPaths()
	}
	if c.Path != "" {
		if err := checkPath(c.Path); err != nil {
			return "", nil, orders.WrongUse("%s: %w", setting, err)
		}
		places = []string{c.Path}
	}
	dead := ""
	for _, socket := range places {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
		switch {
		case err == nil:
			if err := c.trusts(socket, conn); err != nil {
				conn.Close()
				return "", nil, err
			}
			return socket, conn, nil
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
			continue
		case errors.Is(err, syscall.ECONNREFUSED):
			dead = socket
			continue
		case errors.Is(err, fs.ErrPermission):
			return "", nil, orders.Refused("%s may not be used by user %d: ask as the user under whom gpu-watchdog runs, or as root", socket, os.Geteuid())
		case ctx.Err() != nil:
			return "", nil, fmt.Errorf("%s: %w", socket, ctx.Err())
		}
		return "", nil, orders.NotReachable("%s: %w", socket, dialed(err))
	}
	if dead != "" {
		return "", nil, orders.NotReachable("%s: nobody listens there any more: gpu-watchdog has ended; start it again", dead)
	}
	return "", nil, orders.NotReachable("there is no socket at %s: is gpu-watchdog running on this machine, under this user, with %s=%s?",
		strings.Join(places, ", nor at "), setting, places[0])
}

// trusts says whether whoever listens is a watchdog whose word counts.
func (c Client) trusts(socket string, conn net.Conn) error {
	who, self := peerOf(conn), os.Geteuid()
	switch {
	case !who.known:
		return orders.NotReachable("%s: it cannot be told who listens there: %w", socket, who.unknown)
	case who.uid == 0, int(who.uid) == self, self == 0 && c.Path != "":
		return nil
	}
	return orders.NotReachable("%s: user %d listens there, who is neither root nor user %d: nothing was asked", socket, who.uid, self)
}

// exchange sends one request on conn and reads its answer.
func exchange(ctx context.Context, conn net.Conn, method, path string, body map[string]any) (orders.Answer, error) {
	var content io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return orders.Answer{}, fmt.Errorf("order %s: %w", path, err)
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://gpu-watchdog"+path, content)
	if err != nil {
		return orders.Answer{}, fmt.Errorf("order %s: %w", path, err)
	}
	request.Header.Set("Content-Type", "application/json")
	once := conn
	client := http.Client{
		Transport: &http.Transport{
			DialContext: func(context.Context, string, string) (net.Conn, error) {
				if once == nil {
					return nil, errors.New("the connection broke off")
				}
				c := once
				once = nil
				return c, nil
			},
			DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: mostHeader,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	socket := conn.RemoteAddr()
	response, err := client.Do(request)
	if err != nil {
		return orders.Answer{}, orders.NotReachable("%s: no answer that can be read, so it is not known whether the order was carried out: %w", socket, below(err))
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, mostAnswer+1))
	switch {
	case response.Header.Get(versionHeader) == "":
		return orders.Answer{}, orders.NotReachable("%s: what answers there is not gpu-watchdog: is %s another program's socket?", socket, setting)
	case err != nil:
		return orders.Answer{}, fmt.Errorf("%s: the answer broke off, so it is not known whether the order was carried out: %w", socket, err)
	case len(text) > mostAnswer:
		return orders.Answer{}, fmt.Errorf("%s: the answer is longer than %d bytes", socket, mostAnswer)
	}
	return read(socket, response.StatusCode, text)
}

// read makes an answer, or the watchdog's error, of a body.
func read(socket net.Addr, code int, text []byte) (orders.Answer, error) {
	if code != http.StatusOK {
		var told notDone
		if err := json.Unmarshal(text, &told); err != nil || told.Error == "" {
			return orders.Answer{}, fmt.Errorf("%s: answered %d without saying why", socket, code)
		}
		return orders.Answer{}, orders.Told(told.Kind, orders.CleanLines(told.Error))
	}
	var answer orders.Answer
	if err := json.Unmarshal(text, &answer); err != nil {
		return orders.Answer{}, fmt.Errorf("%s: the answer cannot be read, but the order was carried out: %w", socket, err)
	}
	return answer.Plain(), nil
}

// dialed is what is below the network's error, which repeats the path.
func dialed(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Err
	}
	return err
}

// below is what is below net/http's error, which repeats the request.
func below(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
