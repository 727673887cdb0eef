package house

import (
	"bytes"
	"errors"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	"github.com/gpu-watchdog/gpu-watchdog/internal/config"
)

const manifest = root + "/deploy/kubernetes/sidecar.yaml"

// A deployment is the part of the manifest that has to agree with the program.
type deployment struct {
	Spec struct {
		Template struct {
			Spec struct {
				InitContainers []container `yaml:"initContainers"`
				Containers     []container
				Volumes        []struct{ Name string }
			}
		}
	}
}

type container struct {
	Name          string
	RestartPolicy string `yaml:"restartPolicy"`
	Command       []string
	Args          []string
	Env           []struct {
		Name      string
		Value     string
		ValueFrom struct {
			FieldRef struct {
				FieldPath string `yaml:"fieldPath"`
			} `yaml:"fieldRef"`
		} `yaml:"valueFrom"`
	}
	LivenessProbe struct {
		Exec struct{ Command []string }
	} `yaml:"livenessProbe"`
	StartupProbe   any `yaml:"startupProbe"`
	ReadinessProbe any `yaml:"readinessProbe"`
	VolumeMounts   []struct {
		Name      string
		MountPath string `yaml:"mountPath"`
	} `yaml:"volumeMounts"`
	SecurityContext struct {
		RunAsUser              int  `yaml:"runAsUser"`
		RunAsGroup             int  `yaml:"runAsGroup"`
		RunAsNonRoot           bool `yaml:"runAsNonRoot"`
		ReadOnlyRootFilesystem bool `yaml:"readOnlyRootFilesystem"`
	} `yaml:"securityContext"`
}

// documents are the objects of a manifest; a key that stands twice is an error.
func documents(text []byte) (found []any, err error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var document any
		switch err := decoder.Decode(&document); {
		case errors.Is(err, io.EOF):
			return found, nil
		case err != nil:
			return nil, err
		}
		found = append(found, document)
	}
}

// valid holds a manifest against Kubernetes' own schema of a Deployment, in which unknown fields are errors.
func valid(t *testing.T, text []byte) error {
	t.Helper()
	schema, err := jsonschema.NewCompiler().Compile("testdata/deployment-v1.29.json")
	if err != nil {
		t.Fatal(err)
	}
	objects, err := documents(text)
	if err != nil {
		return err
	}
	if len(objects) == 0 {
		return errors.New("it holds nothing")
	}
	for _, object := range objects {
		if err := schema.Validate(object); err != nil {
			return err
		}
	}
	return nil
}

func TestManifestIsWhatKubernetesAccepts(t *testing.T) {
	text, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	if err := valid(t, text); err != nil {
		t.Error(err)
	}
	// The check itself: one wrong field, type or indentation each.
	for _, c := range []struct{ name, old, new string }{
		{"field that does not exist", "automountServiceAccountToken:", "automountServiceToken:"},
		{"field of another object", "restartPolicy: Always", "restart: Always"},
		{"number where a text belongs", `value: none`, `value: 1`},
		{"text where a number belongs", "replicas: 1", `replicas: one`},
		{"another kind", "kind: Deployment", "kind: Pod"},
		{"a key twice", "replicas: 1", "replicas: 1\n  replicas: 2"},
		{"no selector", "  selector:\n    matchLabels:\n      app.kubernetes.io/name: vllm\n", ""},
	} {
		broken := strings.Replace(string(text), c.old, c.new, 1)
		if broken == string(text) {
			t.Errorf("%s: %q is not in the manifest any more", c.name, c.old)
		} else if valid(t, []byte(broken)) == nil {
			t.Errorf("%s: %q instead of %q is accepted", c.name, c.new, c.old)
		}
	}
}

func TestSidecarAgreesWithTheProgram(t *testing.T) {
	text, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	var d deployment
	if err := yaml.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	pod := d.Spec.Template.Spec
	if len(pod.InitContainers) != 1 || pod.InitContainers[0].Name != "gpu-watchdog" || pod.InitContainers[0].RestartPolicy != "Always" {
		t.Fatalf("the watchdog is not the one native sidecar: %+v", pod.InitContainers)
	}
	sidecar := pod.InitContainers[0]
	image, err := os.ReadFile(root + "/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}

	t.Run("its settings are accepted", func(t *testing.T) {
		var environ []string
		fields := map[string]string{}
		for _, e := range sidecar.Env {
			if path := e.ValueFrom.FieldRef.FieldPath; path != "" {
				fields[e.Name] = path
				continue
			}
			environ = append(environ, e.Name+"="+e.Value)
		}
		cfg, err := config.Load(environ, config.Options{Hostname: "node", KubernetesNamespace: "default", KubernetesOwner: "vllm"})
		if err != nil {
			t.Error(err)
		}
		for name, path := range map[string]string{"POD_UID": "metadata.uid", "POD_NAME": "metadata.name", "POD_NAMESPACE": "metadata.namespace"} {
			if fields[name] != path {
				t.Errorf("%s is filled from %q, not from %s", name, fields[name], path)
			}
		}
		mounted := func(m struct {
			Name      string
			MountPath string `yaml:"mountPath"`
		}) bool {
			return m.MountPath == cfg.Dir
		}
		if !slices.ContainsFunc(sidecar.VolumeMounts, mounted) {
			t.Errorf("nothing is mounted at %s, where it keeps its memory, and its root is read-only", cfg.Dir)
		}
	})

	t.Run("its commands exist", func(t *testing.T) {
		entry := regexp.MustCompile(`(?m)^ENTRYPOINT \["([^"]+)"\]$`).FindSubmatch(image)
		if entry == nil {
			t.Fatal("the Dockerfile has no ENTRYPOINT of one word")
		}
		if sidecar.Command != nil || !slices.Equal(sidecar.Args, []string{"run"}) {
			t.Errorf("it runs %q %q, not the image's own program with run", sidecar.Command, sidecar.Args)
		}
		if want := []string{string(entry[1]), "status"}; !slices.Equal(sidecar.LivenessProbe.Exec.Command, want) {
			t.Errorf("it is probed by %q, not by %q", sidecar.LivenessProbe.Exec.Command, want)
		}
	})

	t.Run("it never keeps vLLM from starting or serving", func(t *testing.T) {
		if sidecar.StartupProbe != nil {
			t.Error("it has a startupProbe: vLLM would wait for it")
		}
		if sidecar.ReadinessProbe != nil {
			t.Error("it has a readinessProbe: it would take vLLM out of its Service")
		}
	})

	t.Run("its user is the image's", func(t *testing.T) {
		user := regexp.MustCompile(`(?m)^USER (\d+):(\d+)$`).FindSubmatch(image)
		if user == nil {
			t.Fatal("the Dockerfile has no USER with numbers: Kubernetes cannot tell that a name is not root's")
		}
		context := sidecar.SecurityContext
		if got, want := [2]int{context.RunAsUser, context.RunAsGroup}, [2]int{number(t, user[1]), number(t, user[2])}; got != want {
			t.Errorf("it runs as %v, the image is made for %v", got, want)
		}
		if !context.RunAsNonRoot || !context.ReadOnlyRootFilesystem {
			t.Error("it may run as root, or write to its root file system")
		}
	})
}
