// Package panel shows a person in a terminal what GET /status says: Fetch asks for it, Render writes it down.
//
// It knows the document and nothing behind it: it must not import the loop, a source or the configuration. What it is given
// may come from another version, or from a server, a driver or a provider with odd ideas, so no text reaches the terminal
// with control characters in it.
package panel
