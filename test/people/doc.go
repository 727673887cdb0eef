// Package people gives the real program orders as a person does, by its own commands over its socket, and has it stop pods in every
// way that needs no provider: a webhook and a command of the user's. It holds tests only.
package people
