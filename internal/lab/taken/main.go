// Command taken is a worker that was taken over: a real one, which at the
// beginning of a capture tries what somebody would who had just got hold of it,
// one thing after the other, and writes down how each ends. The last one should
// be the end of it.
//
// It is started by warrend in place of warren-context, in the sandbox that
// workers have. It does I/O, as far as it can.
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/pipe"
	"github.com/warrenvpn/warren/context/privileges"
	"github.com/warrenvpn/warren/context/worker"
)

// lineFD is the number of the descriptor that leads to the supervisor.
const lineFD = 3

// pause keeps the lines within what every class lets pass.
const pause = 5 * time.Millisecond

func main() {
	line, err := pipe.LineFromFile(os.NewFile(lineFD, "line"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "taken:", err)
		os.Exit(1)
	}
	box, err := privileges.Drop()
	if err == nil {
		err = worker.Serve(context.Background(), line, &trigger{}, box)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "taken:", err)
		os.Exit(1)
	}
}

// trigger passes on what the worker has to say, and begins when that is that a capture
// has begun.
type trigger struct{ once sync.Once }

// Write implements io.Writer.
func (t *trigger) Write(b []byte) (int, error) {
	var events control.Events
	for line := range bytes.Lines(b) {
		if line[0] != control.EventMark {
			continue
		}
		if e, err := events.Parse(line); err == nil {
			if _, begun := e.Fact.(*control.CaptureBegun); begun {
				t.once.Do(func() { go tryAll() })
			}
		}
	}
	return os.Stderr.Write(b)
}

func tryAll() {
	for _, a := range attempts() {
		fmt.Fprintf(os.Stderr, "try %s: %v\n", a.name, a.do())
		time.Sleep(pause)
	}
	fmt.Fprintln(os.Stderr, "tried all but the last")
	last()
	fmt.Fprintln(os.Stderr, "try execve: it goes on")
}
