package main

import (
	"bytes"
	"os"
	"strconv"
	"strings"
)

// containerAge is how long ago the first process of this machine or container began, in seconds; 0 where unknown.
func containerAge() float64 {
	stat, err1 := os.ReadFile("/proc/1/stat")
	up, err2 := os.ReadFile("/proc/uptime")
	if err1 != nil || err2 != nil {
		return 0
	}
	const startTime, ticksPerSecond = 19, 100
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	ticks, err1 := strconv.ParseFloat(fields[startTime], 64)
	seconds, err2 := strconv.ParseFloat(strings.Fields(string(up))[0], 64)
	if err1 != nil || err2 != nil {
		return 0
	}
	return seconds - ticks/ticksPerSecond
}
