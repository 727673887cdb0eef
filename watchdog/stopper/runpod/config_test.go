package runpod_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog/stopper/runpod"
)

// TestNew changes one thing of a right configuration in each case.
func TestNew(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for _, c := range []struct {
		name   string
		change func(*runpod.Config)
		// want is the error, or a part of it where it begins with "…"; empty for none.
		want string
	}{
		{"right", func(*runpod.Config) {}, ""},
		{"defaults", func(c *runpod.Config) { c.APIURL, c.GraphQLURL, c.UserAgent, c.Timeout = "", "", "", 0 }, ""},
		{"longest id", func(c *runpod.Config) { c.PodID = strings.Repeat("a", 128) }, ""},
		{"loopback", func(c *runpod.Config) { c.APIURL, c.GraphQLURL = "http://localhost:1/v2/", "http://[::1]:1/graphql" }, ""},
		{"no id", func(c *runpod.Config) { c.PodID = "" }, "RunPod's pod id is empty; it is read from RUNPOD_POD_ID, which RunPod sets"},
		{"long id", func(c *runpod.Config) { c.PodID = strings.Repeat("a", 129) }, "…has 129 bytes, more than 128"},
		{"dot", func(c *runpod.Config) { c.PodID = "." }, `…"." is none`},
		{"dots", func(c *runpod.Config) { c.PodID = ".." }, `…".." is none`},
		{"an option", func(c *runpod.Config) { c.PodID = "--all" }, `…"--all" is none`},
		{"slash", func(c *runpod.Config) { c.PodID = "a/b" }, `…"a/b" has the character '/'`},
		{"backslash", func(c *runpod.Config) { c.PodID = `a\b` }, `…has the character '\\'`},
		{"question mark", func(c *runpod.Config) { c.PodID = "a?b" }, `…has the character '?'`},
		{"hash", func(c *runpod.Config) { c.PodID = "a#b" }, `…has the character '#'`},
		{"space", func(c *runpod.Config) { c.PodID = "a b" }, `…has the character ' '`},
		{"line end", func(c *runpod.Config) { c.PodID = "a\n" }, `…has the character '\n'`},
		{"control", func(c *runpod.Config) { c.PodID = "a\x01" }, `…has the character '\x01'`},
		{"no key", func(c *runpod.Config) { c.APIKey = "" }, "RunPod's API key is empty; set WATCHDOG_RUNPOD_API_KEY, or keep RUNPOD_API_KEY, which RunPod sets"},
		{"key with its line end", func(c *runpod.Config) { c.APIKey = key + "\n" }, fmt.Sprintf("…has a byte at place %d that no key has", len(key)+1)},
		{"clear text", func(c *runpod.Config) { c.APIURL = "http://api.runpod.io/v2" }, "RunPod's API URL http://api.runpod.io/v2 would send the key in the clear; use https (http is allowed to loopback addresses only)"},
		{"clear text to a private address", func(c *runpod.Config) { c.GraphQLURL = "http://10.0.0.1/graphql" }, "…RunPod's GraphQL URL http://10.0.0.1/graphql would send"},
		{"other scheme", func(c *runpod.Config) { c.APIURL = "ftp://api.runpod.io/v2" }, "RunPod's API URL ftp://api.runpod.io/v2 is neither https nor http; it has the form https://api.runpod.io/v2"},
		{"no scheme", func(c *runpod.Config) { c.APIURL = "api.runpod.io/v2" }, "RunPod's API URL api.runpod.io/v2 cannot be read; it has the form https://api.runpod.io/v2"},
		{"no host", func(c *runpod.Config) { c.GraphQLURL = "https://:443/graphql" }, "…cannot be read; it has the form https://api.runpod.io/graphql"},
		{"no URL", func(c *runpod.Config) { c.APIURL = "https://a b" }, "…(unreadable URL) cannot be read"},
		{"user", func(c *runpod.Config) { c.APIURL = "https://me:hunter2@api.runpod.io/v2" }, "RunPod's API URL https://api.runpod.io/v2 has a user name or password in it; take it out, the key goes into a header"},
		{"user without a scheme", func(c *runpod.Config) { c.APIURL = "me:hunter2@api.runpod.io/v2" }, "…(unreadable URL) cannot be read"},
		{"query", func(c *runpod.Config) { c.GraphQLURL = "https://api.runpod.io/graphql?api_key=hunter2" }, "RunPod's GraphQL URL https://api.runpod.io/graphql has a query or fragment; take it out, the key goes into a header"},
		{"fragment", func(c *runpod.Config) { c.APIURL = "https://api.runpod.io/v2#hunter2" }, "…https://api.runpod.io/v2 has a query or fragment"},
		{"the default by its word", func(c *runpod.Config) { c.Action = runpod.ActionStop }, ""},
		{"other action", func(c *runpod.Config) { c.Action = "Terminate" }, `action "Terminate" is none for RunPod; WATCHDOG_STOP_ACTION is stop, terminate or terminate-and-lose-data`},
		{"no such runpodctl", func(c *runpod.Config) { c.RunpodctlPath = "/nowhere/runpodctl" }, `…runpodctl at "/nowhere/runpodctl" cannot be run: `},
		{"all at once", func(c *runpod.Config) { c.PodID, c.APIKey, c.APIURL = "", "", "x" }, "…RUNPOD_POD_ID, which RunPod sets; RunPod's API key is empty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := runpod.Config{PodID: "pod1", APIKey: key, APIURL: "https://api.example/v2", GraphQLURL: "https://api.example/graphql", UserAgent: "test"}
			c.change(&cfg)
			client, err := runpod.New(cfg)
			if c.want == "" {
				if err != nil || client.Target() != (stopper.Target{Kind: "runpod", ID: cfg.PodID, Action: "stop"}) {
					t.Errorf("error %v", err)
				}
				return
			}
			part, some := strings.CutPrefix(c.want, "…")
			if got := fmt.Sprint(err); err == nil || got != c.want && !(some && strings.Contains(got, part)) {
				t.Errorf("error %q\nwant  %q", got, c.want)
			}
			if strings.Contains(fmt.Sprint(err), "hunter2") || strings.Contains(fmt.Sprint(err), key) {
				t.Errorf("the error shows a secret: %v", err)
			}
		})
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	cfg := runpod.Config{PodID: "pod1", APIKey: key, APIURL: "https://me:hunter2@api.example/v2?x=hunter2"}
	client, err := runpod.New(runpod.Config{PodID: "pod1", APIKey: key})
	if err != nil {
		t.Fatal(err)
	}
	locked, err := runpod.New(runpod.Config{PodID: "pod1", APIKey: key, Action: runpod.ActionTerminate})
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		for _, v := range []any{cfg, &cfg, client, client.Rungs(), locked.Rungs()} {
			if got := fmt.Sprintf(format, v); strings.Contains(got, key) || strings.Contains(got, "hunter2") {
				t.Errorf("%s of %T: %s", format, v, got)
			}
		}
	}
}
