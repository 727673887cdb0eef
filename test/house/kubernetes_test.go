package house

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	"github.com/gpu-watchdog/gpu-watchdog/internal/config"
)

const (
	manifests = root + "/deploy/kubernetes/"
	watching  = manifests + "sidecar.yaml"
	stopping  = manifests + "stopping.yaml"
)

// A deployment is the part of a manifest that has to agree with the program and with the other manifests.
type deployment struct {
	Metadata struct{ Name string }
	Spec     struct {
		Replicas any
		Template struct {
			Metadata struct{ Labels map[string]string }
			Spec     struct {
				ServiceAccountName           string `yaml:"serviceAccountName"`
				AutomountServiceAccountToken *bool  `yaml:"automountServiceAccountToken"`
				SecurityContext              struct {
					FSGroup int `yaml:"fsGroup"`
				} `yaml:"securityContext"`
				InitContainers []container `yaml:"initContainers"`
				Containers     []container
				Volumes        []volume
			}
		}
	}
}

type volume struct {
	Name                  string
	PersistentVolumeClaim struct {
		ClaimName string `yaml:"claimName"`
	} `yaml:"persistentVolumeClaim"`
}

type mount struct {
	Name      string
	MountPath string `yaml:"mountPath"`
}

type probe struct {
	Exec    struct{ Command []string }
	HTTPGet struct{ Host, Path, Port string } `yaml:"httpGet"`
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
	Ports []struct {
		Name          string
		ContainerPort int `yaml:"containerPort"`
	}
	LivenessProbe   probe   `yaml:"livenessProbe"`
	StartupProbe    *probe  `yaml:"startupProbe"`
	ReadinessProbe  *probe  `yaml:"readinessProbe"`
	VolumeMounts    []mount `yaml:"volumeMounts"`
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

// schemas are Kubernetes' own and the Prometheus operator's, in which unknown fields are errors, by apiVersion and kind.
type schemas map[string]*jsonschema.Schema

func compile(t *testing.T) schemas {
	t.Helper()
	out := schemas{}
	for kind, file := range map[string]string{
		"apps/v1 Deployment":                              "deployment-v1.29",
		"v1 ServiceAccount":                               "serviceaccount-v1.33",
		"v1 PersistentVolumeClaim":                        "persistentvolumeclaim-v1.33",
		"rbac.authorization.k8s.io/v1 Role":               "role-v1.33",
		"rbac.authorization.k8s.io/v1 RoleBinding":        "rolebinding-v1.33",
		"admissionregistration.k8s.io/v1 " + policyKind:   "validatingadmissionpolicy-v1.33",
		"admissionregistration.k8s.io/v1 " + bindingsKind: "validatingadmissionpolicybinding-v1.33",
		"monitoring.coreos.com/v1 PodMonitor":             "podmonitor-v1",
	} {
		schema, err := jsonschema.NewCompiler().Compile("testdata/" + file + ".json")
		if err != nil {
			t.Fatal(err)
		}
		out[kind] = schema
	}
	return out
}

// valid holds every object of a manifest against the schema of its kind.
func (s schemas) valid(text []byte) error {
	objects, err := documents(text)
	if err != nil {
		return err
	}
	if len(objects) == 0 {
		return errors.New("it holds nothing")
	}
	for _, object := range objects {
		fields, _ := object.(map[string]any)
		kind := fmt.Sprint(fields["apiVersion"], " ", fields["kind"])
		if s[kind] == nil {
			return fmt.Errorf("%s is a kind that has no schema here", kind)
		}
		if err := s[kind].Validate(object); err != nil {
			return err
		}
	}
	return nil
}

func TestManifestsAreWhatKubernetesAccepts(t *testing.T) {
	known := compile(t)
	// Beside each manifest stands what would be wrong in it: one field, type or indentation each.
	type mistake struct{ name, old, new string }
	for file, mistakes := range map[string][]mistake{
		"sidecar.yaml": {
			{"field that does not exist", "automountServiceAccountToken:", "automountServiceToken:"},
			{"field of another object", "restartPolicy: Always", "restart: Always"},
			{"number where a text belongs", `value: none`, `value: 1`},
			{"text where a number belongs", "replicas: 1", `replicas: one`},
			{"another kind", "kind: Deployment", "kind: Pod"},
			{"a key twice", "replicas: 1", "replicas: 1\n  replicas: 2"},
			{"no selector", "  selector:\n    matchLabels:\n      app.kubernetes.io/name: vllm\n", ""},
		},
		"stopping.yaml": {
			{"field that does not exist", "fsGroupChangePolicy:", "fsGroupPolicy:"},
			{"probe without its indentation", "httpGet:\n              path: /readyz", "httpGet:\n            path: /readyz"},
			{"no name of the claim", "claimName:", "name:"},
		},
		"component/access.yaml": {
			{"field that does not exist", "resourceNames:", "names:"},
			{"text where a list belongs", "verbs: [create]", "verbs: create"},
			{"rule without verbs", "    verbs: [create]\n", ""},
			{"no role", "roleRef:", "role:"},
		},
		"component/memory.yaml": {
			{"field of a volume", "accessModes:", "accessMode:"},
		},
		"policy/policy.yaml": {
			{"field that does not exist", "matchConditions:", "matchCondition:"},
			{"condition without a name", "- name: account-of-a-watchdog\n      expression:", "- expression:"},
			{"number where a text belongs", "policyName: gpu-watchdog", "policyName: 1"},
			{"text where a list belongs", "validationActions: [Deny]", "validationActions: Deny"},
		},
		"monitor/podmonitor.yaml": {
			{"field that does not exist", "podMetricsEndpoints:", "podMetrics:"},
			{"field of an endpoint that does not exist", "interval: 30s", "every: 30s"},
			{"number where a text belongs", "port: watchdog", "port: 9877"},
			{"no selector", "  selector:\n    matchLabels:\n      gpu-watchdog: watched\n", ""},
		},
	} {
		text, err := os.ReadFile(manifests + file)
		if err != nil {
			t.Fatal(err)
		}
		if err := known.valid(text); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		for _, m := range mistakes {
			broken := strings.Replace(string(text), m.old, m.new, 1)
			if broken == string(text) {
				t.Errorf("%s: %s: %q is not in the manifest any more", file, m.name, m.old)
			} else if known.valid([]byte(broken)) == nil {
				t.Errorf("%s: %s: %q instead of %q is accepted", file, m.name, m.new, m.old)
			}
		}
	}
}

// readDeployment reads a manifest of one Deployment with one native sidecar, the watchdog.
func readDeployment(t *testing.T, file string) (d deployment, sidecar container) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	pod := d.Spec.Template.Spec
	if len(pod.InitContainers) != 1 || pod.InitContainers[0].Name != "gpu-watchdog" || pod.InitContainers[0].RestartPolicy != "Always" {
		t.Fatalf("%s: the watchdog is not the one native sidecar: %+v", file, pod.InitContainers)
	}
	return d, pod.InitContainers[0]
}

// settings are what the program makes of a sidecar's variables; fields are those that Kubernetes fills in.
func (c container) settings(t *testing.T) (cfg config.Config, fields map[string]string) {
	t.Helper()
	var environ []string
	fields = map[string]string{}
	for _, e := range c.Env {
		if path := e.ValueFrom.FieldRef.FieldPath; path != "" {
			fields[e.Name] = path
			continue
		}
		environ = append(environ, e.Name+"="+e.Value)
	}
	options := config.Options{Hostname: "node", KubernetesNamespace: "default", KubernetesOwner: "vllm"}
	cfg, err := config.Load(environ, options)
	if err != nil {
		t.Error(err)
	}
	return cfg, fields
}

func TestSidecarsAgreeWithTheProgram(t *testing.T) {
	image, err := os.ReadFile(root + "/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	entry := regexp.MustCompile(`(?m)^ENTRYPOINT \["([^"]+)"\]$`).FindSubmatch(image)
	if entry == nil {
		t.Fatal("the Dockerfile has no ENTRYPOINT of one word")
	}
	user := regexp.MustCompile(`(?m)^USER (\d+):(\d+)$`).FindSubmatch(image)
	if user == nil {
		t.Fatal("the Dockerfile has no USER with numbers: Kubernetes cannot tell that a name is not root's")
	}
	for _, file := range []string{watching, stopping} {
		t.Run(strings.TrimPrefix(file, manifests), func(t *testing.T) {
			d, sidecar := readDeployment(t, file)
			cfg, fields := sidecar.settings(t)
			for name, path := range map[string]string{"POD_UID": "metadata.uid", "POD_NAME": "metadata.name", "POD_NAMESPACE": "metadata.namespace"} {
				if fields[name] != path {
					t.Errorf("%s is filled from %q, not from %s", name, fields[name], path)
				}
			}
			if !slices.ContainsFunc(sidecar.VolumeMounts, func(m mount) bool { return m.MountPath == cfg.Dir }) {
				t.Errorf("nothing is mounted at %s, where it keeps its memory, and its root is read-only", cfg.Dir)
			}
			if !slices.ContainsFunc(sidecar.VolumeMounts, func(m mount) bool { return m.MountPath == "/tmp" }) {
				t.Error("nothing is writable for the socket by which people speak with it")
			}
			if sidecar.Command != nil || !slices.Equal(sidecar.Args, []string{"run"}) {
				t.Errorf("it runs %q %q, not the image's own program with run", sidecar.Command, sidecar.Args)
			}
			if sidecar.StartupProbe != nil {
				t.Error("it has a startupProbe: vLLM would wait for it")
			}
			context := sidecar.SecurityContext
			if got, want := [2]int{context.RunAsUser, context.RunAsGroup}, [2]int{number(t, user[1]), number(t, user[2])}; got != want {
				t.Errorf("it runs as %v, the image is made for %v", got, want)
			}
			if !context.RunAsNonRoot || !context.ReadOnlyRootFilesystem {
				t.Error("it may run as root, or write to its root file system")
			}
			if token := d.Spec.Template.Spec.AutomountServiceAccountToken; token == nil || *token {
				t.Error("every container of the pod gets a token, vLLM's too")
			}
		})
	}
}

func TestTheSidecarThatWatchesIsAskedByACommand(t *testing.T) {
	_, sidecar := readDeployment(t, watching)
	cfg, _ := sidecar.settings(t)
	if host, _, err := net.SplitHostPort(string(cfg.Listen)); err != nil || !net.ParseIP(host).IsLoopback() {
		t.Errorf("it listens at %s, open to others for no reason", cfg.Listen)
	}
	if want := []string{"/gpu-watchdog", "status"}; !slices.Equal(sidecar.LivenessProbe.Exec.Command, want) {
		t.Errorf("it is probed by %q, not by %q: the kubelet does not reach its pages", sidecar.LivenessProbe.Exec.Command, want)
	}
	if sidecar.ReadinessProbe != nil {
		t.Error("it has a readinessProbe, and nothing to drain for")
	}
}

func TestTheKubeletReachesTheSidecarThatStops(t *testing.T) {
	d, sidecar := readDeployment(t, stopping)
	cfg, _ := sidecar.settings(t)
	host, text, err := net.SplitHostPort(string(cfg.Listen))
	if err != nil {
		t.Fatal(err)
	}
	if ip := net.ParseIP(host); host != "" && (ip == nil || !ip.IsUnspecified()) {
		t.Errorf("it listens at %s, and the kubelet comes by the pod's own address", cfg.Listen)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	if len(sidecar.Ports) != 1 || sidecar.Ports[0].ContainerPort != port {
		t.Fatalf("it listens at port %d and declares %+v", port, sidecar.Ports)
	}
	if sidecar.ReadinessProbe == nil {
		t.Fatal("it has no readinessProbe: it could not take its pod out of the Service before a stop")
	}
	for path, p := range map[string]probe{"/healthz": sidecar.LivenessProbe, "/readyz": *sidecar.ReadinessProbe} {
		if p.HTTPGet.Path != path || p.HTTPGet.Port != sidecar.Ports[0].Name || p.HTTPGet.Host != "" {
			t.Errorf("a probe asks %+v, not for %s at the port %s of the pod", p.HTTPGet, path, sidecar.Ports[0].Name)
		}
	}
	// A new volume is root's, and an owner of the pod that is no owner of the files cannot write.
	if got, want := d.Spec.Template.Spec.SecurityContext.FSGroup, sidecar.SecurityContext.RunAsGroup; got != want {
		t.Errorf("the volume's group is %d, the watchdog's %d", got, want)
	}
	if d.Spec.Replicas != nil {
		t.Error("it names its replicas: applying it again would start a stopped pod")
	}
}
