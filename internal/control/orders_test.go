package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/gpu-watchdog/gpu-watchdog/internal/control/orders"
)

// What a command orders is what is carried out, by whom the kernel says, and what is answered is what the command gets.
func TestOrders(t *testing.T) {
	d := &desk{does: func(context.Context, any) (orders.Answer, error) { return held(), nil }}
	s, logs, _ := opened(t, Config{Path: socketPath(t), Orders: d})
	c := Client{Path: s.Path()}
	self := peerOfSelf(t).name("/")
	for name, x := range map[string]struct {
		ask  func(context.Context) (orders.Answer, error)
		want any
	}{
		"holds": {c.Standing, question{}},
		"hold": {func(ctx context.Context) (orders.Answer, error) {
			return c.Hold(ctx, 90*time.Minute, " an\x1b evaluation\n")
		}, orders.Hold{For: 90 * time.Minute, By: self, Why: "an evaluation"}},
		"release":     {func(ctx context.Context) (orders.Answer, error) { return c.Release(ctx, false) }, orders.Release{By: self}},
		"release own": {func(ctx context.Context) (orders.Answer, error) { return c.Release(ctx, true) }, orders.Release{By: self, Own: true}},
		"postpone":    {func(ctx context.Context) (orders.Answer, error) { return c.Postpone(ctx, 24*time.Hour) }, orders.Postpone{For: 24 * time.Hour, By: self}},
		"stop":        {func(ctx context.Context) (orders.Answer, error) { return c.Stop(ctx, false) }, orders.Stop{By: self}},
		"rehearsal":   {func(ctx context.Context) (orders.Answer, error) { return c.Stop(ctx, true) }, orders.Stop{By: self, Rehearse: true}},
	} {
		logs.TakeAll()
		got, err := x.ask(t.Context())
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(held(), got); diff != "" {
			t.Errorf("%s: the answer: %s", name, diff)
		}
		if diff := cmp.Diff(x.want, d.last()); diff != "" {
			t.Errorf("%s: the order: %s", name, diff)
		}
		if n, asks := logs.FilterMessage("order carried out").FilterField(zap.String("by", self)).Len(), name == "holds"; (n == 1) == asks || n > 1 {
			t.Errorf("%s: %d lines in the log", name, n)
		}
	}
}

// Each kind of error reaches the command as that kind, with its text.
func TestOrdersThatAreNotCarriedOut(t *testing.T) {
	var fails error
	d := &desk{does: func(context.Context, any) (orders.Answer, error) { return held(), fails }}
	s, logs, _ := opened(t, Config{Path: socketPath(t), Orders: d})
	for name, x := range map[string]struct {
		err  error
		kind orders.Kind
		says string
	}{
		"refused":   {fmt.Errorf("stop: %w", orders.Refused("not armed: set WATCHDOG_STOP")), orders.Denied, "stop: not armed: set WATCHDOG_STOP"},
		"wrong":     {orders.WrongUse("longer than is left"), orders.Wrong, "longer than is left"},
		"failed":    {errors.New("post action: status 500\x1b[2J"), orders.Failed, "post action: status 500[2J"},
		"elsewhere": {orders.NotReachable("the loop is gone"), orders.Unreachable, "the loop is gone"},
	} {
		fails = x.err
		logs.TakeAll()
		got, err := Client{Path: s.Path()}.Stop(t.Context(), true)
		if orders.KindOf(err) != x.kind || err.Error() != x.says || got.Text != "" {
			t.Errorf("%s: %+v, %q of kind %s", name, got, err, orders.KindOf(err))
		}
		if logs.FilterMessage("order not carried out").FilterField(zap.String("kind", string(x.kind))).Len() != 1 {
			t.Errorf("%s: the log has %v", name, logs.All())
		}
	}
}

// A mistake of ours is told and ends nothing.
func TestPanic(t *testing.T) {
	d := &desk{does: func(context.Context, any) (orders.Answer, error) { panic("index out of range") }}
	s, logs, _ := opened(t, Config{Path: socketPath(t), Orders: d})
	for range 2 {
		if _, err := (Client{Path: s.Path()}).Standing(t.Context()); orders.KindOf(err) != orders.Failed || !strings.Contains(err.Error(), "index out of range") {
			t.Errorf("heard %v", err)
		}
	}
	if logs.FilterMessage("an order panicked").Len() != 2 {
		t.Error("the log does not tell of it")
	}
}

// What a person would send with curl, and what a broken program would.
func TestRequests(t *testing.T) {
	d := &desk{}
	s, _, _ := opened(t, Config{Path: socketPath(t), Orders: d})
	for _, x := range []struct {
		method, path, body string
		code               int
		says               string
	}{
		{"GET", "/holds", "", 200, `"text": "done"`},
		{"POST", "/hold", `{"for": "2h"}`, 200, "done"},
		{"POST", "/hold", ` { "why" : "x" , "for" : "24h" } ` + "\n", 200, "done"},
		{"POST", "/release", "", 200, "done"},
		{"POST", "/release", "{}", 200, "done"},
		{"POST", "/stop", `{"rehearse": true}`, 200, "done"},

		{"GET", "/", "", 404, "there are GET /holds, and POST"},
		{"POST", "/holds/", "", 404, "there is nothing at"},
		{"GET", "/hold", "", 405, "/hold takes POST only"},
		{"HEAD", "/holds", "", 405, ""},
		{"POST", "/holds", "", 405, "/holds takes GET only"},
		{"DELETE", "/hold", "", 405, "takes POST only"},
		{"OPTIONS", "/hold", "", 405, "takes POST only"},

		{"POST", "/hold", "", 400, `the order does not say for how long`},
		{"POST", "/hold", "{}", 400, `the order does not say for how long`},
		{"POST", "/postpone", `{"for": "25h"}`, 400, "25h0m0s is too long: the longest is 24h"},
		{"POST", "/postpone", `{"for": "0s"}`, 400, "too short"},
		{"POST", "/hold", `{"for": "30"}`, 400, "has no unit: write 30m for minutes"},
		{"POST", "/hold", `{"for": 30}`, 400, `\"for\" is the number 30, where a text such as`},
		{"POST", "/hold", `{"for": null}`, 400, "is null, where a text"},
		{"POST", "/hold", `{"for": ["2h"]}`, 400, "is a list, where a text"},
		{"POST", "/hold", `{"for": {"h": 2}}`, 400, "is an object, where a text"},
		{"POST", "/hold", `{"for": "2h", "why": true}`, 400, `\"why\" is true, where a text belongs`},
		{"POST", "/stop", `{"rehearse": "yes"}`, 400, `\"rehearse\" is a text, where true or false belongs`},
		{"POST", "/hold", `{"for": "2h", "by": "root"}`, 400, `the field \"by\", which is not known: there is for, why`},
		{"POST", "/hold", `{"For": "2h"}`, 400, `the field \"For\", which is not known`},
		{"POST", "/hold", `{"for": "2h", "own": true}`, 400, `the field \"own\", which is not known`},
		{"GET", "/holds", `{"own": true}`, 400, "this order has none"},
		{"POST", "/hold", `{"for": "2h", "for": "24h"}`, 400, `the field \"for\" twice`},
		{"POST", "/hold", `{"for": "2h"} {}`, 400, "goes on after its JSON object"},
		{"POST", "/hold", `{"for": "2h",}`, 400, "is no JSON"},
		{"POST", "/hold", `{"for": "2h"`, 400, "is no JSON"},
		{"POST", "/hold", `{"for"`, 400, "is no JSON: unexpected EOF"},
		{"POST", "/hold", `["for", "2h"]`, 400, "is no JSON object"},
		{"POST", "/hold", `for=2h`, 400, "is no JSON"},
		{"POST", "/hold", "{\"for\": \"2h\", \"why\": \"\xff\"}", 400, "it is not UTF-8"},
		{"POST", "/hold", `{"for": "2h", "why": "` + strings.Repeat("x", mostBody) + `"}`, 413, "longer than 4096 bytes"},
		{"POST", "/hold", `{"` + strings.Repeat(`\u001b\u202ex`, 300) + `": 1}`, 400, "which is not known"},
	} {
		code, header, text := answered(t, s.Path(), x.method, x.path, strings.NewReader(x.body))
		if code != x.code || !strings.Contains(text, x.says) || len(text) > 500 || strings.ContainsRune(text, '\x1b') {
			t.Errorf("%s %s %.60s: %d, %s", x.method, x.path, x.body, code, text)
		}
		if header.Get(versionHeader) == "" || header.Get("Content-Type") != "application/json" || x.code == 405 && header.Get("Allow") == "" {
			t.Errorf("%s %s %.60s: header %v", x.method, x.path, x.body, header)
		}
		if done := d.last() != nil; done != (x.code == 200) {
			t.Errorf("%s %s %.60s: carried out: %t", x.method, x.path, x.body, done)
		}
		var told notDone
		if x.method == "HEAD" || x.code == 200 {
			continue
		}
		if err := json.Unmarshal([]byte(text), &told); err != nil || told.Kind != orders.Wrong {
			t.Errorf("%s %s %.60s: %s, %v", x.method, x.path, x.body, text, err)
		}
	}
}

// A body without an end is not waited for.
func TestEndlessBody(t *testing.T) {
	s, _, _ := opened(t, Config{Path: socketPath(t)})
	c, err := net.Dial("unix", s.Path())
	must(t, err)
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	_, err = io.WriteString(c, "POST /hold HTTP/1.1\r\nHost: x\r\nContent-Length: 1073741824\r\n\r\n"+strings.Repeat(" ", 2*mostBody))
	must(t, err)
	if line, err := bufio.NewReader(c).ReadString('\n'); !strings.Contains(line, " 413 ") {
		t.Errorf("heard %q, %v", line, err)
	}
}

func FuzzRequest(f *testing.F) {
	for _, body := range []string{"", "{}", `{"for":"2h","why":"평가"}`, `{"for":"2h","for":"3h"}`, `{"own":true}`, `{"rehearse":false}`, `{"why":"\ud800\u001b"}`, `{"for":1e999}`, `{"for":"1h"}x`, strings.Repeat("[", 100)} {
		f.Add([]byte(body), uint8(0))
	}
	all := [][]string{{fieldFor, fieldWhy}, {fieldOwn}, {fieldFor}, {fieldRehearse}, nil}
	f.Fuzz(func(t *testing.T, body []byte, which uint8) {
		may := all[int(which)%len(all)]
		r, err := decode(body, may)
		if err != nil {
			if r != (request{}) || orders.KindOf(err) != orders.Wrong || len(err.Error()) > 500 {
				t.Errorf("%+v beside %v", r, err)
			}
			return
		}
		// What is taken is an object to every other reader, too, has no other fields, and means the same to it.
		var fields map[string]any
		if len(body) > 0 {
			if err := json.Unmarshal(body, &fields); err != nil || fields == nil {
				t.Fatalf("%q is taken as %+v, and is no object: %v", body, r, err)
			}
		}
		want := request{}
		for _, name := range may {
			value := fields[name]
			delete(fields, name)
			switch name {
			case fieldFor:
				text, _ := value.(string)
				if want.For, err = time.ParseDuration(text); err != nil || want.For < orders.Least || want.For > orders.Most {
					t.Errorf("%q is taken for %q", text, want.For)
				}
			case fieldWhy:
				text, _ := value.(string)
				want.Why = orders.Clean(text, orders.MostWhy)
			case fieldOwn:
				want.Own, _ = value.(bool)
			case fieldRehearse:
				want.Rehearse, _ = value.(bool)
			}
		}
		if r != want || len(fields) != 0 {
			t.Errorf("%q is taken as %+v, want %+v; %v are left", body, r, want, fields)
		}
	})
}
