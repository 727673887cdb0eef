package batching

import (
	"reflect"
	"strings"
	"testing"
)

func TestGeneratedWorkload(t *testing.T) {
	g := Generated{Groups: 10, PerGroup: 50, Words: 40, OutputTokens: 64, Spread: 0.5, Seed: 1}
	all := g.Workload()
	if len(all) != 500 || !reflect.DeepEqual(all, g.Workload()) {
		t.Fatalf("%d prompts, or others the second time", len(all))
	}
	words, tokens, seen := 0, 0, map[string]bool{}
	for i, p := range all {
		n := len(strings.Fields(p.Text)) - 9
		if n < 20 || n > 60 || p.OutputTokens < 32 || p.OutputTokens > 96 {
			t.Errorf("prompt %d has %d words and wants %d tokens", i, n, p.OutputTokens)
		}
		words, tokens, seen[p.Text] = words+n, tokens+p.OutputTokens, true
	}
	if words < 500*38 || words > 500*42 || tokens < 500*61 || tokens > 500*67 {
		t.Errorf("%d words and %d tokens in all", words, tokens)
	}
	if len(seen) < 500 || !strings.Contains(all[49].Text, "restaurant 1 ") || !strings.Contains(all[50].Text, "restaurant 2 ") {
		t.Errorf("%d different prompts; the fiftieth is %q", len(seen), all[49].Text)
	}
	g.Seed = 2
	if reflect.DeepEqual(all, g.Workload()) {
		t.Error("another seed makes the same prompts")
	}
	g.Spread = 0
	for _, p := range g.Workload() {
		if p.OutputTokens != 64 {
			t.Fatalf("without a spread a prompt wants %d tokens", p.OutputTokens)
		}
	}
}

func TestReadPrompts(t *testing.T) {
	for _, c := range []struct {
		name, text string
		want       []Prompt
		says       string
	}{
		{"lines", "one\n\n two \n", []Prompt{{"one", 7}, {"two", 7}}, ""},
		{"JSON", `{"prompt":"음식","output_tokens":3}` + "\n" + `{"prompt":"b","more":1}`, []Prompt{{"음식", 3}, {"b", 7}}, ""},
		{"a brace further down", "one\n{two\n", []Prompt{{"one", 7}, {"{two", 7}}, ""},
		{"nothing", "\n\n", nil, "no prompt"},
		{"no object", `{"prompt":"a"}` + "\nplain", nil, "line 2"},
		{"no prompt", `{"text":"a"}`, nil, `line 1 has no "prompt"`},
		{"no tokens", `{"prompt":"a","output_tokens":0}`, nil, `"output_tokens": 0`},
		{"too long", strings.Repeat("x", maxPromptLine+1), nil, "longer than"},
	} {
		have, err := ReadPrompts(strings.NewReader(c.text), 7)
		if !reflect.DeepEqual(have, c.want) || (err == nil) != (c.says == "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: have %v, %v", c.name, have, err)
		}
	}
}
