// Package runpod asks RunPod to stop this pod, or to delete it where that was asked for, by each way that a key found in a
// pod may be allowed to use: the REST API v2, the older GraphQL API, and the runpodctl that RunPod puts into its images. It
// also reads price, lock and status, and what a deletion would lose.
//
// It is a thin client of its own, since RunPod's Go SDK has no calls for pods. What it sends and reads follows RunPod's
// OpenAPI document, against which the tests hold it. Keys, query strings and the environment of the pod, which is part
// of RunPod's answers, never leave this package. It decides nothing: whether to stop, and when to try again, is
// somebody else's business, so it must not import the loop or the rules beside their plain types. One thing it refuses of
// itself: with ActionTerminate nothing is deleted with which data would go, or of which that is unknown.
package runpod
