// Package status is the one definition of what GET /status says, and of how it is filled from a published view. The web
// server writes it, the panel and the status command read it.
//
// It must not import the network, the log or the configuration: a Status is made from a value, and asks nobody.
package status
