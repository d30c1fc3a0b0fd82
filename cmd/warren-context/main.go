// Command warren-context is the worker: one tenant's IKE engine and ESP data
// plane. warrend starts it inside the tenant's namespace, without privileges,
// with one connected socket as descriptor 3; everything else comes through it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/warrenvpn/warren/context/pipe"
	"github.com/warrenvpn/warren/context/privileges"
	"github.com/warrenvpn/warren/context/worker"
)

// controlFD is the number of the descriptor that leads to the supervisor.
const controlFD = 3

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
	conn, err := pipe.FromFile(os.NewFile(controlFD, "control"))
	if err != nil {
		return fmt.Errorf("this program is started by warrend, not by hand: %w", err)
	}
	defer conn.Close()
	box, err := privileges.Drop()
	if err != nil {
		return err
	}
	return worker.Serve(context.Background(), conn, os.Stderr, box)
}
