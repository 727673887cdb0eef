package config

import (
	"strings"
	"testing"
)

func TestOwnerOfAPod(t *testing.T) {
	for pod, want := range map[string]string{
		"llama-66b6c48dd5-7w75g":      "llama",
		"llama-8b-7d4b9c6f8-x2x9z":    "llama-8b",
		"a-66b6c48dd5-7w75g":          "a",
		"b.c-66b6c48dd5-7w75g":        "b.c",
		"66b6c48dd5-66b6c48dd5-7w75g": "66b6c48dd5",
		// not certain, so the pod's own name
		"llama-0":                                     "llama-0",
		"llama-3":                                     "llama-3",
		"llama-8b-x2x9z":                              "llama-8b-x2x9z",                              // a DaemonSet's or a Job's
		"llama-66b6c48dd5-7w75":                       "llama-66b6c48dd5-7w75",                       // four letters
		"llama-66b6c48dd5-7w75a":                      "llama-66b6c48dd5-7w75a",                      // a vowel
		"llama-66b6c48dd5":                            "llama-66b6c48dd5",                            // a ReplicaSet's name
		"llama-66b6c4-7w75g":                          "llama-66b6c4-7w75g",                          // too short to be sure
		"llama-46b6c48d-7w75g":                        "llama-46b6c48d-7w75g",                        // a number that begins with 0
		"llama-ffffffffff-7w75g":                      "llama-ffffffffff-7w75g",                      // more than 32 bits
		"llama-66b6c48dd55-7w75g":                     "llama-66b6c48dd55-7w75g",                     // eleven digits
		"llama-66b6c4gdd5-7w75g":                      "llama-66b6c4gdd5-7w75g",                      // no digit
		"-66b6c48dd5-7w75g":                           "-66b6c48dd5-7w75g",                           // no owner
		strings.Repeat("l", 46) + "-66b6c48dd5-7w75g": strings.Repeat("l", 46) + "-66b6c48dd5-7w75g", // 63 characters: may be cut
		strings.Repeat("l", 45) + "-66b6c48dd5-7w75g": strings.Repeat("l", 45),
		"": "",
	} {
		if got := ownerOfPod(pod); got != want {
			t.Errorf("the owner of %q is %q, want %q", pod, got, want)
		}
	}
}
