// Package startup cuts the start of a server into phases, by what its log or its spans tell, and knows what shortens each.
//
// It must not import whoever watches or measures: it is told of lines and moments, and starts nothing.
package startup
