package house

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// A kustomization is the part of one that names other files and their fields.
type kustomization struct {
	Kind         string
	Resources    []string
	Patches      []struct{ Path string }
	Replacements []replacement
}

type replacement struct {
	Source  struct{ Kind string }
	Targets []struct {
		Select  struct{ Kind, Name string }
		Options struct {
			Delimiter string
			Index     int
		}
		FieldPaths []string `yaml:"fieldPaths"`
	}
}

func readKustomization(t *testing.T, folder string) (k kustomization) {
	t.Helper()
	text, err := os.ReadFile(manifests + folder + "/kustomization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &k); err != nil {
		t.Fatal(err)
	}
	return k
}

func TestKustomizationsNameFilesThatAreThere(t *testing.T) {
	for folder, kind := range map[string]string{"component": "Component", "monitor": "Component", "policy": "Kustomization"} {
		k := readKustomization(t, folder)
		if k.Kind != kind {
			t.Errorf("%s is a %s, not a %s", folder, k.Kind, kind)
		}
		files := slices.Clone(k.Resources)
		for _, p := range k.Patches {
			files = append(files, p.Path)
		}
		if len(files) == 0 {
			t.Errorf("%s names no file", folder)
		}
		for _, file := range files {
			if _, err := os.Stat(path.Join(manifests, folder, file)); err != nil {
				t.Errorf("%s: %v", folder, err)
			}
		}
	}
}

// manifest reads the documents of one.
func manifest(t *testing.T, file string) []any {
	t.Helper()
	text, err := os.ReadFile(manifests + file)
	if err != nil {
		t.Fatal(err)
	}
	out, err := documents(text)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return out
}

// missing lists what of a patch is not in the whole: elements of lists are found by their name, as Kubernetes merges them.
func missing(at string, part, whole any) (out []string) {
	switch part := part.(type) {
	case map[string]any:
		of, ok := whole.(map[string]any)
		if !ok {
			return []string{at}
		}
		for key, value := range part {
			out = append(out, missing(at+"."+key, value, of[key])...)
		}
	case []any:
		of, ok := whole.([]any)
		if !ok {
			return []string{at}
		}
		for i, value := range part {
			name := named(value)
			j := slices.IndexFunc(of, func(other any) bool { return name != "" && named(other) == name })
			if name == "" && i < len(of) {
				j = i
			}
			if j < 0 {
				out = append(out, fmt.Sprintf("%s.%d %s", at, i, name))
				continue
			}
			out = append(out, missing(fmt.Sprintf("%s.%d", at, j), value, of[j])...)
		}
	default:
		if part != whole {
			out = append(out, fmt.Sprintf("%s: %v, not %v", at, whole, part))
		}
	}
	return out
}

func named(value any) string {
	fields, _ := value.(map[string]any)
	name, _ := fields["name"].(string)
	return name
}

// Applied to the example, the patch changes nothing: users of the one and of the other get the same sidecar.
func TestTheComponentIsTheExample(t *testing.T) {
	patch, example := manifest(t, "component/sidecar.yaml"), manifest(t, "stopping.yaml")
	if len(patch) != 1 || len(example) != 1 {
		t.Fatalf("%d patches, %d examples", len(patch), len(example))
	}
	fields := patch[0].(map[string]any)
	if _, ok := fields["metadata"].(map[string]any)["name"]; !ok {
		t.Error("the patch has no name, and kustomize takes none without")
	}
	delete(fields, "metadata") // kustomize goes by the target instead
	for _, what := range missing("", patch[0], example[0]) {
		t.Errorf("the example lacks, or has otherwise, what the component adds: %s", what)
	}
	// And the other way: what is the watchdog's in the example is in the component.
	theirs, ours := watchdogs(t, example[0]), watchdogs(t, patch[0])
	for _, what := range missing("", theirs, ours) {
		t.Errorf("the component lacks, or has otherwise, what the example has: %s", what)
	}
}

// watchdogs are the parts of a Deployment that are there for the watchdog.
func watchdogs(t *testing.T, deployment any) map[string]any {
	t.Helper()
	pod, ok := field(deployment, "spec.template.spec").(map[string]any)
	if !ok {
		t.Fatal("a Deployment without a pod")
	}
	out := map[string]any{}
	for _, key := range []string{"initContainers", "serviceAccountName", "automountServiceAccountToken", "securityContext"} {
		out[key] = pod[key]
	}
	var volumes []any
	for _, v := range pod["volumes"].([]any) {
		if strings.HasPrefix(named(v), "watchdog") {
			volumes = append(volumes, v)
		}
	}
	out["volumes"] = volumes
	return out
}

// steps are the parts of a path of kustomize: keys, numbers, and [name=x].
func steps(fieldPath string) (out []string) { return strings.Split(fieldPath, ".") }

// within takes one step, and says how to set what is there.
func within(value any, step string) (found any, set func(any)) {
	switch of := value.(type) {
	case map[string]any:
		return of[step], func(v any) { of[step] = v }
	case []any:
		i, err := strconv.Atoi(step)
		if err != nil {
			want := strings.TrimSuffix(strings.TrimPrefix(step, "[name="), "]")
			i = slices.IndexFunc(of, func(element any) bool { return named(element) == want })
		}
		if i >= 0 && i < len(of) {
			return of[i], func(v any) { of[i] = v }
		}
	}
	return nil, func(any) {}
}

func field(value any, fieldPath string) any {
	for _, step := range steps(fieldPath) {
		value, _ = within(value, step)
	}
	return value
}

// rename does what a replacement does with another name of the Deployment, and says where there was nothing to rename.
func (r replacement) rename(objects []any, name string) (lost []string) {
	for _, target := range r.Targets {
		for _, fieldPath := range target.FieldPaths {
			done := false
			for _, object := range objects {
				if field(object, "kind") != target.Select.Kind || target.Select.Name != "" && !strings.HasPrefix(fmt.Sprint(field(object, "metadata.name")), "gpu-watchdog-") {
					continue
				}
				all := steps(fieldPath)
				at := object
				for _, step := range all[:len(all)-1] {
					at, _ = within(at, step)
				}
				old, set := within(at, all[len(all)-1])
				text, ok := old.(string)
				if !ok {
					continue
				}
				value := name
				if target.Options.Delimiter != "" {
					parts := strings.Split(text, target.Options.Delimiter)
					if target.Options.Index >= len(parts) {
						continue
					}
					parts[target.Options.Index] = name
					value = strings.Join(parts, target.Options.Delimiter)
				}
				set(value)
				done = true
			}
			if !done {
				lost = append(lost, target.Select.Kind+" "+fieldPath)
			}
		}
	}
	return lost
}

// left lists the places that still hold the example's name.
func left(at string, value any) (out []string) {
	switch of := value.(type) {
	case map[string]any:
		for key, v := range of {
			out = append(out, left(at+"."+key, v)...)
		}
	case []any:
		for i, v := range of {
			out = append(out, left(fmt.Sprintf("%s.%d", at, i), v)...)
		}
	case string:
		if of == "vllm" || strings.HasSuffix(of, "-vllm") {
			out = append(out, at+": "+of)
		}
	}
	return out
}

// kustomize itself renders the component in test/e2e/kubernetes.sh. This sees at once when a name is added and not replaced.
func TestTheComponentTakesTheNameOfItsDeployment(t *testing.T) {
	k := readKustomization(t, "component")
	var objects []any
	for _, file := range k.Resources {
		objects = append(objects, manifest(t, "component/"+file)...)
	}
	for _, p := range k.Patches {
		objects = append(objects, manifest(t, "component/"+p.Path)...)
	}
	if before := left("", objects); len(before) < 9 {
		t.Fatalf("the example's name stands in %d places only: %q", len(before), before)
	}
	for _, r := range k.Replacements {
		if r.Source.Kind != "Deployment" {
			t.Errorf("a name is taken from a %s", r.Source.Kind)
		}
		for _, what := range r.rename(objects, "chat") {
			t.Errorf("nothing is replaced at %s", what)
		}
	}
	for _, where := range left("", objects) {
		t.Errorf("with a Deployment chat there is still %s", where)
	}
}
