// Package orders is what people may tell a running watchdog, what it answers, and the leases that follow: nothing but values.
// Whoever takes orders (control, over a socket), carries them out (the loop) or keeps them (the memory) shares them.
//
// It is pure: it imports no clock, context, file, socket or room, but the core's Maybe. Times are handed in.
package orders
