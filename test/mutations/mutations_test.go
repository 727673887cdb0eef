package main

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Every mutation still fits the code, so that a change of the core shows here and not in an hour's run.
func TestMutationsFit(t *testing.T) {
	names := map[string]bool{}
	for _, m := range all() {
		if names[m.name] {
			t.Errorf("two mutations are named %q", m.name)
		}
		names[m.name] = true
		text, err := os.ReadFile(filepath.Join("../..", m.file))
		if err != nil {
			t.Fatal(err)
		}
		if mutated, err := m.apply(string(text)); err != nil {
			t.Errorf("%s: %v", m.name, err)
		} else if mutated == string(text) {
			t.Errorf("%s changes nothing", m.name)
		}
		if !slices.Contains(rooms, filepath.Dir(m.file)) {
			t.Errorf("%s is in %s, whose tests are not run", m.name, m.file)
		}
	}
	for _, rule := range watchdog.RuleOrder() {
		if !names["no rule: "+rule] {
			t.Errorf("the rule %q is never taken out", rule)
		}
	}
}

func TestApplyWantsOnePlace(t *testing.T) {
	m := mutation{file: "f", old: "a", now: "b"}
	for text, fits := range map[string]bool{"": false, "a": true, "aa": false, "xax": true} {
		if _, err := m.apply(text); (err == nil) != fits {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestFirstFailureIsTheInnermost(t *testing.T) {
	out := "--- FAIL: TestA (0.00s)\n    --- FAIL: TestA/row_one (0.00s)\n        x.go:1: no\n--- FAIL: TestB (0.00s)\nFAIL\n"
	if have := firstFailure(out); have != "TestA/row_one" {
		t.Errorf("have %q", have)
	}
	if have := firstFailure("panic: out of range"); have == "" {
		t.Error("a panic is a failure, too")
	}
}
