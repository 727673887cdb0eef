// Package kubernetes stops the pod that we run in by setting the replicas of what owns it to 0, through the scale
// subresource.
//
// It finds the owner by following the controllers of our pod, each checked by its uid: a Deployment, a StatefulSet, a
// LeaderWorkerSet, or any other kind for which the cluster serves /scale. It acts only where there is exactly one
// replica, and sends the resourceVersion that it has read with the change, so that whoever scales at the same moment wins
// and we hold. A Job or a bare pod has no scale, and is refused with words about what to do instead.
//
// The client is our own, on net/http. A sidecar has 25 MiB in all, nearly the whole binary becomes resident, and client-go
// would add 4 MB for its REST client alone and 20 MB with typed clients or the scale client, for the six requests that are
// needed here. In return this package keeps what client-go would have kept for it: the token is read for each request and
// the certificates whenever their file changes (both rotate), nothing is sent without verified TLS, redirects are not
// followed, every answer is bounded, every request has a deadline.
//
// What the service account needs (Rule prints each in the form of a Role; Description.Missing tells which are lacking):
//
//	pods                      get             which controller owns our pod
//	replicasets, …            get             each owner on the way up, and what owns that
//	deployments               get             the target itself: its owner, and who sets its replicas
//	deployments/scale         get, update     the stop
//	events (events.k8s.io)    create          a word on the owner; everything works without
//
// A dry run by the API server (Rehearse) needs the same rights and passes the same admission as the stop.
//
// The package must not import the rest of the program except watchdog, watchdog/stopper and internal/secret.
package kubernetes
