// Package runpodtest is a RunPod on loopback: REST v2 and GraphQL for one pod, with the answers of RunPod's OpenAPI
// document, the refusals seen in the field, and faults by script. The tests of the stopper, the demo and the end-to-end
// scripts run against it. It must not import the client that it tests, nor net/http/httptest, since the demo is part
// of the program.
package runpodtest
