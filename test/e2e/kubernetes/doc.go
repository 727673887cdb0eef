//go:build linux

// Command kubernetes holds deploy/kubernetes, and a stop through Kubernetes, against a real API server with its own etcd. There is
// no kubelet and no controller: what they would do is done by the play, and the rest is Kubernetes. test/e2e/kubernetes.sh starts it.
package main
