package coldstart

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestReadCommand(t *testing.T) {
	model := filepath.Join(t.TempDir(), "tiny")
	if err := os.MkdirAll(model, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(model, "config.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		line, url, model, key string
		spans                 bool
	}{
		{"vllm serve org/model", "", "org/model", "", false},
		{"vllm serve org/model --port 8100 --api-key=k1", "http://127.0.0.1:8100", "org/model", "k1", false},
		{"nice vllm serve org/model --host 0.0.0.0 --port=8100", "http://127.0.0.1:8100", "org/model", "", false},
		{"vllm serve --model org/other --host ::1 --port 1 --port 2", "http://[::1]:2", "org/other", "", false},
		{"python -m vllm.entrypoints.openai.api_server --model org/m --api_key k2 --otlp-traces-endpoint http://x", "", "org/m", "k2", true},
		{"./serve.sh 8100 " + model, "", model, "", false},
		{"./serve.sh 8100", "", "", "", false},
		{"vllm serve --port", "", "", "", false},
	} {
		got := ReadCommand(strings.Fields(c.line))
		if got.URL != c.url || got.Model != c.model || got.APIKey.Reveal() != c.key || got.HasSpans != c.spans {
			t.Errorf("%s: %+v, key %q", c.line, got, got.APIKey.Reveal())
		}
	}
}

func TestShownHasNoSecret(t *testing.T) {
	argv := []string{"env", "HF_TOKEN=s1", "OPENAI_API_KEY=s2", "vllm", "serve", "m", "--api-key", "s3", "--hf-token=s4", "--api_key=s5",
		"--tokenizer", "tok", "--max-num-batched-tokens", "2048", "--ssl-keyfile", "file"}
	before := slices.Clone(argv)
	got := strings.Join(Shown(argv), " ")
	for _, secret := range []string{"s1", "s2", "s3", "s4", "s5"} {
		if strings.Contains(got, secret+" ") || strings.HasSuffix(got, secret) {
			t.Errorf("%s is shown in %q", secret, got)
		}
	}
	for _, open := range []string{"--tokenizer tok", "--max-num-batched-tokens 2048", "--ssl-keyfile file", "HF_TOKEN=[secret]", "--api-key [secret]"} {
		if !strings.Contains(got, open) {
			t.Errorf("%q has no %q", got, open)
		}
	}
	if !slices.Equal(argv, before) {
		t.Error("the command itself was changed")
	}
}

func TestModelFolder(t *testing.T) {
	home := t.TempDir()
	cached := filepath.Join(home, ".cache/huggingface/hub/models--org--model")
	other := filepath.Join(home, "hf/hub/models--org--model")
	for _, folder := range []string{cached, other} {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	env := map[string]string{"HOME": home}
	getenv := func(name string) string { return env[name] }
	for _, c := range []struct{ hfHome, model, want string }{
		{"", "org/model", cached}, {filepath.Join(home, "hf"), "org/model", other}, {"", "org/absent", ""}, {"", "", ""}, {"", home, home},
	} {
		env["HF_HOME"] = c.hfHome
		if got := ModelFolder(c.model, getenv); got != c.want {
			t.Errorf("%q with HF_HOME=%q: %q", c.model, c.hfHome, got)
		}
	}
}
