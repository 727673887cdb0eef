package host

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/gpu-watchdog/gpu-watchdog/internal/secret"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

// Each variable is looked for in three places, and says where it was found.
func TestPodEnvironmentSources(t *testing.T) {
	root := t.TempDir()
	write(t, root, map[string]string{
		"proc/1/environ": "PATH=/bin\x00RUNPOD_POD_ID=first\x00RUNPOD_API_KEY=rpa_first\x00RUNPOD_GPU_COUNT=2\x00POD_UID=notours\x00",
		"etc/rp_environment": "export RUNPOD_POD_ID=\"file\"\nexport RUNPOD_ENDPOINT_ID=\"old\"\nexport RUNPOD_ENDPOINT_ID=\"ep=1\"\n" +
			"export RUNPOD_VOLUME_ID=vol\nexport KUBERNETES_SERVICE_HOST=\"notours\"\n",
	})
	got := PodEnvironment(env("RUNPOD_POD_ID", "own", "POD_NAME", "vllm-0", "POD_NAMESPACE", "llm", "POD_UID", "uid", "KUBERNETES_SERVICE_HOST", "10.0.0.1"), root)
	want := PodEnv{
		PodID: EnvValue{"own", FromEnvironment}, EndpointID: EnvValue{"ep=1", FromRunPodFile}, VolumeID: EnvValue{"vol", FromRunPodFile},
		APIKey:   EnvSecret{got.APIKey.Value, FromFirstProcess},
		GPUCount: watchdog.Known(2), GPUCountFrom: FromFirstProcess,
		PodUID: EnvValue{"uid", FromEnvironment}, PodName: EnvValue{"vllm-0", FromEnvironment}, PodNamespace: EnvValue{"llm", FromEnvironment},
		KubernetesServiceHost: EnvValue{"10.0.0.1", FromEnvironment},
	}
	if !reflect.DeepEqual(got, want) || got.APIKey.Value.Reveal() != "rpa_first" {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got := PodEnvironment(env(), root); got.PodID != (EnvValue{"first", FromFirstProcess}) || got.PodUID != (EnvValue{}) || got.KubernetesServiceHost != (EnvValue{}) {
		t.Errorf("without our own environment: %+v", got)
	}
	if got := PodEnvironment(env(), t.TempDir()); !reflect.DeepEqual(got, PodEnv{}) {
		t.Errorf("nowhere: %+v", got)
	}
}

// An id becomes part of a request's path and a key part of its header: what would break out is not taken.
func TestPodEnvironmentIgnoresWhatIsNoID(t *testing.T) {
	for _, bad := range []string{".", "..", "hidden/b", `hidden\b`, "hidden?b", "hidden#b", "hidden b", "hidden\nb", "hidden%2fb", "hidden\x00b",
		"hidden\u00a0b", "hidden\xff", strings.Repeat("hidden", 22)} {
		got := PodEnvironment(env("RUNPOD_POD_ID", bad), t.TempDir())
		if got.PodID != (EnvValue{}) || len(got.Ignored) != 1 || !strings.HasPrefix(got.Ignored[0], "RUNPOD_POD_ID of environment is ignored: it ") {
			t.Errorf("%q: got %+v", bad, got)
		}
		if strings.Contains(fmt.Sprint(got.Ignored), "hidden") {
			t.Errorf("%q is printed: %v", bad, got.Ignored)
		}
	}
	for _, good := range []string{"abc123xyz", "a.b", "...", strings.Repeat("a", 128), " padded\n"} {
		if got := PodEnvironment(env("RUNPOD_POD_ID", good), t.TempDir()); got.PodID.Value != strings.TrimSpace(good) || got.Ignored != nil {
			t.Errorf("%q: got %+v", good, got)
		}
	}
	// A bad value does not hide a good one elsewhere.
	root := t.TempDir()
	write(t, root, map[string]string{"proc/1/environ": "RUNPOD_POD_ID=good\x00"})
	if got := PodEnvironment(env("RUNPOD_POD_ID", "a/b"), root); got.PodID != (EnvValue{"good", FromFirstProcess}) || len(got.Ignored) != 1 {
		t.Errorf("got %+v", got)
	}
	for _, bad := range []string{"sk hidden", "sk\nhidden", "skhidden\u00e9", strings.Repeat("skhidden", 1000)} {
		got := PodEnvironment(env("RUNPOD_API_KEY", bad), t.TempDir())
		if got.APIKey.Value.Reveal() != "" || got.APIKey.From != "" || len(got.Ignored) != 1 || strings.Contains(got.Ignored[0], "hidden") {
			t.Errorf("%.20q: got %+v", bad, got)
		}
	}
	for _, bad := range []string{"x", "-1", "1025", "1.5", "99999999999999999999"} {
		if got := PodEnvironment(env("RUNPOD_GPU_COUNT", bad), t.TempDir()); got.GPUCount.Known || got.GPUCountFrom != "" || len(got.Ignored) != 1 {
			t.Errorf("%q GPUs: got %+v", bad, got)
		}
	}
	if got := PodEnvironment(env("RUNPOD_GPU_COUNT", "0"), t.TempDir()); got.GPUCount != watchdog.Known(0) {
		t.Errorf("0 GPUs: got %+v", got)
	}
}

// No way of printing shows the key.
func TestSecretNeverPrints(t *testing.T) {
	const key = "rpa_verysecret"
	got := PodEnvironment(env("RUNPOD_API_KEY", key), t.TempDir())
	hidden := struct {
		a secret.Secret
		b *secret.Secret
		c []secret.Secret
		d map[string]secret.Secret
	}{got.APIKey.Value, &got.APIKey.Value, []secret.Secret{got.APIKey.Value}, map[string]secret.Secret{"k": got.APIKey.Value}}
	var all strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%T", "%10.3s", "%08b"} {
		for _, value := range []any{got, got.APIKey, got.APIKey.Value, &got.APIKey, hidden, &hidden} {
			fmt.Fprintf(&all, verb+"\n", value)
		}
	}
	encoded, err := json.Marshal(map[string]any{"a": got, "b": []any{got.APIKey.Value, &got.APIKey.Value}})
	if err != nil {
		t.Fatal(err)
	}
	all.Write(encoded)
	text := all.String() + got.APIKey.Value.String() + got.APIKey.Value.GoString()
	for _, leak := range []string{key, "verysecret", fmt.Sprintf("%x", key), fmt.Sprintf("%X", key), fmt.Sprint([]byte(key))} {
		if strings.Contains(text, leak) {
			t.Errorf("printed: %s", leak)
		}
	}
	if !strings.Contains(string(encoded), `"[secret]"`) || fmt.Sprintf("%s %d %x", got.APIKey.Value, got.APIKey.Value, got.APIKey.Value) != "[secret] [secret] [secret]" {
		t.Errorf("a key that is set does not show as set: %s", encoded)
	}
	if s := (secret.Secret{}); s.String() != "" || s.Reveal() != "" || secret.New("") != s {
		t.Error("a key that is not set shows as set")
	}
}

func TestParseRunPodFile(t *testing.T) {
	for _, c := range []struct{ file, want string }{
		{"export A=\"1\"\n", "map[A:1]"},
		{"export A=1", "map[A:1]"},
		{"export A='1 2'\r\n", "map[A:1 2]"},
		{"  export A=\"a=b\\\"c$d\"\n", `map[A:a=b\"c$d]`}, // nothing is escaped, so nothing is undone
		{"export A=\"\"\n", "map[A:]"},
		{"export A=\n", "map[A:]"},
		{"export A=\"1\"\nexport A=\"2\"\n", "map[A:2]"},
		{"export A=\"1\nexport B=\"2\"\n", "map[B:2]"}, // a value of several lines
		{"export A=\"\n", "map[]"},
		{"A=1\n#export B=2\nexportC=3\nexport 4D=1\nexport E F=1\nexport =1\nexport G\n", "map[]"},
		{"", "map[]"},
	} {
		if got := fmt.Sprint(parseRunPodFile([]byte(c.file))); got != c.want {
			t.Errorf("%q reads as %s, want %s", c.file, got, c.want)
		}
	}
}

// Whatever is read was in the file, once, under a name that a shell would take, and a line that the start script would
// write reads as what it was written from.
func FuzzParseRunPodFile(f *testing.F) {
	f.Add([]byte("export RUNPOD_POD_ID=\"abc\"\nexport RUNPOD_API_KEY=\"rpa_x\"\n"), "KEY", "value")
	f.Add([]byte("export A=\"1\nexport B='2'\nexport C=\"\n"), "_A9", `a"b\c`)
	f.Fuzz(func(t *testing.T, b []byte, name, value string) {
		size := 0
		for k, v := range parseRunPodFile(b) {
			size += len(k) + len(v) + len("export =")
			if !isVariableName(k) || strings.ContainsAny(v, "\n") || !strings.Contains(string(b), k+"=") || !strings.Contains(string(b), v) {
				t.Errorf("%q reads %q = %q", b, k, v)
			}
		}
		if size > len(b) {
			t.Errorf("%d bytes read out of %d", size, len(b))
		}
		if !isVariableName(name) || strings.ContainsAny(value, "\n") {
			return
		}
		got := parseRunPodFile(fmt.Appendf(nil, "export Z_=\"x\"\nexport %s=\"%s\"\n", name, value))
		if got[name] != value {
			t.Errorf("%s=%q reads as %q", name, value, got[name])
		}
	})
}
