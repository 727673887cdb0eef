package host

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/gpu-watchdog/gpu-watchdog/internal/secret"
	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// Where a variable was found.
const (
	FromEnvironment  = "environment"
	FromFirstProcess = "/proc/1/environ"
	FromRunPodFile   = "/etc/rp_environment"
)

// maxGPUs is more than any machine has; a larger RUNPOD_GPU_COUNT is a mistake.
const maxGPUs = 1024

// EnvValue is a variable's value and where it was found; both are empty where it is not set or was ignored.
type EnvValue struct {
	Value string
	From  string
}

// EnvSecret is the same for a secret.
type EnvSecret struct {
	Value secret.Secret
	From  string
}

// PodEnv is what the environment says of the pod.
type PodEnv struct {
	// RunPod's variables: own environment first, then PID 1's, then the file that RunPod's start script writes, since
	// only PID 1 is given them.
	PodID, EndpointID, VolumeID EnvValue
	APIKey                      EnvSecret
	GPUCount                    watchdog.Maybe[int]
	GPUCountFrom                string
	// Kubernetes' variables, of our own environment only: PID 1 of a shared process namespace is another container.
	PodUID, PodName, PodNamespace, KubernetesServiceHost EnvValue
	// Ignored says which variables were found and not taken, and why; it holds no values.
	Ignored []string
}

// PodEnvironment reads the variables that are never configured. getenv is os.Getenv; fsRoot is where /proc and /etc are
// looked for, empty is "/". It never fails: what cannot be read is not set. No value is ever logged.
func PodEnvironment(getenv func(string) string, fsRoot string) PodEnv {
	sources := []struct {
		name string
		get  func(string) string
	}{
		{FromEnvironment, getenv},
		{FromFirstProcess, variablesOf(under(fsRoot, "/proc/1/environ"), parseEnviron)},
		{FromRunPodFile, variablesOf(under(fsRoot, "/etc/rp_environment"), parseRunPodFile)},
	}
	var out PodEnv
	find := func(name string, check func(string) error) EnvValue {
		for _, source := range sources {
			value := strings.TrimSpace(source.get(name))
			if value == "" {
				continue
			}
			if err := check(value); err != nil {
				out.Ignored = append(out.Ignored, fmt.Sprintf("%s of %s is ignored: %v", name, source.name, err))
				continue
			}
			return EnvValue{Value: value, From: source.name}
		}
		return EnvValue{}
	}
	out.PodID = find("RUNPOD_POD_ID", checkPathSegment)
	out.EndpointID = find("RUNPOD_ENDPOINT_ID", anyValue)
	out.VolumeID = find("RUNPOD_VOLUME_ID", anyValue)
	key := find("RUNPOD_API_KEY", checkToken)
	out.APIKey = EnvSecret{Value: secret.New(key.Value), From: key.From}
	count := find("RUNPOD_GPU_COUNT", checkGPUCount)
	if n, err := strconv.Atoi(count.Value); err == nil {
		out.GPUCount, out.GPUCountFrom = watchdog.Known(n), count.From
	}

	sources = sources[:1]
	out.PodUID = find("POD_UID", anyValue)
	out.PodName = find("POD_NAME", checkPathSegment)
	out.PodNamespace = find("POD_NAMESPACE", checkPathSegment)
	out.KubernetesServiceHost = find("KUBERNETES_SERVICE_HOST", anyValue)
	return out
}

// variablesOf reads a file on first use, since mostly our own environment has everything.
func variablesOf(path string, parse func([]byte) map[string]string) func(string) string {
	var values map[string]string
	read := false
	return func(name string) string {
		if !read {
			read = true
			if b, err := readBounded(path, maxProcFile); err == nil {
				values = parse(b)
			}
		}
		return values[name]
	}
}

// parseEnviron reads /proc/PID/environ: NAME=value, each ended by a zero byte.
func parseEnviron(b []byte) map[string]string {
	out := map[string]string{}
	for entry := range strings.SplitSeq(string(b), "\x00") {
		if name, value, found := strings.Cut(entry, "="); found && name != "" {
			out[name] = value
		}
	}
	return out
}

// parseRunPodFile reads lines of `export NAME="value"`. The script that writes them escapes nothing, so nothing is
// undone here, and appends at each start, so that the last line of a name counts, as it does in a shell. A value of
// several lines is not taken: it has no closing quote on its line.
func parseRunPodFile(b []byte) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(string(b)) {
		assignment, found := strings.CutPrefix(strings.TrimSpace(line), "export ")
		if !found {
			continue
		}
		name, value, found := strings.Cut(assignment, "=")
		if !found || !isVariableName(name) {
			continue
		}
		if value != "" && strings.ContainsRune(`"'`, rune(value[0])) {
			if len(value) < 2 || value[len(value)-1] != value[0] {
				continue
			}
			value = value[1 : len(value)-1]
		}
		out[name] = value
	}
	return out
}

func isVariableName(name string) bool {
	for i, r := range name {
		if r != '_' && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return name != ""
}

func anyValue(string) error { return nil }

// checkPathSegment refuses what would change the address of a request that the value becomes part of.
func checkPathSegment(value string) error {
	switch {
	case len(value) > 128:
		return fmt.Errorf("it has %d characters, at most 128 are possible", len(value))
	case value == "." || value == "..":
		return errors.New("it is a relative path")
	case strings.ContainsAny(value, `/\?#%`):
		return errors.New(`it holds one of / \ ? # %`)
	case strings.ContainsFunc(value, unprintable):
		return errors.New("it holds a blank or a character that does not print")
	}
	return nil
}

// checkToken refuses what cannot stand in an HTTP header.
func checkToken(value string) error {
	switch {
	case len(value) > 4096:
		return fmt.Errorf("it has %d characters, at most 4096 are possible", len(value))
	case strings.ContainsFunc(value, func(r rune) bool { return r > '~' || unprintable(r) }):
		return errors.New("it holds a blank or a character that cannot stand in an HTTP header")
	}
	return nil
}

func checkGPUCount(value string) error {
	if n, err := strconv.Atoi(value); err != nil || n < 0 || n > maxGPUs {
		return fmt.Errorf("it is no number from 0 to %d", maxGPUs)
	}
	return nil
}

func unprintable(r rune) bool {
	return unicode.IsSpace(r) || !unicode.IsPrint(r) || r == unicode.ReplacementChar
}
