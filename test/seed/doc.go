// Package seed holds the project to its first document: each section that asks for something is held by a test that names it,
// in the room that does it or, where several rooms do it together, here.
package seed
