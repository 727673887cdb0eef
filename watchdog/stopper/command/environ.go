package command

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

const (
	// prefix is that of the facts.
	prefix = "GPU_WATCHDOG_"
	// maxFact bounds one, in bytes: with too much to tell, the kernel would start nothing.
	maxFact = 8 << 10
)

// facts are what a program is told.
type facts struct {
	action, name, startID, pod string
	decision                   func() watchdog.Decision
}

// environ are the assignments of what is known.
func (f facts) environ(now time.Time) (env []string) {
	set := func(name, value string) {
		if value != "" {
			value = strings.ToValidUTF8(value[:min(len(value), maxFact)], "")
			env = append(env, prefix+name+"="+strings.ReplaceAll(value, "\x00", ""))
		}
	}
	number := func(name string, v float64) { set(name, strconv.FormatFloat(v, 'f', -1, 64)) }
	set("ACTION", f.action)
	set("NAME", f.name)
	set("START_ID", f.startID)
	set("POD", f.pod)
	at := now
	if f.decision != nil {
		d := f.decision()
		if len(d.Reasons) > 0 {
			set("REASON", string(d.Reasons[0].Code))
			set("DETAIL", d.Reasons[0].Detail)
		}
		number("IDLE_SECONDS", d.Idle.Seconds())
		if d.Threshold.Known {
			number("THRESHOLD_SECONDS", d.Threshold.Value.Seconds())
		}
		if even := d.Quote.BreakEven.Seconds(); even > 0 && !d.Quote.NoSaving {
			number("BREAK_EVEN_SECONDS", even)
		}
		if d.Quote.PriceUSDPerHour.Known {
			number("PRICE_USD_PER_HOUR", d.Quote.PriceUSDPerHour.Value)
		}
		if !d.At.IsZero() {
			at = d.At
		}
	}
	set("REQUESTED_AT", at.UTC().Format(time.RFC3339Nano))
	return env
}

// withoutOurs takes out our settings, among them the keys, the key that RunPod puts into every pod, and what would pass for a
// fact. A program that needs a key gets it by a variable of another name, or from a file.
func withoutOurs(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(assignment string) bool {
		return strings.HasPrefix(assignment, "WATCHDOG_") || strings.HasPrefix(assignment, "RUNPOD_API_KEY=") || strings.HasPrefix(assignment, prefix)
	})
}

// leastSecret: what is shorter hides nothing, and blotting it out would blot out words.
const leastSecret = 8

// leastWord is the shortest part of an argument that may be a key: shorter ones are words of some language.
const leastWord = 12

// secretsOf are the values that a program must not have repeated in a log: those of variables whose name says so, and its
// arguments, in which people write keys, too, and the longer parts of those.
func secretsOf(environ, arguments []string) (values []string) {
	for _, argument := range arguments {
		if len(argument) >= leastSecret {
			values = append(values, argument)
		}
		for _, part := range strings.FieldsFunc(argument, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(`="',;`, r) }) {
			if len(part) >= leastWord && !strings.Contains(part, "://") { // of an address only the secret parts are taken out, later
				values = append(values, part)
			}
		}
	}
	for _, assignment := range environ {
		name, value, _ := strings.Cut(assignment, "=")
		name = strings.ToUpper(name)
		if len(value) >= leastSecret && slices.ContainsFunc([]string{"KEY", "TOKEN", "SECRET", "PASSW", "CREDENTIAL"}, func(word string) bool {
			return strings.Contains(name, word)
		}) {
			values = append(values, value)
		}
	}
	slices.SortFunc(values, func(a, b string) int { return len(b) - len(a) })
	return values
}
