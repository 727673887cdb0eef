package watchdog

import (
	"testing"
	"time"
)

func TestASecondFinalLookIsNotLateForItsOwnSecond(t *testing.T) {
	r := &Rules{CheckInterval: 100 * time.Millisecond}
	const took = 1300 * time.Millisecond // a second's wait and a slow look
	if took <= r.late(false) {
		t.Errorf("an ordinary look may come %s late, want less than %s", r.late(false), took)
	}
	if took > r.late(true) {
		t.Errorf("a final look may come %s after the one before it, want at least %s", r.late(true), took)
	}
}
