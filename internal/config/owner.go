package config

import (
	"regexp"
	"strconv"
	"strings"
)

// podOfDeployment is how a Deployment's ReplicaSet names its pods: the Deployment, the hash of its template, five letters.
// Kubernetes uses no vowels in either, and of the hash only what it writes for digits.
var podOfDeployment = regexp.MustCompile(`^(.+)-([4-9bcdf]{8,10})-[bcdfghjklmnpqrstvwxz2456789]{5}$`)

// ownerOfPod is the name of the Deployment that made a pod of this name, or else the pod's own name. It derives only what is
// certain: a name of 63 characters may have been cut, and the number behind that of a StatefulSet's pod looks like that of
// a version (llama-3), while such a pod keeps its name anyway.
func ownerOfPod(pod string) string {
	const mayBeCut = 63
	m := podOfDeployment.FindStringSubmatch(pod)
	if m == nil || len(pod) >= mayBeCut {
		return pod
	}
	// The hash is a number of 32 bits in decimal, of which each digit is written as another letter.
	number := strings.Map(func(r rune) rune { return '0' + rune(strings.IndexRune("456789bcdf", r)) }, m[2])
	if _, err := strconv.ParseUint(number, 10, 32); err != nil || number[0] == '0' {
		return pod
	}
	return m[1]
}
