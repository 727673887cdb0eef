//go:build plateau

package config

import "time"

// The program that bench/plateau.sh measures makes a month's ticks in minutes. All else about it is as it is.
func init() {
	for i := range fields {
		if fields[i].Variable == Prefix+"CHECK_INTERVAL" {
			fields[i].least = time.Millisecond
		}
	}
}
