// Package control takes orders from people on this machine, over a unix socket: hold, release, postpone and stop. Server is the
// watchdog's side, Client that of the commands.
//
// What is spoken there is HTTP. The socket has mode 0600, and whoever asks is known by the kernel's word, not by their own: only
// our own user and root are answered. A mistake here never ends the watch: a path that cannot be had is complained of once, said
// in a sentence to whoever asks, and tried again until it can.
//
// It hands orders on and knows nobody who carries them out: it must not import the loop, a source, a stopper or the settings.
package control
