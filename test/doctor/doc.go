// Package doctor holds `gpu-watchdog doctor` to its word, by the real program against the fakes that stand for a pod: what it says of a
// healthy one, of a bare machine and of one on which everything is broken, that it changes nothing, and that it shows no secret.
package doctor
