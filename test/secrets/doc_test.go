// Package secrets plants a secret in every setting that takes one, has everybody who is told one say it back, and looks for them
// in all that the program writes and shows.
package secrets
