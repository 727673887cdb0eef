package listen

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"
)

// Words are what is said of an address, in the log and to people.
type Words struct {
	// Setting is the variable that holds the address, Example an address that would do.
	Setting, Example string
	// Doing is what is done there, as the log's message says it: "listening", and "not listening".
	Doing string
	// Others are the programs that may have the address instead. Along is what has to be changed along with the
	// address, beginning with a blank, if anything.
	Others, Along string
	// Without is what cannot be had meanwhile: "but its page cannot be read".
	Without string
}

// Problem says in one sentence why nobody can come in at address, and what to do about it. err is of the listening.
func (w Words) Problem(address string, err error) string {
	what, remedy := fmt.Sprintf("cannot be listened on (%v)", err), "correct "+w.Setting
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		what = "is taken by another program (" + w.Others + "?)"
		remedy = "end that program, or set " + w.Setting + " to a free address" + w.Along
	case errors.Is(err, fs.ErrPermission):
		what = "may not be listened on by this user"
		remedy = "set " + w.Setting + " to a port of 1024 or above"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		what = "is no address of this machine"
		remedy = "set " + w.Setting + " to one that is, such as " + w.Example
	}
	return fmt.Sprintf("%s %s: %s; the watch goes on, %s until then", address, what, remedy, w.Without)
}
