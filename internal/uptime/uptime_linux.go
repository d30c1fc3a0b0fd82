// Package uptime tells how long the machine has been up, on a clock that nobody
// sets and that all processes share (CLOCK_BOOTTIME).
package uptime

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Now returns the time since the machine was started, suspended time included.
func Now() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic(fmt.Sprintf("uptime: internal error: %v", err))
	}
	return time.Duration(ts.Nano())
}
