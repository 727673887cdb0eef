package orders

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func TestKinds(t *testing.T) {
	cause := errors.New("cause")
	for want, err := range map[Kind]error{
		"":          nil,
		Failed:      cause,
		Wrong:       WrongUse("wrong: %w", cause),
		Denied:      fmt.Errorf("wrapped: %w", Refused("refused: %w", cause)),
		Unreachable: NotReachable("not there: %w", cause),
	} {
		if got := KindOf(err); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
		if err != nil && !errors.Is(err, cause) {
			t.Errorf("%v has lost its cause", err)
		}
	}
	if got := Refused("not armed: %s", "STOP is not set").Error(); got != "not armed: STOP is not set" {
		t.Errorf("it reads %q", got)
	}
	for told, want := range map[Kind]Kind{Wrong: Wrong, Denied: Denied, Unreachable: Unreachable, Failed: Failed, "": Failed, "of tomorrow": Failed} {
		err := Told(told, "as it was said")
		if KindOf(err) != want || err.Error() != "as it was said" {
			t.Errorf("told %q: %q of kind %q", told, err, KindOf(err))
		}
	}
}

func TestParseFor(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"1s": time.Second, "90s": 90 * time.Second, "30m": 30 * time.Minute, "1h30m": 90 * time.Minute, "24h": 24 * time.Hour, "1440m": 24 * time.Hour,
	} {
		if got, err := ParseFor(text); got != want || err != nil {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
	for text, says := range map[string]string{
		"30":          "has no unit: write 30m for minutes or 30h for hours",
		"0":           "has no unit",
		"1.5":         "write 1.5m",
		"":            `"" is no duration`,
		"2d":          "write a number with a unit, such as 90s, 30m or 8h",
		"two hours":   `"two hours" is no duration`,
		"-1h":         "too short",
		"0s":          "too short: the shortest is 1s",
		"999ms":       "too short",
		"24h0m0.001s": "too long: the longest is 24h, and it can be renewed",
		"25h":         "25h0m0s is too long",
		"9999999h":    "is no duration",
		"1h\x1b[31m":  `"1h[31m" is no duration`,
	} {
		got, err := ParseFor(text)
		if KindOf(err) != Wrong || !strings.Contains(fmt.Sprint(err), says) {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
	if _, err := ParseFor(strings.Repeat("9", 1000)); err == nil || len(err.Error()) > 300 {
		t.Errorf("a long text: %v", err)
	}
}

func TestClean(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "",
		"nightly evaluation":              "nightly evaluation",
		"  two\t\n lines \r\n":            "two lines",
		"평가 돌리는 중":                        "평가 돌리는 중",
		"red \x1b[31malarm\x1b[0m\a\x00":  "red [31malarm[0m",
		"left\u202eright\u200b\ufeff":     "leftright",
		"broken \xff\xc3 bytes":           "broken bytes",
		"\u2028line\u00a0of\u2029others ": "line of others",
		strings.Repeat("x", 20):           strings.Repeat("x", 20),
		strings.Repeat("x", 21):           strings.Repeat("x", 17) + "…",
		strings.Repeat("평", 7):            "평평평평평…",
		"0123456789012345 bcdefg":         "0123456789012345…",
	} {
		if got := Clean(text, 20); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := CleanLines("\n one \n\n\ttwo\x07\n"); got != "one\n\ntwo" {
		t.Errorf("lines: %q", got)
	}
	if got := CleanLines(strings.Repeat("line\n", 1000)); strings.Count(got, "\n") != mostLines-1 {
		t.Errorf("%d lines are kept", strings.Count(got, "\n")+1)
	}
}

// checkClean says that a text is fit to be shown.
func checkClean(t *testing.T, text string, most int) {
	t.Helper()
	if len(text) > most || !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) || strings.TrimSpace(text) != text {
		t.Errorf("%q is not clean within %d bytes", text, most)
	}
}

func FuzzClean(f *testing.F) {
	for _, text := range []string{"", "a  b", "평가\x1b[0m", "\xff\xfe", strings.Repeat("…", 50), "a\u0300\u202e"} {
		f.Add(text, 20)
	}
	f.Fuzz(func(t *testing.T, text string, most int) {
		most = 4 + most&0xff
		got := Clean(text, most)
		checkClean(t, got, most)
		if again := Clean(got, most); again != got {
			t.Errorf("%q becomes %q, and then %q", text, got, again)
		}
	})
}

// What is shown of an answer is the same whoever made it.
func TestPlain(t *testing.T) {
	seoul := time.FixedZone("KST", 9*3600)
	a := Answer{
		Text:  "held\x1b[2J\nuntil noon",
		Until: watchdog.Known(noon.Add(300 * time.Millisecond).In(seoul)),
		Holds: []Lease{{Until: noon.In(seoul), By: "root\n", Why: strings.Repeat("w", 1000)}},
	}.Plain()
	if a.Text != "held[2J\nuntil noon" || a.Until != watchdog.Known(noon) || a.StopAt.Known || a.Holds[0].By != "root" || len(a.Holds[0].Why) > MostWhy {
		t.Errorf("got %+v", a)
	}
	text, err := json.Marshal(Answer{}.Plain())
	if err != nil || string(text) != `{"text":"","until":null,"stop_at":null,"holds":[]}` {
		t.Errorf("the empty answer is %s, %v", text, err)
	}
}
