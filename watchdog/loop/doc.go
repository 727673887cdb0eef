// Package loop is the live shell around the pure core: it owns the ticker, looks at the pod, lets the core decide,
// publishes and logs what was decided, carries a stop out, and hands what must survive to the memory. Every effect
// is here, and its outcome is input of the next tick. It must not know how a source is read or a pod is stopped: both
// come in as small interfaces.
package loop
