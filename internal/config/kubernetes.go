package config

import (
	"regexp"
	"strings"
)

// KubernetesTarget is kind/name, the kind in lower case as kubectl takes it, with its group or without:
// deployment/llama, deployments.apps/llama. Empty means what owns our pod.
type KubernetesTarget string

// The forms are those of watchdog/stopper/kubernetes; a test holds the two to each other.
var (
	kubernetesName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._:-]{0,251}[A-Za-z0-9])?$`)
	kubernetesKind = regexp.MustCompile(`^[a-z][a-z0-9]{0,62}$`)
)

func parseKubernetesTarget(s string) (any, error) {
	kindAndGroup, name, found := strings.Cut(s, "/")
	kindAndGroup = strings.ToLower(kindAndGroup)
	kind, group, _ := strings.Cut(kindAndGroup, ".")
	switch {
	case !found && kubernetesName.MatchString(s):
		return nil, wrong(s, "names no kind; did you mean deployment/%s?", clip(s))
	case strings.Count(s, "/") == 2:
		return nil, wrong(s, "has a part too many: the namespace is that of this pod; write kind/name, such as deployment/llama")
	case !found, !kubernetesKind.MatchString(kind), !kubernetesName.MatchString(name), group != "" && !kubernetesName.MatchString(group):
		return nil, wrong(s, "is not of the form kind/name; write it as in deployment/llama")
	}
	return KubernetesTarget(strings.TrimSuffix(kindAndGroup, ".") + "/" + name), nil
}
