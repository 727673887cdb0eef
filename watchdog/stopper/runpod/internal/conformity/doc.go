// Package conformity holds requests and answers against RunPod's OpenAPI document, of which testdata/pods.json is the
// part about one pod, and about the making of pods and templates (see the command trim). Only tests may import it: its
// validator must never become part of the program, and a test of package runpod sees to that.
package conformity
