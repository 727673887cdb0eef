// Package unarmed holds the real program to what it does with wrong settings beside somebody's server on Kubernetes: it stays up,
// stops nothing, and says why. It must not import any room of it.
package unarmed
