package house

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"
)

const (
	policyKind   = "ValidatingAdmissionPolicy"
	bindingsKind = "ValidatingAdmissionPolicyBinding"
)

// A right is one rule of a role.
type right struct {
	APIGroups     []string `yaml:"apiGroups"`
	Resources     []string
	ResourceNames []string `yaml:"resourceNames"`
	Verbs         []string
}

// An object is the part of any manifest here that has to agree with others.
type object struct {
	Kind     string
	Metadata struct {
		Name, Namespace string
	}
	AutomountServiceAccountToken *bool `yaml:"automountServiceAccountToken"`
	Rules                        []right
	RoleRef                      struct{ Kind, Name string } `yaml:"roleRef"`
	Subjects                     []struct{ Kind, Name, Namespace string }
	Spec                         struct {
		FailurePolicy    string `yaml:"failurePolicy"`
		MatchConstraints struct {
			ResourceRules []map[string]any `yaml:"resourceRules"`
		} `yaml:"matchConstraints"`
		MatchConditions   []struct{ Name, Expression string } `yaml:"matchConditions"`
		Variables         []struct{ Name, Expression string }
		Validations       []struct{ Expression, Reason, Message string }
		PolicyName        string   `yaml:"policyName"`
		ValidationActions []string `yaml:"validationActions"`
		Selector          struct {
			MatchLabels map[string]string `yaml:"matchLabels"`
		}
		PodMetricsEndpoints []struct{ Port, Path string } `yaml:"podMetricsEndpoints"`
	}
}

// objects reads a manifest, by kind.
func objects(t *testing.T, file string) map[string]object {
	t.Helper()
	text, err := os.ReadFile(manifests + file)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]object{}
	decoder := yaml.NewDecoder(strings.NewReader(string(text)))
	for {
		var o object
		if err := decoder.Decode(&o); err != nil {
			return out // the end; what is wrong is what the schemas find
		}
		out[o.Kind] = o
	}
}

func TestTheAccountMayStopOneNameAndNothingElse(t *testing.T) {
	d, _ := readDeployment(t, stopping)
	access := objects(t, "component/access.yaml")
	account, role, binding := access["ServiceAccount"], access["Role"], access["RoleBinding"]
	name := "gpu-watchdog-" + d.Metadata.Name
	for where, got := range map[string]string{
		"the pod's account": d.Spec.Template.Spec.ServiceAccountName, "the account": account.Metadata.Name,
		"the role": role.Metadata.Name, "the bound role": binding.RoleRef.Name,
	} {
		if got != name {
			t.Errorf("%s is called %q, not %q", where, got, name)
		}
	}
	if len(binding.Subjects) != 1 || binding.Subjects[0].Kind != "ServiceAccount" || binding.Subjects[0].Name != name {
		t.Errorf("the role is bound to %+v", binding.Subjects)
	}
	if mounts := account.AutomountServiceAccountToken; mounts == nil || *mounts {
		t.Error("another pod with this account gets its token in every container")
	}
	one := []string{d.Metadata.Name}
	want := []right{
		{APIGroups: []string{"apps"}, Resources: []string{"deployments/scale"}, ResourceNames: one, Verbs: []string{"get", "update"}},
		{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, ResourceNames: one, Verbs: []string{"get"}},
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"get"}},
		{APIGroups: []string{"apps"}, Resources: []string{"replicasets"}, Verbs: []string{"get"}},
		{APIGroups: []string{"events.k8s.io"}, Resources: []string{"events"}, Verbs: []string{"create"}},
	}
	if diff := cmp.Diff(want, role.Rules); diff != "" {
		t.Errorf("the role gives other rights than it is said to (-said +given):\n%s", diff)
	}
}

func TestTheMemoryOutlivesThePod(t *testing.T) {
	d, sidecar := readDeployment(t, stopping)
	cfg, _ := sidecar.settings(t)
	claim := objects(t, "component/memory.yaml")["PersistentVolumeClaim"].Metadata.Name
	i := slices.IndexFunc(sidecar.VolumeMounts, func(m mount) bool { return m.MountPath == cfg.Dir })
	if i < 0 {
		t.Fatalf("nothing is mounted at %s", cfg.Dir)
	}
	for _, v := range d.Spec.Template.Spec.Volumes {
		if v.Name == sidecar.VolumeMounts[i].Name && v.PersistentVolumeClaim.ClaimName != claim {
			t.Errorf("%s is the volume %s with the claim %q, not %q", cfg.Dir, v.Name, v.PersistentVolumeClaim.ClaimName, claim)
		}
	}
	if cfg.Name != d.Metadata.Name {
		t.Errorf("its memory is kept under %q: the next pod of the Deployment %s has to find it", cfg.Name, d.Metadata.Name)
	}
	for _, file := range []string{watching, stopping} {
		d, _ := readDeployment(t, file)
		pod := d.Spec.Template.Spec
		for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
			for _, m := range c.VolumeMounts {
				if !slices.ContainsFunc(pod.Volumes, func(v volume) bool { return v.Name == m.Name }) {
					t.Errorf("%s: %s mounts %s, which is no volume of the pod", file, c.Name, m.Name)
				}
			}
		}
	}
}

// optional is a field that Kubernetes leaves out where it is empty or zero, taken as if it were always there.
var optional = regexp.MustCompile(`\b(object|oldObject)\.\w+|request\.(namespace|subResource|name)\b`)

// What the expressions do is shown by test/e2e/kubernetes.sh, where the API server computes them.
func TestThePolicyHoldsForWatchdogsAndForThemOnly(t *testing.T) {
	both := objects(t, "policy/policy.yaml")
	policy, binding := both[policyKind], both[bindingsKind]
	if binding.Spec.PolicyName != policy.Metadata.Name || policy.Metadata.Name == "" {
		t.Errorf("the policy %q is bound as %q", policy.Metadata.Name, binding.Spec.PolicyName)
	}
	if !slices.Equal(binding.Spec.ValidationActions, []string{"Deny"}) || policy.Spec.FailurePolicy != "Fail" {
		t.Errorf("it lets pass what breaks it: actions %q, failurePolicy %q", binding.Spec.ValidationActions, policy.Spec.FailurePolicy)
	}
	everything := []any{"*"}
	want := []map[string]any{{"apiGroups": everything, "apiVersions": everything, "operations": everything, "resources": []any{"*/*"}, "scope": "*"}}
	if diff := cmp.Diff(want, policy.Spec.MatchConstraints.ResourceRules); diff != "" {
		t.Errorf("it does not see every change (-all +seen):\n%s", diff)
	}

	if len(policy.Spec.MatchConditions) != 1 {
		t.Fatalf("it has %d conditions, not the one about the account", len(policy.Spec.MatchConditions))
	}
	found := regexp.MustCompile(`^request\.userInfo\.username\.matches\('([^']+)'\)$`).FindStringSubmatch(policy.Spec.MatchConditions[0].Expression)
	if found == nil {
		t.Fatalf("the condition is %q, not one about the account's name", policy.Spec.MatchConditions[0].Expression)
	}
	d, _ := readDeployment(t, stopping)
	account := regexp.MustCompile(found[1])
	for name, held := range map[string]bool{
		"system:serviceaccount:models:" + d.Spec.Template.Spec.ServiceAccountName: true,
		"system:serviceaccount:default:gpu-watchdog":                              true,
		"system:serviceaccount:a-b:gpu-watchdog-llama-3.1":                        true,
		"system:serviceaccount:models:default":                                    false,
		"system:serviceaccount:models:gpu-watchdogs":                              false,
		"system:serviceaccount:models:my-gpu-watchdog":                            false,
		"system:serviceaccount:gpu-watchdog:builder":                              false,
		"system:serviceaccount:kube-system:deployment-controller":                 false,
		"gpu-watchdog-vllm": false,
		"admin":             false,
	} {
		if account.MatchString(name) != held {
			t.Errorf("%s: held is %v, wanted %v", name, !held, held)
		}
	}

	expressions := map[string]string{}
	for _, v := range policy.Spec.Variables {
		expressions[v.Name] = v.Expression
	}
	for _, v := range policy.Spec.Validations {
		expressions[v.Message] = v.Expression
		if v.Reason != "Forbidden" || v.Message == "" {
			t.Errorf("%q is refused with %q and %q, not as forbidden and with what is allowed", v.Expression, v.Reason, v.Message)
		}
	}
	if len(policy.Spec.Validations) != 1 || policy.Spec.Validations[0].Expression != "variables.own && (variables.stops || variables.tells)" {
		t.Errorf("it validates %+v", policy.Spec.Validations)
	}
	for name, expression := range expressions {
		if field := optional.FindString(expression); field != "" {
			t.Errorf("%s takes %s for granted, and Kubernetes leaves it out where it is empty or 0", name, field)
		}
		for _, used := range regexp.MustCompile(`variables\.(\w+)`).FindAllStringSubmatch(expression, -1) {
			if expressions[used[1]] == "" {
				t.Errorf("%s uses variables.%s, which is none", name, used[1])
			}
		}
	}
	for _, part := range []string{
		"request.operation == 'UPDATE'", "request.?subResource.orValue('') == 'scale'",
		"oldObject.?spec.?replicas.orValue(0) == 1", " object.?spec.?replicas.orValue(0) == 0",
	} {
		if !strings.Contains(" "+expressions["stops"], part) {
			t.Errorf("a stop is not required to be %s: %s", part, expressions["stops"])
		}
	}
	if part := "object.?reportingController.orValue('') == 'gpu-watchdog'"; !strings.Contains(expressions["tells"], part) {
		t.Errorf("an event is not required to be %s: %s", part, expressions["tells"])
	}
}

func TestPrometheusFindsThePods(t *testing.T) {
	d, sidecar := readDeployment(t, stopping)
	monitor := objects(t, "monitor/podmonitor.yaml")["PodMonitor"].Spec
	labels := d.Spec.Template.Metadata.Labels
	if len(monitor.Selector.MatchLabels) == 0 {
		t.Error("it selects every pod of the namespace")
	}
	for key, value := range monitor.Selector.MatchLabels {
		if labels[key] != value {
			t.Errorf("it selects pods with %s=%s, the pod has %v", key, value, labels)
		}
	}
	if len(monitor.PodMetricsEndpoints) != 1 || monitor.PodMetricsEndpoints[0].Port != sidecar.Ports[0].Name || monitor.PodMetricsEndpoints[0].Path != "/metrics" {
		t.Errorf("it asks at %+v, the watchdog's port is %+v", monitor.PodMetricsEndpoints, sidecar.Ports)
	}
}
