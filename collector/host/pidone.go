package host

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gpu-watchdog/gpu-watchdog/watchdog"
)

// ticksPerSecond is USER_HZ, the unit of the times in /proc/PID/stat. It is 100 on every architecture that Linux runs
// on but alpha and ia64.
const ticksPerSecond = 100

// firstProcess is what is known of PID 1, whose start is the container's.
type firstProcess struct {
	// started is in ticks since the machine's boot; 0 is unknown.
	started uint64
	// age is unknown where the times contradict each other, as where only one of them is virtualised.
	age watchdog.Maybe[time.Duration]
}

// readFirstProcess never fails: what cannot be read is unknown.
func readFirstProcess(root string) firstProcess {
	stat, err := readBounded(under(root, "/proc/1/stat"), maxProcFile)
	if err != nil {
		return firstProcess{}
	}
	started, err := parseStartTime(string(stat))
	if err != nil {
		return firstProcess{}
	}
	p := firstProcess{started: started}
	page, err := readBounded(under(root, "/proc/uptime"), maxProcFile)
	if err != nil {
		return p
	}
	if up, err := parseUptime(string(page)); err == nil {
		if age := up - time.Duration(started)*(time.Second/ticksPerSecond); age >= 0 {
			p.age = watchdog.Known(age)
		}
	}
	return p
}

// parseStartTime reads field 22 of /proc/PID/stat, in ticks since boot. Field 2 is the command's name in parentheses
// and may hold blanks and parentheses itself, so fields are counted from its end.
func parseStartTime(stat string) (uint64, error) {
	const fieldsBetween = 22 - 3
	end := strings.LastIndexByte(stat, ')')
	if end < 0 {
		return 0, errors.New("no command's name")
	}
	fields := strings.Fields(stat[end+1:])
	if len(fields) <= fieldsBetween {
		return 0, fmt.Errorf("%d fields behind the command's name", len(fields))
	}
	ticks, err := strconv.ParseUint(fields[fieldsBetween], 10, 64)
	if err != nil {
		return 0, err
	}
	if ticks > uint64(1<<63-1)/uint64(time.Second/ticksPerSecond) {
		return 0, fmt.Errorf("start time of %d ticks is out of range", ticks)
	}
	return ticks, nil
}

// parseUptime reads the first figure of /proc/uptime, in seconds with two digits behind the point.
func parseUptime(page string) (time.Duration, error) {
	figure, _, _ := strings.Cut(strings.TrimSpace(page), " ")
	return time.ParseDuration(figure + "s")
}
