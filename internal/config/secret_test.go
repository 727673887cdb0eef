package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/gpu-watchdog/gpu-watchdog/internal/secret"
)

const key, keyFile = "WATCHDOG_RUNPOD_API_KEY", "WATCHDOG_RUNPOD_API_KEY_FILE"

func TestSecretPrintsNowhere(t *testing.T) {
	c := load(t, with(), options()) // every secret is the planted one, or holds it
	if c.RunpodAPIKey.Reveal() != planted || !strings.Contains(c.StopURL.Reveal()+c.NotifyURL.Reveal(), planted) || c.StopCommand.Argv()[2] != planted || c.WebhookSecret.Reveal() != planted {
		t.Fatal("a secret is lost")
	}
	wrapped := struct{ hidden Config }{c} // fmt does not ask the methods of unexported fields
	var out strings.Builder
	for _, v := range []any{
		c, &c, wrapped, c.Table(),
		c.RunpodAPIKey, &c.RunpodAPIKey, c.StopURL, &c.NotifyURL, c.StopCommand, &c.StopCommand,
		[]Secret{c.RunpodAPIKey},
		[]HookURL{c.StopURL},
		[]Command{c.StopCommand},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			fmt.Fprintf(&out, verb+"\n", v)
		}
	}
	for _, v := range []any{c.RunpodAPIKey, c.StopURL, c.StopCommand, c, c.Table(), map[Secret]int{c.RunpodAPIKey: 1}} {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(b)
	}
	for _, enc := range []zapcore.Encoder{
		zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig()), zapcore.NewConsoleEncoder(zap.NewDevelopmentEncoderConfig()),
	} {
		b, err := enc.EncodeEntry(zapcore.Entry{}, []zap.Field{
			zap.Any("any", c.RunpodAPIKey), zap.Stringer("stringer", c.RunpodAPIKey), zap.Reflect("reflect", c), zap.Any("pointer", &c.RunpodAPIKey),
			zap.Any("hook", c.StopURL), zap.Stringer("hook_stringer", c.NotifyURL), zap.Any("command", c.StopCommand), zap.Reflect("command_reflect", c.StopCommand),
		})
		if err != nil {
			t.Fatal(err)
		}
		out.WriteString(b.String())
	}
	hex := fmt.Sprintf("%x", planted)
	for _, leak := range []string{planted, planted[4:], hex, strings.ToUpper(hex)} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("%q came out", leak)
		}
	}
	if n := strings.Count(out.String(), masked); n < 20 {
		t.Errorf("the mask came out %d times only", n)
	}
	if got := fmt.Sprint(Secret{}); got != "" || secret.New("").IsSet() {
		t.Errorf("a secret that is not set prints %q", got)
	}
}

func TestSecretOrigins(t *testing.T) {
	injected := options()
	injected.RunpodAPIKey = secret.New("rpa_from_pid1\n")
	for _, c := range []struct {
		name   string
		env    []string
		opts   Options
		want   string
		origin Origin
	}{
		{"none", nil, options(), "", FromDefault},
		{"variable", []string{key + "=a", "RUNPOD_API_KEY=b"}, options(), "a", FromEnvironment},
		{"file", []string{keyFile + "=/run/secrets/key", "RUNPOD_API_KEY=b"}, options(), planted, FromFile},
		{"injected", []string{"RUNPOD_API_KEY=b"}, injected, "b", FromRunpod},
		{"injected, found elsewhere", nil, injected, "rpa_from_pid1", FromRunpod},
	} {
		cfg := load(t, c.env, c.opts)
		if cfg.RunpodAPIKey.Reveal() != c.want || cfg.Origin(key) != c.origin || cfg.Explicit(key) != (c.origin != FromDefault) {
			t.Errorf("%s: %q from %q, want %q from %q", c.name, cfg.RunpodAPIKey.Reveal(), cfg.Origin(key), c.want, c.origin)
		}
	}
	cfg := load(t, []string{"RUNPOD_API_KEY=" + planted + " " + planted}, options())
	if w := cfg.Warnings(); cfg.RunpodAPIKey.IsSet() || len(w) != 1 || !strings.Contains(w[0], "it is not used") || strings.Contains(w[0], planted) {
		t.Errorf("an injected key that is none: set %v, warnings %d", cfg.RunpodAPIKey.IsSet(), len(w))
	}
}

func TestSecretFileMistakes(t *testing.T) {
	for _, c := range []struct{ path, variable, value, says string }{
		{"/run/secrets/absent", keyFile, "/run/secrets/absent", "file does not exist"},
		{"/run/secrets/denied", keyFile, "/run/secrets/denied", "permission denied"},
		{"/run/secrets/empty", keyFile, "/run/secrets/empty", "is empty"},
		{"/run/secrets/large", keyFile, "/run/secrets/large", "more than 65536 bytes"},
		{"/run/secrets/two", keyFile, "", "holds a blank"},
		{planted, keyFile, "", "not the secret itself"},
	} {
		found := refused(t, []string{keyFile + "=" + c.path}, options())
		if len(found) != 1 || found[0].Variable != c.variable || found[0].Value != c.value || !strings.Contains(found[0].Text, c.says) {
			t.Errorf("%s gave %v, want %q", c.path, found, c.says)
		}
	}
	found := refused(t, []string{keyFile + "=/run/secrets/key", key + "=" + planted}, options())
	if len(found) != 1 || found[0].Variable != key || !strings.Contains(found[0].Text, "unset one of them") {
		t.Errorf("both set gave %v", found)
	}
}

func TestReadSecretFile(t *testing.T) {
	dir := t.TempDir()
	file, link, pipe := filepath.Join(dir, "key"), filepath.Join(dir, "link"), filepath.Join(dir, "pipe")
	if err := errors.Join(os.WriteFile(file, []byte(planted+"\r\n"), 0o600), os.Symlink(file, link), syscall.Mkfifo(pipe, 0o600)); err != nil {
		t.Fatal(err)
	}
	c := load(t, []string{keyFile + "=" + link}, Options{Hostname: "h"}) // the reader by default
	if c.RunpodAPIKey.Reveal() != planted {
		t.Errorf("read %q", c.RunpodAPIKey.Reveal())
	}
	for _, path := range []string{dir, pipe, "/dev/zero"} {
		if _, err := ReadSecretFile(path); err == nil || !strings.Contains(err.Error(), "regular") {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := ReadSecretFile(filepath.Join(dir, "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("absent: %v", err)
	}
	if err := os.WriteFile(file, make([]byte, 10*maxSecretBytes), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := ReadSecretFile(file); err != nil || len(b) != maxSecretBytes+1 {
		t.Errorf("a large file: %d bytes, %v", len(b), err)
	}
}

// TestURLsShowNoSecret plants secrets where people put them into URLs.
func TestURLsShowNoSecret(t *testing.T) {
	for _, variable := range []string{"WATCHDOG_VLLM_URLS", "WATCHDOG_RUNPOD_API_URL", "WATCHDOG_RUNPOD_GRAPHQL_URL"} {
		for _, url := range []string{
			"http://u:%s@h", "http://%s@h:1", "u:%s@h", "http://u:a,%s@h", "http://h?key=%s", "http://h/x#%s", "h?key=%s",
			"https://u:?%s@h", "ftp://u:%s@h", "https://h:bad?key=%s", "http://[?%s",
		} {
			refused(t, []string{variable + "=" + fmt.Sprintf(url, planted)}, options()) // looks for the secret itself
		}
	}
}
