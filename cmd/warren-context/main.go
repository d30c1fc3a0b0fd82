// Command warren-context is the worker: one tenant's IKE engine and ESP data
// plane. warrend starts it inside the tenant's namespace, without privileges,
// with one connected socket as descriptor 3; connections come through it, and
// everything else through those.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/context/pipe"
	"github.com/warrenvpn/warren/context/privileges"
	"github.com/warrenvpn/warren/context/worker"
)

// lineFD is the number of the descriptor that leads to the supervisor.
const lineFD = 3

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "warren-context:", err)
		os.Exit(1)
	}
}

// maxProcs bounds how many threads run Go code at once. With those that wait in
// system calls a worker stays below the pids limit that a class has by default.
const maxProcs = 32

func run() error {
	if runtime.GOMAXPROCS(0) > maxProcs {
		runtime.GOMAXPROCS(maxProcs)
	}
	if len(os.Args) != 2 || strings.HasPrefix(os.Args[1], "-") {
		return errors.New("this program is started by warrend, not by hand, and has nothing to set")
	}
	line, err := pipe.LineFromFile(os.NewFile(lineFD, "line"))
	if err != nil {
		return fmt.Errorf("this program is started by warrend, not by hand: %w", err)
	}
	defer line.Close()
	box, err := privileges.Drop()
	if err != nil {
		return err
	}
	logs, err := ownLog()
	if err != nil {
		return err
	}
	defer logs.Close()
	return worker.Serve(context.Background(), line, logs, box)
}

// ownLog is standard error under another number: the runtime would end the program for
// a write to the standard one that nobody reads any more.
func ownLog() (*os.File, error) {
	fd, err := unix.FcntlInt(uintptr(unix.Stderr), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("copying the descriptor of the log: %w", err)
	}
	return os.NewFile(uintptr(fd), "log"), nil
}
