//go:build !race

// The race detector cannot live in the sandbox: it is linked to what needs other system
// calls and more memory.

package checker

import (
	"bytes"
	"fmt"
	"os"
	"time"

	"github.com/warrenvpn/warren/configs"
)

// taken is the life of a process whose parser some texts take over.
func taken() int { return run(parse, tight) }

// tight are limits of which that of processor time is reached soon, on a busy host as well.
var tight = limits{cpu: time.Second, wall: 5 * time.Minute, memory: usual.memory}

// parse is a parser that some texts take over.
func parse(text []byte) {
	switch verb, _, _ := bytes.Cut(text, []byte(" ")); string(verb) {
	case "loop":
		for n := 0; ; n++ {
			kept = kept[:0]
		}
	case "allocate":
		for {
			kept = append(kept, bytes.Repeat([]byte("x"), 1<<20))
		}
	case "panic":
		panic("a parser that has lost its way")
	case "exit":
		os.Exit(0)
	case "chatter":
		os.Stdout.WriteString("+++")
	case "try":
		tryAll()
	default:
		configs.Rehearse(text)
	}
}

var kept [][]byte

// tryAll ends the process where anything works that must not.
func tryAll() {
	for _, a := range attempts() {
		if errno := a.do(); errno != refused {
			fmt.Fprintf(os.Stderr, "%s: %v\n", a.name, errno)
			os.Exit(7)
		}
	}
}
