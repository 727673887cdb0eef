// Package kubetest is an API server of Kubernetes on loopback, for the few paths that the stopper uses: objects with owners
// and managed fields, the scale subresource with optimistic locking, discovery, rights by verb, resource and name, reviews
// of access, Events, admission, dry runs; over TLS, with a service account whose token and authority rotate, and with
// faults by script. It must not import the client that it tests.
package kubetest
