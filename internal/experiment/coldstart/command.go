package coldstart

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gpu-watchdog/gpu-watchdog/internal/secret"
)

// Command is what a command that starts a server says of that server, in the flags of `vllm serve`.
type Command struct {
	// URL is where the server will be reached from here; empty where the command names no port.
	URL string
	// Model is the folder or the name that the command gives; empty where it names none.
	Model string
	// HasSpans: the command has an endpoint for spans of its own.
	HasSpans bool
	// APIKey is what the server will ask its clients for.
	APIKey secret.Secret
}

// ReadCommand reads a command line. What it cannot find is empty.
func ReadCommand(argv []string) Command {
	c := Command{APIKey: secret.New(flagOf(argv, "--api-key"))}
	if port := flagOf(argv, "--port"); port != "" {
		host := flagOf(argv, "--host")
		if host == "" || host == "0.0.0.0" || host == "::" {
			host = "127.0.0.1"
		}
		c.URL = "http://" + net.JoinHostPort(host, port)
	}
	c.HasSpans = flagOf(argv, spansFlag) != ""
	c.Model = flagOf(argv, "--model")
	if i := slices.Index(argv, "serve"); i >= 0 && i+1 < len(argv) && !strings.HasPrefix(argv[i+1], "-") {
		c.Model = argv[i+1]
	}
	if c.Model == "" {
		if i := slices.IndexFunc(argv, isModel); i >= 0 {
			c.Model = argv[i]
		}
	}
	return c
}

// flagOf is the value of a flag, the last one where it stands several times, as argparse reads it; vLLM takes _ for -.
func flagOf(argv []string, name string) (value string) {
	for i, arg := range argv {
		flag, given, inOne := strings.Cut(arg, "=")
		if strings.ReplaceAll(flag, "_", "-") != name {
			continue
		}
		if !inOne && i+1 < len(argv) {
			given = argv[i+1]
		}
		value = given
	}
	return value
}

// isModel says that a path is the folder of a model.
func isModel(path string) bool {
	info, err := os.Stat(filepath.Join(path, "config.json"))
	return err == nil && info.Mode().IsRegular()
}

// ModelFolder finds the files of a model that a command names: the folder itself, or that of Hugging Face's cache where the
// name is one of theirs (org/model). It is empty where there are none on this machine.
func ModelFolder(model string, getenv func(string) string) string {
	if model == "" {
		return ""
	}
	if info, err := os.Stat(model); err == nil && info.IsDir() {
		return model
	}
	for _, hub := range []string{
		getenv("HF_HUB_CACHE"), getenv("HUGGINGFACE_HUB_CACHE"), below(getenv("HF_HOME"), "hub"),
		below(getenv("XDG_CACHE_HOME"), "huggingface/hub"), below(getenv("HOME"), ".cache/huggingface/hub"),
	} {
		if hub == "" {
			continue
		}
		folder := filepath.Join(hub, "models--"+strings.ReplaceAll(model, "/", "--"))
		if info, err := os.Stat(folder); err == nil && info.IsDir() {
			return folder
		}
	}
	return ""
}

func below(folder, name string) string {
	if folder == "" {
		return ""
	}
	return filepath.Join(folder, name)
}

// Shown is a command line for people, without the values that are secret by their name.
func Shown(argv []string) []string {
	out := slices.Clone(argv)
	for i := range out {
		name, _, inOne := strings.Cut(out[i], "=")
		switch {
		case !secretName(name):
		case inOne:
			out[i] = name + "=" + secret.Mask
		case strings.HasPrefix(name, "-") && i+1 < len(out):
			out[i+1] = secret.Mask
		}
	}
	return out
}

func secretName(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc([]string{"key", "token", "secret", "password"}, func(end string) bool { return strings.HasSuffix(name, end) })
}
