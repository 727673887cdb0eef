package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/internal/secret"
)

func TestOneCheckDoesNotHarmAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hung := make(chan struct{})
		began := time.Now()
		got := examine(t.Context(), []check{
			{"a", "fine", func(context.Context) []Finding {
				return []Finding{{Verdict: OK, Detail: "one"}, {Verdict: Note, Name: "other"}}
			}},
			{"a", "panics", func(context.Context) []Finding { panic("on purpose") }},
			{"b", "obeys", func(ctx context.Context) []Finding {
				<-ctx.Done()
				return []Finding{{Verdict: Warning, Detail: "late"}}
			}},
			{"b", "hangs", func(context.Context) []Finding { <-hung; return nil }},
			{"b", "says nothing", func(context.Context) []Finding { return nil }},
		}, time.Minute)
		if took := time.Since(began); took != time.Minute+leaveAfter {
			t.Errorf("it took %s", took)
		}
		var names []string
		for _, f := range got {
			names = append(names, f.section+" "+f.Name+" "+string(f.Verdict))
		}
		if want := []string{"a fine ok", "a other note", "a panics failed", "b obeys warning", "b hangs failed"}; !slices.Equal(names, want) {
			t.Errorf("have %q, want %q", names, want)
		}
		if !strings.Contains(got[2].Detail, "on purpose") || !strings.Contains(got[4].Detail, "no answer within 1m") {
			t.Errorf("have %+v", got)
		}
		close(hung) // the bubble waits for what was left behind
	})
}

func TestTheWorstCounts(t *testing.T) {
	for _, c := range []struct {
		found   []Finding
		verdict Verdict
		outcome Outcome
	}{
		{nil, OK, Healthy},
		{[]Finding{{Verdict: OK}, {Verdict: Note}}, Note, Healthy},
		{[]Finding{{Verdict: Warning}, {Verdict: Note}}, Warning, Healthy},
		{[]Finding{{Verdict: Failed}, {Verdict: Note}}, Failed, Unhealthy},
		{[]Finding{{Verdict: "nonsense"}}, "nonsense", Healthy},
		{[]Finding{{Verdict: Failed}, {Verdict: Failed, refused: true}}, Failed, WouldRefuse},
		{[]Finding{{Verdict: Failed, mistaken: true}, {Verdict: Failed, refused: true}}, Failed, Misconfigured},
		{[]Finding{{Verdict: Failed, way: wouldNot, refused: true}, {Verdict: Note, way: would}, {Verdict: OK, Name: "armed"}}, Failed, Unhealthy},
		{[]Finding{{Verdict: Failed, way: wouldNot, refused: true}, {Verdict: OK, Name: "armed"}}, Failed, WouldRefuse},
		{[]Finding{{Verdict: Failed, way: wouldNot}, {Verdict: OK, Name: "armed"}}, Failed, Unhealthy},
	} {
		r := settle(weighWays(slices.Clone(c.found)), cleaner{})
		if r.Verdict != c.verdict || r.Outcome() != c.outcome {
			t.Errorf("%+v: %s, %d; want %s, %d", c.found, r.Verdict, r.Outcome(), c.verdict, c.outcome)
		}
	}
	ways := weighWays([]Finding{{Verdict: Failed, way: wouldNot}, {Verdict: OK, Name: "armed"}})
	if ways[1].Verdict != Failed {
		t.Errorf("armed without a way to stop is %+v", ways[1])
	}
}

func TestForeignTextIsMadeHarmless(t *testing.T) {
	c := cleaner{[]secret.Secret{secret.New("rpa_0123456789"), secret.New("a"), {}}}
	for text, want := range map[string]string{
		"no rpa_0123456789 here":        "no [secret] here",
		"a\x1b[31mred\x1b[0m":           "a?[31mred?[0m",
		"two\nlines\tand a tab\r":       "two; lines and a tab",
		"turned \u202eround":            "turned ?round",
		strings.Repeat("é", 2*mostText): strings.Repeat("é", mostText-1) + "…",
	} {
		if got := c.clean(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

func FuzzCleanTextIsOneLine(f *testing.F) {
	f.Add("two\nlines", "lines")
	f.Add("\x1b]0;title\a\xff", "")
	f.Fuzz(func(t *testing.T, text, hidden string) {
		got := cleaner{[]secret.Secret{secret.New(hidden)}}.clean(text)
		if strings.ContainsAny(got, "\n\r\x1b\a\x00") || len([]rune(got)) > mostText {
			t.Errorf("%q became %q", text, got)
		}
	})
}

func TestJSONHasTheFourFields(t *testing.T) {
	var b bytes.Buffer
	r := settle([]Finding{{Name: "gpu", Verdict: Warning, Detail: "<none>", Remedy: "a & b", section: "x", refused: true}}, cleaner{})
	if err := r.JSON(&b); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	checks, _ := got["checks"].([]any)
	if len(got) != 2 || got["verdict"] != "warning" || len(checks) != 1 || len(checks[0].(map[string]any)) != 4 || !strings.Contains(b.String(), `"<none>"`) {
		t.Errorf("have %s", b.String())
	}
}
