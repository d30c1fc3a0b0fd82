// Command warren is the operator's tool: it asks a running warrend over its unix
// socket, and checks and formats configuration files without one.
//
// Exit codes: 0 done, 1 refused or failed (the reason is on standard error),
// 2 wrong usage.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, &env{
		stdin:   os.Stdin,
		stdout:  os.Stdout,
		stderr:  os.Stderr,
		getenv:  os.Getenv,
		now:     time.Now,
		colour:  isTerminal(os.Stderr) && os.Getenv("NO_COLOR") == "",
		watched: isTerminal(os.Stderr),
		screen:  isTerminal(os.Stdout),
	}, os.Args[1:])
	stop()
	os.Exit(code)
}

// isTerminal reports whether f is a character device other than /dev/null.
func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	return err == nil && !os.SameFile(info, null)
}
