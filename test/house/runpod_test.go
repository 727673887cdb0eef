package house

import (
	"encoding/json"
	"maps"
	"math"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// instructions are the lines of a Dockerfile that do something.
func instructions(t *testing.T, name string) []string {
	t.Helper()
	text, err := os.ReadFile(root + "/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(strings.Split(string(text), "\n"), func(line string) bool {
		return line == "" || strings.HasPrefix(line, "#")
	})
}

var pinned = regexp.MustCompile(`^FROM docker\.io/[a-z/-]+:[a-z]*[0-9][a-z0-9.-]*$`)

// A derived image is a base that is pinned, the program from where the project's own image has it, and what starts it.
func TestDerivedImages(t *testing.T) {
	program := regexp.MustCompile(`^COPY --from=build /out/gpu-watchdog (\S+)$`)
	at := ""
	for _, line := range instructions(t, "Dockerfile") {
		if found := program.FindStringSubmatch(line); found != nil {
			at = found[1]
		}
	}
	if at == "" {
		t.Fatal("Dockerfile does not say where the program is")
	}
	readme, err := os.ReadFile(root + "/deploy/runpod/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, starts := range map[string][]string{
		"deploy/runpod/Dockerfile":         {`ENTRYPOINT ["gpu-watchdog", "exec", "--", "vllm", "serve"]`},
		"deploy/runpod/pytorch.Dockerfile": {"COPY post_start.sh /post_start.sh", "ENV WATCHDOG_VLLM_URLS=none"},
	} {
		lines := instructions(t, name)
		if !pinned.MatchString(lines[0]) {
			t.Errorf("%s is built on something that is not pinned: %s", name, lines[0])
		}
		if want := append([]string{"COPY --from=gpu-watchdog:latest " + at + " /usr/local/bin/"}, starts...); !slices.Equal(lines[1:], want) {
			t.Errorf("%s has %q, not %q", name, lines[1:], want)
		}
		if shown := "```dockerfile\n" + strings.Join(lines, "\n") + "\n```"; !strings.Contains(string(readme), shown) {
			t.Errorf("README.md does not show what %s is:\n%s", name, shown)
		}
	}
}

// sent is what a body for RunPod's API says that concerns us.
type sent struct {
	Args   string
	Disk   float64
	Env    map[string]string
	Mounts struct {
		Persistent struct {
			Size float64
			Path string
		}
		Network []struct{ Path string }
	}
	Public bool
}

func body(t *testing.T, name string) (b sent) {
	t.Helper()
	text, err := os.ReadFile(root + "/deploy/runpod/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &b); err != nil {
		t.Fatal(err)
	}
	return b
}

// RunPod's list prices in USD for a gigabyte and month, and the hours of a month.
const (
	diskRunning, volumeRunning, volumeStopped, network = 0.10, 0.10, 0.20, 0.07
	month                                              = 730
)

// What the disks cost is what the sizes say, and a volume at /workspace is what everything that must outlive a stop lies on.
func TestRunPodTemplateSaysWhatItsDisksCost(t *testing.T) {
	template, pod := body(t, "template.json"), body(t, "pod.json")
	const volumeOfThePod = 50.0 // gigabytes of the network volume that README.md reckons with
	for _, c := range []struct {
		name             string
		env              map[string]string
		running, stopped float64
		where            string
	}{
		{
			"template.json", template.Env,
			(template.Disk*diskRunning + template.Mounts.Persistent.Size*volumeRunning) / month,
			template.Mounts.Persistent.Size * volumeStopped / month, template.Mounts.Persistent.Path,
		},
		{
			"pod.json", pod.Env,
			(template.Disk*diskRunning + volumeOfThePod*network) / month, volumeOfThePod * network / month, pod.Mounts.Network[0].Path,
		},
	} {
		for variable, want := range map[string]float64{"WATCHDOG_STORAGE_RUNNING": c.running, "WATCHDOG_STORAGE_STOPPED": c.stopped} {
			got, err := strconv.ParseFloat(c.env[variable], 64)
			if err != nil || math.Abs(got-want) > 0.00005 {
				t.Errorf("%s: %s is %q; the disks cost %.4f", c.name, variable, c.env[variable], want)
			}
		}
		if c.where != "/workspace" {
			t.Errorf("%s mounts its volume at %q, where neither memory nor model is looked for", c.name, c.where)
		}
		for _, variable := range []string{"HF_HOME", "VLLM_CACHE_ROOT"} {
			if !strings.HasPrefix(template.Env[variable], c.where+"/") {
				t.Errorf("%s: %s is %q, which a stop erases", c.name, variable, template.Env[variable])
			}
		}
	}
	if template.Public || template.Env["WATCHDOG_DRY_RUN"] != "true" || !strings.Contains(template.Args, "--enable-server-load-tracking") {
		t.Errorf("the template should be private, begin dry, and let vLLM tell of its first request: %+v", template)
	}
}

// The program takes the settings that the bodies set, both of them together as RunPod merges them.
func TestRunPodTemplateIsAccepted(t *testing.T) {
	template, pod := body(t, "template.json"), body(t, "pod.json")
	run := func(environ ...string) (string, error) {
		cmd := exec.Command(binary(t), "env")
		cmd.Env = append([]string{"RUNPOD_POD_ID=pod1", "RUNPOD_API_KEY=k1k1k1k1"}, environ...)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	var environ []string
	merged := maps.Clone(template.Env)
	maps.Copy(merged, pod.Env)
	for name, value := range merged {
		environ = append(environ, name+"="+value)
	}
	out, err := run(environ...)
	if err != nil || !regexp.MustCompile(`WATCHDOG_NAME\s.*\bvllm\b`).MatchString(out) {
		t.Errorf("%v\n%s", err, out)
	}
	// A secret that RunPod has not filled in is a mistake that is named, and not a key that is refused later.
	out, err = run("WATCHDOG_RUNPOD_API_KEY={{ RUNPOD_SECRET_gpu_watchdog }}")
	if err == nil || !strings.Contains(out, "WATCHDOG_RUNPOD_API_KEY") || strings.Contains(out, "RUNPOD_SECRET") {
		t.Errorf("a secret that was not filled in: %v\n%s", err, out)
	}
}
