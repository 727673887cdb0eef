package post

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/gpu-watchdog/gpu-watchdog/internal/secret"
)

// planted is in addresses and must come out nowhere.
const planted = "PLANTED0123456789"

func TestParseAddress(t *testing.T) {
	for _, c := range []struct {
		raw string
		// host is what is shown; where it is empty the error is wrong.
		host, wrong string
	}{
		{"https://hooks.slack.com/services/T0/B0/" + planted, "hooks.slack.com", ""},
		{"https://me:" + planted + "@alerts.example:8443/x?y=" + planted, "alerts.example:8443", ""},
		{"HTTPS://Alerts.Example", "Alerts.Example", ""},
		{"https://[2001:db8::1]:8443/" + planted, "[2001:db8::1]:8443", ""},
		{"https://алерт.example/" + planted, "алерт.example", ""},
		{"http://127.0.0.1:9000/" + planted, "127.0.0.1:9000", ""},
		{"http://[::1]/" + planted, "[::1]", ""},
		{"http://10.1.2.3/" + planted, "10.1.2.3", ""},
		{"http://[fd00::1]/" + planted, "[fd00::1]", ""},
		{"http://localhost:9000/" + planted, "localhost:9000", ""},
		{"http://reaper/" + planted, "reaper", ""},
		{"http://reaper.ops.svc/" + planted, "reaper.ops.svc", ""},
		{"http://reaper.ops.svc.cluster.local./" + planted, "reaper.ops.svc.cluster.local.", ""},
		{"", "", "WATCHDOG_X is empty"},
		{"https://h/" + strings.Repeat("x", 5000) + planted, "", "WATCHDOG_X has 5027 bytes, more than 4096"},
		{planted, "", "WATCHDOG_X cannot be read as a URL"},
		{"hooks.slack.com/services/" + planted, "", "WATCHDOG_X cannot be read as a URL"},
		{"https:///" + planted, "", "WATCHDOG_X cannot be read as a URL"},
		{"https:" + planted, "", "WATCHDOG_X cannot be read as a URL"},
		{"https://h /" + planted, "", "WATCHDOG_X cannot be read as a URL"},
		{"https://h%3Cb%3E/" + planted, "", "WATCHDOG_X cannot be read as a URL"},
		{"https://h/%zz" + planted, "", "WATCHDOG_X cannot be read as a URL"},
		{"https://h/\n" + planted, "", "WATCHDOG_X cannot be read as a URL"},
		{"https://h:" + planted + "/", "", "WATCHDOG_X cannot be read as a URL"},
		{"ftp://h/" + planted, "", "WATCHDOG_X is neither https nor http"},
		{planted + "://h/", "", "WATCHDOG_X is neither https nor http"},
		{"https://h/x#" + planted, "", "WATCHDOG_X has a fragment"},
		{"http://alerts.example/" + planted, "", "WATCHDOG_X would be sent in the clear to alerts.example; use https"},
		{"http://8.8.8.8/" + planted, "", "WATCHDOG_X would be sent in the clear to 8.8.8.8; use https"},
		{"http://evil.example/.svc" + planted, "", "WATCHDOG_X would be sent in the clear to evil.example; use https"},
	} {
		t.Run(c.raw[:min(len(c.raw), 40)], func(t *testing.T) {
			a, err := ParseAddress("WATCHDOG_X", secret.New(c.raw))
			if a.Host() != c.host || (err == nil) != (c.wrong == "") {
				t.Fatalf("host %q, error %v; want host %q", a.Host(), err, c.host)
			}
			if text := fmt.Sprint(err); err != nil && (!strings.HasPrefix(text, c.wrong) || strings.Contains(strings.ToUpper(text), planted)) {
				t.Errorf("error %q, want %q", text, c.wrong)
			}
			hides(t, a)
		})
	}
}

// hides checks every way of printing an address.
func hides(t *testing.T, a Address) {
	t.Helper()
	holder := struct{ inner Address }{a}
	client := NewClient(Config{Address: a, Key: secret.New(planted)})
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		for _, v := range []any{a, &a, holder, &holder, client, Config{Address: a, Key: secret.New(planted)}} {
			if got := fmt.Sprintf(format, v); strings.Contains(got, planted) || strings.Contains(got, fmt.Sprintf("%x", planted)) {
				t.Errorf("%s of %T shows the address: %s", format, v, got)
			}
		}
	}
}

func TestAddressString(t *testing.T) {
	a := parsed(t, "https://me:"+planted+"@alerts.example:8443/"+planted)
	if got, want := a.String(), "https://alerts.example:8443/[secret]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := (Address{}).String(); got != "" {
		t.Errorf("the zero address is %q", got)
	}
}

func parsed(t *testing.T, raw string) Address {
	t.Helper()
	a, err := ParseAddress("WATCHDOG_X", secret.New(raw))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestClean(t *testing.T) {
	a := parsed(t, "https://user:pa%20ss@h.example/services/T00000000/"+planted+"?token=to%2Fken&x=1")
	key := secret.New("signing-key")
	for _, c := range []struct{ text, want string }{
		{"nothing of it", "nothing of it"},
		{`Post "https://user:pa%20ss@h.example/services/T00000000/` + planted + `?token=to%2Fken&x=1": EOF`, `Post "[secret]": EOF`},
		{"404: /services/T00000000/" + planted + " not found", "404: [secret] not found"},
		{"no team T00000000", "no team [secret]"},
		{"hook " + planted + " was removed", "hook [secret] was removed"},
		{"bad to/ken, bad to%2Fken", "bad [secret], bad [secret]"},
		{"wrong password pa ss", "wrong password [secret]"},
		{"wrong password pa\n\tss", "wrong password [secret]"},
		{"signed by signing-key", "signed by [secret]"},
		{"", ""},
	} {
		if got := a.Clean(c.text, key); got != c.want {
			t.Errorf("of %q there is left %q, want %q", c.text, got, c.want)
		}
	}
}

// Parts that hide nothing do not blot out words.
func TestCleanKeepsWords(t *testing.T) {
	a := parsed(t, "https://h.example/a/of?b=it")
	const text = "a word of it"
	if got := a.Clean(text); got != text {
		t.Errorf("of %q there is left %q", text, got)
	}
}

// Whatever the URL, what follows its host is not shown: not by an address, not by an error, and not in a text that repeats it.
func FuzzParseAddress(f *testing.F) {
	for _, s := range []struct{ before, between string }{
		{"https://hooks.slack.com", "services/T0/"},
		{"http://127.0.0.1:80", ""},
		{"https://u:p@h", "a?b=c&d="},
		{"https://h?", "%20"},
		{"https://h", "%2f%00"},
		{"https://h", "a\u00a0\u200b"},
		{"https://h", "\xff;x="},
		{"https://h", "%zz"},
		{"mailto:x", "y"},
		{"https://[::1%25eth0]", ""},
		{"://", "#"},
	} {
		f.Add(s.before, s.between)
	}
	f.Fuzz(func(t *testing.T, before, between string) {
		if len(before)+len(between) > 8192 {
			return
		}
		raw := before + "/" + between + planted
		if u, err := url.Parse(raw); err == nil && strings.Contains(u.Host, planted) {
			return
		}
		a, err := ParseAddress("WATCHDOG_X", secret.New(raw))
		if err != nil {
			if text := err.Error(); strings.Contains(strings.ToUpper(text), planted) || a.Host() != "" || a.Clean("x") != "x" {
				t.Fatalf("error %q beside the address %q", text, a)
			}
			return
		}
		for _, text := range []string{a.String(), a.Host(), fmt.Sprintf("%+v %#v", a, &a), a.Clean("x " + raw + " y"), a.Clean(raw), a.Clean("Post \"" + raw + "\": EOF")} {
			if strings.Contains(text, planted) {
				t.Fatalf("%q shows what follows the host of %q", text, raw)
			}
		}
		if strings.ContainsAny(a.Host(), "/?#@\"'<> \n") {
			t.Fatalf("host %q", a.Host())
		}
	})
}
