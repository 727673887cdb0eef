// Package host asks the kernel about this pod: which connections the served ports have (sock_diag), how much CPU its
// cgroup uses and what its network takes in, which start of the pod this is, and what the pod's environment says.
//
// It runs without privileges, reads and never decides. The only thing that it writes is the start-id file. It must not
// import the loop, the stopper, the configuration or another collector. On systems other than Linux it compiles, and
// every source answers "absent" with a reason.
package host
