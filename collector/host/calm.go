package host

import (
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// calm knows when the table of connections need not be walked: two looks have found no connection but our own, and the
// kernel's count of accepted ones (PassiveOpens, of all ports) stands where it stood before both. Whoever connects raises
// that count before he can send a byte. The walk is the dearest part of a look on a machine with much memory, and an idle
// server has nobody connected. The zero value knows nothing.
type calm struct {
	opens watchdog.Maybe[uint64]
	// looks is how many walks in a row found nobody while the count stood at opens; walked is when the last one was.
	looks  int
	walked time.Time
}

const (
	// calmLooks: one would do but for connections that are counted and not yet established at the first.
	calmLooks = 2
	// walkEvery bounds how long an error in all this could last.
	walkEvery = time.Minute
)

// holds says that nobody can be connected now, if opens is the count of now. A count of 0 is not believed: there is a listener,
// and we ourselves connect to it, so a kernel that says 0 (one that only plays Linux) does not count.
func (c *calm) holds(opens watchdog.Maybe[uint64], now time.Time) bool {
	return c.looks >= calmLooks && opens.Known && opens.Value > 0 && opens == c.opens && now.Sub(c.walked) < walkEvery
}

// saw takes what a whole walk found, and the count from before it.
func (c *calm) saw(strangers int, opens watchdog.Maybe[uint64], now time.Time) {
	if strangers > 0 || !opens.Known {
		*c = calm{}
		return
	}
	if opens != c.opens {
		c.looks = 0
	}
	c.opens, c.looks, c.walked = opens, c.looks+1, now
}
