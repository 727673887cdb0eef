// Package eventually waits in tests for what another goroutine or process brings about, where no clock of the test's own can.
package eventually

import (
	"testing"
	"time"
)

// Holds asks again and again until is holds, and ends the test where it does not within ten seconds, which is far longer than
// anything should take on a busy machine. what names it.
func Holds(t testing.TB, what string, is func() bool) {
	t.Helper()
	Within(t, 10*time.Second, what, is)
}

// Within is Holds with a bound of its own.
func Within(t testing.TB, most time.Duration, what string, is func() bool) {
	t.Helper()
	deadline := time.NewTimer(most)
	defer deadline.Stop()
	again := time.NewTicker(2 * time.Millisecond)
	defer again.Stop()
	for !is() {
		select {
		case <-deadline.C:
			t.Fatalf("within %s it never came to: %s", most, what)
		case <-again.C:
		}
	}
}
