package notify

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/secret"
)

// form is how a host wants its messages. The zero form is JSON for programs.
type form uint8

const (
	formJSON form = iota
	formSlack
	formDiscord
)

var formNames = [...]string{"JSON", "Slack", "Discord"}

func (f form) String() string { return formNames[f] }

const (
	// Slack cuts a text behind 40,000 characters, and advises to stay below 4,000; Discord refuses more than 2,000.
	maxSlack   = 3900
	maxDiscord = 2000

	discordHooks     = "/api/webhooks/"
	discordHooksAt10 = "/api/v10/webhooks/"
)

// recognise tells the form by the host of the URL alone, and gives the address to use. What cannot be read is left to those who
// refuse it.
func recognise(address secret.Secret) (form, secret.Secret, error) {
	text := address.Reveal()
	u, err := url.Parse(text)
	if err != nil {
		return formJSON, address, nil
	}
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	switch {
	case host == "hooks.slack.com", host == "hooks.slack-gov.com":
		return formSlack, address, nil
	case !isDiscord(host):
		return formJSON, address, nil
	case strings.HasSuffix(path, "/slack"):
		return formSlack, address, nil // Discord takes Slack's form there
	case strings.HasSuffix(path, "/github"):
		return formDiscord, address, errors.New("it ends in /github, where Discord takes only what GitHub sends; take that off")
	case strings.HasPrefix(path, discordHooks):
		// Without a version Discord answers as its version 6 did, in which Retry-After is in milliseconds.
		return formDiscord, secret.New(strings.Replace(text, discordHooks, discordHooksAt10, 1)), nil
	}
	return formDiscord, address, nil
}

func isDiscord(host string) bool {
	return slices.ContainsFunc([]string{"discord.com", "discordapp.com"}, func(domain string) bool {
		return host == domain || strings.HasSuffix(host, "."+domain)
	})
}

// body is the letter in that form.
func (f form) body(l *letter, name, startID string, now time.Time) ([]byte, error) {
	switch f {
	case formSlack:
		return encode(slackMessage{Text: slackText(name, l)})
	case formDiscord:
		m := discordMessage{Content: discordText(name, l), Flags: suppressEmbeds}
		m.AllowedMentions.Parse = []string{}
		return encode(m)
	default:
		return encode(l.document(name, startID, now))
	}
}

// slackMessage has the text alone: what else may be there differs between hooks, workflows and those who speak like Slack.
type slackMessage struct {
	Text string `json:"text"`
}

type discordMessage struct {
	Content string `json:"content"`
	// AllowedMentions.Parse is empty: no text of ours calls anybody.
	AllowedMentions struct {
		Parse []string `json:"parse"`
	} `json:"allowed_mentions"`
	Flags int `json:"flags"`
}

// suppressEmbeds keeps Discord from showing previews of addresses in a text.
const suppressEmbeds = 1 << 2

var (
	// Slack's three; with them neither links nor mentions can be written.
	slackEscapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	// Discord's marks, which words like server_dead would set off.
	discordEscapes = strings.NewReplacer(`\`, `\\`, "*", `\*`, "_", `\_`, "~", `\~`, "|", `\|`, "`", "\\`", "<", `\<`, ">", `\>`, "[", `\[`)
)

// slackText names the pod, and says the instant of a stop in the reader's own time zone.
func slackText(name string, l *letter) string {
	when := ""
	if !l.StopAt.IsZero() {
		when = fmt.Sprintf("\nStop at <!date^%d^{date_short_pretty} {time_secs}|%s>.", l.StopAt.Unix(), l.StopAt.UTC().Format("2006-01-02 15:04:05 UTC"))
	}
	return fitted(slackEscapes, headed(name, l.Text), maxSlack-len(when)) + when
}

// discordText is the same for Discord, which counts characters; bytes are never fewer.
func discordText(name string, l *letter) string {
	when := ""
	if !l.StopAt.IsZero() {
		when = fmt.Sprintf("\nStop at <t:%d:f> (<t:%[1]d:R>).", l.StopAt.Unix())
	}
	return fitted(discordEscapes, headed(name, l.Text), maxDiscord-len(when)) + when
}

func headed(name, text string) string {
	if name == "" {
		return text
	}
	return name + ": " + text
}

// fitted escapes text and cuts it so that the whole has at most n bytes, never within an escape.
func fitted(escapes *strings.Replacer, text string, n int) string {
	whole := escapes.Replace(text)
	if len(whole) <= n {
		return whole
	}
	const ellipsis = "…"
	var kept strings.Builder
	for _, letter := range text {
		piece := escapes.Replace(string(letter))
		if kept.Len()+len(piece)+len(ellipsis) > n {
			break
		}
		kept.WriteString(piece)
	}
	return kept.String() + ellipsis
}
