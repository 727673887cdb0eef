package main

import (
	"os"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"
)

// A drain is of use only if the manifests let it take effect before the final look.
func TestADrainOutlastsTheProbeOfTheManifests(t *testing.T) {
	for _, file := range []string{"stopping.yaml", "component/sidecar.yaml"} {
		text, err := os.ReadFile("../../deploy/kubernetes/" + file)
		if err != nil {
			t.Fatal(err)
		}
		var d struct {
			Spec struct {
				Template struct {
					Spec struct {
						InitContainers []struct {
							ReadinessProbe struct {
								HTTPGet          struct{ Path string } `yaml:"httpGet"`
								PeriodSeconds    int                   `yaml:"periodSeconds"`
								FailureThreshold int                   `yaml:"failureThreshold"`
							} `yaml:"readinessProbe"`
						} `yaml:"initContainers"`
					}
				}
			}
		}
		if err := yaml.Unmarshal(text, &d); err != nil {
			t.Fatal(err)
		}
		sidecars := d.Spec.Template.Spec.InitContainers
		if len(sidecars) != 1 || sidecars[0].ReadinessProbe.HTTPGet.Path != "/readyz" {
			t.Fatalf("%s: no sidecar whose readiness is /readyz: %+v", file, sidecars)
		}
		probe := sidecars[0].ReadinessProbe
		// Kubernetes takes 10 s and 3 failures where nothing is said.
		if probe.PeriodSeconds == 0 || probe.FailureThreshold == 0 {
			t.Fatalf("%s: the probe leaves its times to Kubernetes: %+v", file, probe)
		}
		if most := time.Duration(probe.PeriodSeconds*probe.FailureThreshold)*time.Second + spread; most > drainFor {
			t.Errorf("%s: it takes up to %s until nobody is sent to the pod, and the final look comes after %s", file, most, drainFor)
		}
	}
}
