package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// stage prints what happens, in colour where somebody watches.
type stage struct {
	out    *os.File
	colour bool
	acts   int
}

// newStage prints to out, which is coloured when it is a terminal and NO_COLOR
// (https://no-color.org) does not forbid it.
func newStage(out *os.File) *stage {
	_, err := unix.IoctlGetTermios(int(out.Fd()), unix.TCGETS)
	return &stage{out: out, colour: err == nil && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// The colours, as parameters of the terminal's SGR sequence.
const (
	bold  = "1"
	green = "32"
	cyan  = "36"
	grey  = "90"
)

func (s *stage) paint(colour, text string) string {
	if !s.colour {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// act begins the next part.
func (s *stage) act(text string) {
	s.acts++
	fmt.Fprintf(s.out, "\n%s %s\n", s.paint(cyan, fmt.Sprintf("%d.", s.acts)), s.paint(bold, text))
}

// say prints text as it stands.
func (s *stage) say(text string) { fmt.Fprintln(s.out, strings.TrimPrefix(text, "\n")) }

// done tells that a step worked.
func (s *stage) done(format string, args ...any) {
	fmt.Fprintf(s.out, "   %s %s\n", s.paint(green, "ok"), fmt.Sprintf(format, args...))
}

// command shows a command of the operator and what it printed.
func (s *stage) command(line, output string) {
	fmt.Fprintf(s.out, "\n   %s\n", s.paint(grey, "$ "+line))
	for text := range strings.Lines(strings.TrimRight(output, "\n")) {
		fmt.Fprint(s.out, "   ", text)
	}
	fmt.Fprintln(s.out)
}

// note prints what the lab has to say; it speaks when something goes wrong.
func (s *stage) note(format string, args ...any) {
	fmt.Fprintln(os.Stderr, s.paint(grey, fmt.Sprintf(format, args...)))
}

// end prints the last line.
func (s *stage) end(format string, args ...any) {
	fmt.Fprintf(s.out, "\n%s\n", s.paint(green, fmt.Sprintf(format, args...)))
}
