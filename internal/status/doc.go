// Package status is the one definition of what GET /status says, and of how it is filled from a published view. The web
// server writes it, the panel and the status command read it. How requests were served is a part of it that its own room,
// serving, defines.
//
// It must not import the network, the log or the configuration: a Status is made from a value, and asks nobody.
package status
