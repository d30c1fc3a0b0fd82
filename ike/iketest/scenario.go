package iketest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/wire"
)

// Scenario is a gateway, a client and a wire that commands play with. It is what
// the files in testdata describe: see Play.
type Scenario struct {
	lab             *Lab
	transcript      *Transcript
	gateway, client *Node
	tune            []func(gateway, client *exchange.Config)

	lose  map[string]int // how many of the next messages of a node are lost
	hold  map[string]int // or kept until "release"
	held  []exchange.Datagram
	last  map[string]exchange.Datagram // the newest message of a node
	next  map[string]uint32            // the message ID of its next request
	crash string                       // the node that dies at its next commit
}

// wireDelay is how long a datagram is on its way.
const wireDelay = 10 * time.Millisecond

// NewScenario returns one in which nothing has happened. Every random decision is
// the same in each.
func NewScenario() *Scenario {
	s := &Scenario{
		lab:  New(1, Faults{Delay: wireDelay}),
		lose: map[string]int{}, hold: map[string]int{}, last: map[string]exchange.Datagram{},
		next: map[string]uint32{},
	}
	s.transcript = s.lab.Transcribe()
	s.lab.Lose = s.keeps
	s.lab.Crash = func(n *Node) bool {
		dies := n.Name == s.crash
		if dies {
			s.crash = ""
		}
		return dies
	}
	return s
}

// keeps implements Lab.Lose.
func (s *Scenario) keeps(from *Node, d exchange.Datagram) bool {
	s.last[from.Name] = d
	if h, err := wire.ParseHeader(d.Payload); err == nil && !h.Response() {
		s.next[from.Name] = h.MessageID + 1
	}
	switch {
	case s.lose[from.Name] > 0:
		s.lose[from.Name]--
		s.transcript.line("lost", "on the way")
	case s.hold[from.Name] > 0:
		s.hold[from.Name]--
		s.held = append(s.held, d)
		s.transcript.line("held", "on the way")
	default:
		return false
	}
	return true
}

// Play runs the commands of a file in a new Scenario and returns the file with
// what they print now. It is made of blocks:
//
//	# Comments and empty lines stay as they are.
//	rekey child by client
//	advance 1s
//	----
//	what the commands above print, up to the next empty line
//
// An error names the line of a command that cannot be carried out.
func Play(file string) (string, error) {
	s := NewScenario()
	var out strings.Builder
	lines := strings.Split(strings.TrimRight(file, "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		out.WriteString(line + "\n")
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case line == "----":
			for i+1 < len(lines) && lines[i+1] != "" {
				i++
			}
			out.WriteString(s.transcript.Text())
		default:
			if err := s.run(strings.Fields(line)); err != nil {
				return "", fmt.Errorf("line %d: %s: %w", i+1, line, err)
			}
		}
	}
	if rest := s.transcript.Text(); rest != "" {
		return "", fmt.Errorf("the last commands have no ---- beneath them")
	}
	for _, n := range s.lab.Nodes {
		n.CheckSnapshot()
	}
	if len(s.lab.Trouble) > 0 {
		return "", fmt.Errorf("what must not happen: %s", strings.Join(s.lab.Trouble, "; "))
	}
	return out.String(), nil
}

// run carries out one command.
func (s *Scenario) run(words []string) error {
	wrong := errors.New("there is no such command")
	for _, c := range commands {
		form := strings.Fields(c.form)
		if form[0] != words[0] {
			continue
		}
		args, ok := match(form, words)
		if !ok {
			wrong = fmt.Errorf("want %q", c.form)
			continue
		}
		if c.started && s.client == nil {
			return fmt.Errorf("this comes after start")
		}
		return c.run(s, args)
	}
	return wrong
}

// match returns the words that stand for those of form in capitals.
func match(form, words []string) (args []string, ok bool) {
	if len(words) < len(form) {
		return nil, false
	}
	for i, f := range form {
		switch {
		case f == "VALUE...":
			return append(args, strings.Join(words[i:], " ")), true
		case f == strings.ToUpper(f):
			args = append(args, words[i])
		case f != words[i]:
			return nil, false
		}
	}
	return args, len(form) == len(words)
}
