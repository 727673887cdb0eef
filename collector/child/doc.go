// Package child reads what the supervisor tells of the server that it runs beside this watchdog (`gpu-watchdog exec`): whether it
// runs, how its starts ended, and what it wrote last.
package child
