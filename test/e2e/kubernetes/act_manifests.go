//go:build linux

package main

import (
	"context"
	"fmt"
	"strings"
)

func (p *play) manifests(ctx context.Context) error {
	for _, file := range []string{"sidecar.yaml", "stopping.yaml", "component/access.yaml", "component/memory.yaml", "policy/policy.yaml"} {
		objects, err := p.config.shipped(file)
		if err != nil {
			return err
		}
		err = p.admin.apply(ctx, "default", "&dryRun=All", objects...)
		p.report.Check(file+" is taken as it is", err == nil, fmt.Sprint(err))
	}
	objects, err := p.config.render(ctx, "manifests", watchedName)
	if err != nil {
		return err
	}
	byKind := map[string]object{}
	for _, o := range objects {
		byKind[fmt.Sprint(o["kind"])] = o
	}
	for _, kind := range []string{"ServiceAccount", "Role", "RoleBinding", "PersistentVolumeClaim"} {
		o := byKind[kind]
		p.report.Check("its "+kind+" is called after the Deployment, in its namespace",
			at(o, "metadata", "name") == accountName && at(o, "metadata", "namespace") == "manifests", fmt.Sprint(at(o, "metadata")))
	}
	binding := byKind["RoleBinding"]
	subjects, _ := binding["subjects"].([]any)
	p.report.Check("its role is bound to its account", at(binding, "roleRef", "name") == accountName && len(subjects) == 1 &&
		at(subjects[0], "name") == accountName && at(subjects[0], "namespace") == "manifests", fmt.Sprint(binding["roleRef"], subjects))
	rules, _ := byKind["Role"]["rules"].([]any)
	var names []string
	for _, rule := range rules {
		list, _ := at(rule, "resourceNames").([]any)
		names = append(names, fmt.Sprint(list))
	}
	p.report.Check("its role names the Deployment", strings.Join(names, " ") == "[chat] [chat] [] [] []", names...)

	pod := at(byKind["Deployment"], "spec", "template", "spec")
	sidecars, _ := at(pod, "initContainers").([]any)
	if len(sidecars) != 1 {
		return fmt.Errorf("the pod has %d init containers", len(sidecars))
	}
	env := map[string]any{}
	list, _ := at(sidecars[0], "env").([]any)
	for _, e := range list {
		env[fmt.Sprint(at(e, "name"))] = at(e, "value")
	}
	p.report.Check("its pod has the sidecar, the user's image and settings, and the account",
		at(sidecars[0], "image") == "registry.example/gpu-watchdog:e2e" && env["WATCHDOG_PRICE"] == "1.50" && env["WATCHDOG_STOP"] == "kubernetes" &&
			env["WATCHDOG_NAME"] == watchedName && at(pod, "serviceAccountName") == accountName, fmt.Sprint(at(sidecars[0], "image"), env))
	volumes, _ := at(pod, "volumes").([]any)
	claim := ""
	for _, v := range volumes {
		if at(v, "name") == "watchdog" {
			claim = fmt.Sprint(at(v, "persistentVolumeClaim", "claimName"))
		}
	}
	p.report.Check("its memory is its own", claim == accountName, claim)
	containers, _ := at(pod, "containers").([]any)
	p.report.Check("vLLM is as it was, without a token", len(containers) == 1 && at(containers[0], "volumeMounts") == nil &&
		at(pod, "automountServiceAccountToken") == false, fmt.Sprint(len(containers)))

	_, err = p.config.render(ctx, "manifests-two", watchedName, "router")
	p.report.Check("two Deployments are refused: which one is meant?", err != nil && strings.Contains(err.Error(), "multiple"), fmt.Sprint(err))
	return nil
}
