package notify

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/gpu-watchdog/gpu-watchdog/internal/secret"
)

// The form is told by the host alone.
func TestRecognise(t *testing.T) {
	for _, c := range []struct {
		url  string
		want form
		// used is the address that is used, where it is another.
		used string
	}{
		{"https://hooks.slack.com/services/T/B/x", formSlack, ""},
		{"https://hooks.slack.com:443/workflows/T/x", formSlack, ""},
		{"https://HOOKS.Slack.com./services/T/B/x", formSlack, ""},
		{"https://hooks.slack-gov.com/services/T/B/x", formSlack, ""},
		{"https://discord.com/api/webhooks/1/x", formDiscord, "https://discord.com/api/v10/webhooks/1/x"},
		{"https://discordapp.com/api/webhooks/1/x?thread_id=5", formDiscord, "https://discordapp.com/api/v10/webhooks/1/x?thread_id=5"},
		{"https://canary.discord.com/api/webhooks/1/x/", formDiscord, "https://canary.discord.com/api/v10/webhooks/1/x/"},
		{"https://discord.com/api/v9/webhooks/1/x", formDiscord, ""},
		{"https://discord.com/api/webhooks/1/x/slack", formSlack, ""},
		{"https://discord.com/elsewhere", formDiscord, ""},
		{"https://slack.com/x", formJSON, ""},
		{"https://hooks.slack.com.evil.example/x", formJSON, ""},
		{"https://evil-hooks.slack.com/x", formJSON, ""},
		{"https://notdiscord.com/api/webhooks/1/x", formJSON, ""},
		{"https://discord.com.evil.example/api/webhooks/1/x", formJSON, ""},
		{"https://hooks.slack.com@evil.example/x", formJSON, ""},
		{"https://evil.example/?hooks.slack.com", formJSON, ""},
		{"https://alerts.example/api/webhooks/1/x", formJSON, ""},
		{"http://127.0.0.1:9000/hooks.slack.com", formJSON, ""},
		{"", formJSON, ""},
		{"https://h/%zz", formJSON, ""},
	} {
		got, target, err := recognise(secret.New(c.url))
		if want := c.used; got != c.want || err != nil || want != "" && target.Reveal() != want || want == "" && target.Reveal() != c.url {
			t.Errorf("%s: %s by %s, error %v; want %s by %s", c.url, got, target.Reveal(), err, c.want, c.used)
		}
	}
	if _, _, err := recognise(secret.New("https://discord.com/api/webhooks/1/x/github")); err == nil {
		t.Error("Discord's door for GitHub is taken")
	}
}

// Whatever the URL, no text of ours goes to a host in a form that is another's, and the address that is used has the same host.
func FuzzRecognise(f *testing.F) {
	for _, s := range []string{
		"https://hooks.slack.com/services/T/B/x", "https://discord.com/api/webhooks/1/x", "https://u:p@ptb.discord.com:443/api/webhooks/1/x?a=/api/webhooks/",
		"https://hooks.slack.com.evil.example/", "https://discord.com%2f@evil.example/api/webhooks/", "//discord.com/api/webhooks/1", "https://discord.com/api/webhooks/1/slack/",
		"https://hooks.slack.com\\@evil.example/", "HTTPS://DISCORD.COM/api/webhooks/1/x#/api/webhooks/", "", "https://[::1]/api/webhooks/",
	} {
		f.Add(s)
	}
	ends := map[form][]string{formSlack: {"hooks.slack.com", "hooks.slack-gov.com", "discord.com", "discordapp.com"}, formDiscord: {"discord.com", "discordapp.com"}}
	f.Fuzz(func(t *testing.T, text string) {
		got, target, err := recognise(secret.New(text))
		before, errBefore := url.Parse(text)
		after, errAfter := url.Parse(target.Reveal())
		if (errBefore == nil) != (errAfter == nil) {
			t.Fatalf("%q became %q", text, target.Reveal())
		}
		if errBefore != nil {
			if got != formJSON || err != nil {
				t.Fatalf("%q cannot be read, and is taken for %s", text, got)
			}
			return
		}
		if before.Host != after.Host || before.Scheme != after.Scheme || fmt.Sprint(before.User) != fmt.Sprint(after.User) || before.RawQuery != after.RawQuery {
			t.Fatalf("%q became %q", text, target.Reveal())
		}
		if longer := strings.HasPrefix(before.Path, discordHooks) && after.Path == "/api/v10"+before.Path[len("/api"):]; after.Path != before.Path && !longer {
			t.Fatalf("the path of %q became that of %q", text, target.Reveal())
		}
		if got == formJSON {
			return
		}
		host, fits := "."+strings.TrimSuffix(strings.ToLower(before.Hostname()), "."), false
		for _, end := range ends[got] {
			fits = fits || strings.HasSuffix(host, "."+end)
		}
		if !fits {
			t.Fatalf("%q is taken for %s", text, got)
		}
	})
}

var (
	noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	// stopAt is in another zone than is told.
	stopAt = time.Date(2026, 11, 24, 21, 2, 30, 0, time.FixedZone("KST", 9*3600))
)

func made(t *testing.T, m Message) *letter {
	t.Helper()
	l, err := newLetter(m, noon)
	if err != nil {
		t.Fatal(err)
	}
	l.id = "ID"
	return l
}

func TestBodies(t *testing.T) {
	announced := Message{
		Kind: StopAnnounced, Key: "gap-7", At: noon.Add(-time.Second), StopAt: stopAt, Text: "idle for 8m0s, `server_dead` & <!channel> [x](y)\nsecond line",
		Fields: map[string]any{"idle_seconds": 480, "price_usd_per_hour": nil},
	}
	alarm := Message{Kind: Alarm, Key: "blind", Text: "nobody knows"}
	for _, c := range []struct {
		form form
		m    Message
		want string
	}{
		{formSlack, announced, `{"text":"pod-1: idle for 8m0s, ` + "`server_dead`" + ` &amp; &lt;!channel&gt; [x](y)\nsecond line\nStop at <!date^1795521750^{date_short_pretty} {time_secs}|2026-11-24 12:02:30 UTC>."}`},
		{formSlack, alarm, `{"text":"pod-1: nobody knows"}`},
		{formDiscord, announced, `{"content":"pod-1: idle for 8m0s, \\` + "`server\\\\_dead\\\\`" + ` & \\<!channel\\> \\[x](y)\nsecond line\nStop at <t:1795521750:f> (<t:1795521750:R>).","allowed_mentions":{"parse":[]},"flags":4}`},
		{formDiscord, alarm, `{"content":"pod-1: nobody knows","allowed_mentions":{"parse":[]},"flags":4}`},
		{formJSON, announced, `{"schema":1,"id":"ID","kind":"stop_announced","key":"gap-7","name":"pod-1","start_id":"s1","at":"2026-11-24T11:59:59Z","sent_at":"2026-11-24T12:00:01Z","stop_at":"2026-11-24T12:02:30Z","text":"idle for 8m0s, ` + "`server_dead`" + ` & <!channel> [x](y)\nsecond line","fields":{"idle_seconds":480,"price_usd_per_hour":null}}`},
		{formJSON, alarm, `{"schema":1,"id":"ID","kind":"alarm","key":"blind","name":"pod-1","start_id":"s1","at":"2026-11-24T12:00:00Z","sent_at":"2026-11-24T12:00:01Z","stop_at":null,"text":"nobody knows","fields":{}}`},
	} {
		got, err := c.form.body(made(t, c.m), "pod-1", "s1", noon.Add(time.Second))
		if err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(c.want, string(got)); diff != "" {
			t.Errorf("%s, %s: %s", c.form, c.m.Kind, diff)
		}
	}
}

func TestNoNameNoHead(t *testing.T) {
	if got := slackText("", made(t, Message{Text: "x"})); got != "x" {
		t.Errorf("got %q", got)
	}
}

// Fields that cannot be sent are left out, and the message still goes.
func TestFieldsThatCannotBeSent(t *testing.T) {
	for name, fields := range map[string]map[string]any{
		"a channel": {"x": make(chan int)},
		"too long":  {"x": strings.Repeat("y", maxFields)},
	} {
		l, err := newLetter(Message{Kind: Alarm, Text: "x", Fields: fields}, noon)
		if err == nil || !strings.HasPrefix(err.Error(), "encode fields: ") {
			t.Errorf("%s: error %v", name, err)
		}
		if body, err := formJSON.body(l, "", "", noon); err != nil || !strings.HasSuffix(string(body), `"fields":{}}`) {
			t.Errorf("%s: %s, error %v", name, body, err)
		}
	}
}

// The caller may use its map again at once.
func TestFieldsAreTakenAtOnce(t *testing.T) {
	fields := map[string]any{"a": 1}
	l := made(t, Message{Fields: fields})
	fields["a"] = 2
	if string(l.fields) != `{"a":1}` {
		t.Errorf("fields %s", l.fields)
	}
}

// Every message is bounded as its host wants it, is JSON, and can neither call people nor hide an address behind a word.
func FuzzBodies(f *testing.F) {
	f.Add("pod", "idle for 8m", int64(1795521750))
	f.Add("<@1>", strings.Repeat("_", 5000), int64(0))
	f.Add("", "<!channel> @everyone [x](https://evil.example)", int64(-1))
	f.Add("\xff", strings.Repeat("中\u202e", 3000), int64(1)<<40)
	f.Add("a\\", strings.Repeat("&<>\\`*|~[", 700), int64(1795521750))
	f.Fuzz(func(t *testing.T, name, text string, at int64) {
		m := Message{Kind: StopAnnounced, Key: name, Text: text}
		if at > 0 && at < 1<<37 {
			m.StopAt = time.Unix(at, 0)
		}
		l, err := newLetter(m, noon)
		if err != nil {
			t.Fatal(err)
		}
		name = printable(name, maxWord)
		slack, discord := slackText(name, l), discordText(name, l)
		if len(slack) > maxSlack || utf8.RuneCountInString(discord) > maxDiscord || !utf8.ValidString(slack+discord) {
			t.Fatalf("%d bytes to Slack, %d letters to Discord", len(slack), utf8.RuneCountInString(discord))
		}
		if i := strings.IndexAny(slack, "<>"); i >= 0 && !strings.HasPrefix(slack[i:], "<!date^") {
			t.Fatalf("Slack would act upon %q", slack[i:])
		}
		plain := strings.NewReplacer(`\\`, "", `\<`, "", `\[`, "", "\\`", "", `\*`, "", `\_`, "").Replace(discord)
		if i := strings.IndexAny(plain, "<[`*_"); i >= 0 && !strings.HasPrefix(plain[i:], "<t:") {
			t.Fatalf("Discord would act upon %q", plain[i:])
		}
		for _, form := range []form{formSlack, formDiscord, formJSON} {
			body, err := form.body(l, name, "s1", noon)
			if err != nil || !json.Valid(body) || len(body) > 64<<10 {
				t.Fatalf("%s: error %v, %d bytes", form, err, len(body))
			}
		}
	})
}

// What may be set is asked without a notifier.
func TestCheckURLSaysWhatNewSays(t *testing.T) {
	for _, raw := range []string{"https://hooks.slack.com/services/x", "http://localhost/x", "", "x", "http://h.example/x", "https://discord.com/api/webhooks/1/x/github"} {
		_, want := New(Config{URL: secret.New(raw)})
		if got := CheckURL(secret.New(raw)); (got == nil) != (want == nil) || got != nil && got.Error() != want.Error() {
			t.Errorf("%q: %v, want %v", raw, got, want)
		}
	}
}
