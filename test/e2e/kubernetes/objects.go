//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v4"
)

// plurals are the resources of the kinds that are applied here; those of no namespace begin with a dot.
var plurals = map[string]string{
	"Namespace": ".namespaces", "ServiceAccount": "serviceaccounts", "PersistentVolumeClaim": "persistentvolumeclaims",
	"Role": "roles", "RoleBinding": "rolebindings", "ClusterRoleBinding": ".clusterrolebindings",
	"Deployment": "deployments", "ReplicaSet": "replicasets", "Pod": "pods",
	"ValidatingAdmissionPolicy": ".validatingadmissionpolicies", "ValidatingAdmissionPolicyBinding": ".validatingadmissionpolicybindings",
}

// object is any of Kubernetes' objects.
type object = map[string]any

// read takes a manifest's objects.
func read(text []byte) (out []object, err error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var o object
		switch err := decoder.Decode(&o); {
		case errors.Is(err, io.EOF):
			return out, nil
		case err != nil:
			return nil, err
		}
		out = append(out, o)
	}
}

// shipped reads manifests of deploy/kubernetes.
func (c config) shipped(files ...string) (out []object, err error) {
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join(c.project, "deploy", "kubernetes", file))
		if err != nil {
			return nil, err
		}
		more, err := read(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		out = append(out, more...)
	}
	return out, nil
}

// place is the path of the resource that holds objects of a kind.
func place(o object, namespace string) (string, error) {
	version, _ := o["apiVersion"].(string)
	kind, _ := o["kind"].(string)
	plural, known := plurals[kind]
	if !known {
		return "", fmt.Errorf("%s of %s is no kind that is known here", kind, version)
	}
	root := "/apis/" + version
	if !strings.Contains(version, "/") {
		root = "/api/" + version
	}
	if cluster, ok := strings.CutPrefix(plural, "."); ok {
		return root + "/" + cluster, nil
	}
	return root + "/namespaces/" + namespace + "/" + plural, nil
}

// apply sends objects as `kubectl apply --server-side` does, into a namespace where they name none. An unknown field is an error.
func (a api) apply(ctx context.Context, namespace, more string, objects ...object) error {
	for _, o := range objects {
		in := namespace
		if own, ok := at(o, "metadata", "namespace").(string); ok {
			in = own
		}
		where, err := place(o, in)
		if err != nil {
			return err
		}
		name, _ := at(o, "metadata", "name").(string)
		if _, err := a.must(ctx, http.MethodPatch, where+"/"+name+"?fieldManager=e2e&force=true&fieldValidation=Strict"+more, o); err != nil {
			return err
		}
	}
	return nil
}

// create makes an object as `kubectl create` and the first `kubectl apply` do.
func (a api) create(ctx context.Context, namespace string, o object) error {
	if own, ok := at(o, "metadata", "namespace").(string); ok {
		namespace = own
	}
	where, err := place(o, namespace)
	if err != nil {
		return err
	}
	_, err = a.must(ctx, http.MethodPost, where+"?fieldManager=kubectl-client-side-apply&fieldValidation=Strict", o)
	return err
}

// theirs is the Deployment of somebody who uses the component: it knows nothing of a watchdog.
const theirs = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: NAME
spec:
  strategy:
    type: Recreate
  selector:
    matchLabels:
      app: NAME
  template:
    metadata:
      labels:
        app: NAME
    spec:
      containers:
        - name: vllm
          image: vllm/vllm-openai:v0.32.0
          args: [--model, Qwen/Qwen3-8B]
          ports:
            - containerPort: 8000
          resources:
            limits:
              nvidia.com/gpu: 1
`

// their kustomization, as README.md has it.
const kustomization = `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
namespace: NAMESPACE
resources:
  - theirs.yaml
components:
  - COMPONENT
images:
  - name: gpu-watchdog
    newName: registry.example/gpu-watchdog
    newTag: e2e
patches:
  - target:
      kind: Deployment
    patch: |
      apiVersion: apps/v1
      kind: Deployment
      metadata:
        name: any
      spec:
        template:
          spec:
            initContainers:
              - name: gpu-watchdog
                env:
                  - name: WATCHDOG_PRICE
                    value: "1.50"
`

// render lets kustomize put the component into Deployments of these names.
func (c config) render(ctx context.Context, namespace string, names ...string) ([]object, error) {
	dir := filepath.Join(c.work, "render-"+namespace)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	// kustomize follows no absolute path, and resolves links before it follows a relative one.
	var places [2]string
	for i, path := range []string{dir, filepath.Join(c.project, "deploy", "kubernetes", "component")} {
		real, err := filepath.EvalSymlinks(path)
		if err != nil {
			return nil, err
		}
		places[i] = real
	}
	component, err := filepath.Rel(places[0], places[1])
	if err != nil {
		return nil, err
	}
	var documents []string
	for _, name := range names {
		documents = append(documents, strings.ReplaceAll(theirs, "NAME", name))
	}
	for file, text := range map[string]string{
		"theirs.yaml":        strings.Join(documents, "---\n"),
		"kustomization.yaml": strings.NewReplacer("NAMESPACE", namespace, "COMPONENT", component).Replace(kustomization),
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, startMost)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.kustomize, "build", dir)
	var trouble bytes.Buffer
	cmd.Stderr = &trouble
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("kustomize build %s: %w: %s", dir, err, trouble.String())
	}
	if err := os.WriteFile(filepath.Join(c.work, "rendered-"+namespace+".yaml"), text, 0o644); err != nil {
		return nil, err
	}
	return read(text)
}
