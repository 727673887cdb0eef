// Package listen keeps a server at its address. It serves there until it is told to end; an address that cannot be had is
// complained of once, said in a sentence to whoever asks, and tried again until it can. What happens there never ends the watch.
//
// The pages that we show and the rows that we take are served by it, so it knows neither: it imports nothing of this project.
package listen
