package checker

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/context/confine"
	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/privileges"
)

// harmless is the verdict on a text whose parsing has come to its end.
const harmless = '+'

// Started tells whether a process with these arguments was started by a Checker, and
// has nothing to do but Main.
func Started(args []string) bool { return len(args) == 1 && args[0] == confine.CheckerProgram }

// Main is the life of a process that checks texts. It takes everything from the process
// that it does not need, reads texts from its standard input until that ends, and
// returns the exit code.
func Main() int { return run(configs.Rehearse, usual) }

// run is Main with a parser and limits.
func run(parse func(text []byte), most limits) int {
	if err := serve(parse, most); err != nil {
		fmt.Fprintln(os.Stderr, "warrend:", err)
		return 1
	}
	return 0
}

func serve(parse func(text []byte), most limits) error {
	if info, err := os.Stdin.Stat(); err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		return errors.New("checker: warrend starts this program under this name, nobody else")
	}
	box, err := shut(most)
	if err != nil {
		return err
	}
	greeting, err := json.Marshal(box)
	if err != nil {
		return fmt.Errorf("checker: %w", err)
	}
	if _, err := os.Stdout.Write(append(greeting, '\n')); err != nil {
		return fmt.Errorf("checker: %w", err)
	}
	var text []byte
	for {
		var size [4]byte
		if _, err := io.ReadFull(os.Stdin, size[:]); err != nil {
			return nil // nobody needs us any more
		}
		n := binary.BigEndian.Uint32(size[:])
		if n > configs.MaxFileSize {
			return errors.New("checker: a text that is too long")
		}
		text = append(text[:0], make([]byte, n)...)
		if _, err := io.ReadFull(os.Stdin, text); err != nil {
			return nil
		}
		parse(text)
		if _, err := os.Stdout.Write([]byte{harmless}); err != nil {
			return nil
		}
	}
}

// shut takes from the process what it does not need, and says what it could not.
func shut(most limits) (control.Sandbox, error) {
	box, err := privileges.Drop()
	if err != nil {
		return box, err
	}
	if err := most.set(); err != nil {
		return box, err
	}
	filters, err := confine.Filters(confine.Checker, unix.Getpid())
	if err == nil {
		err = privileges.Filter(filters)
	}
	box.Reach("seccomp", err)
	return box, nil
}
