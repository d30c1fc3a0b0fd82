package iketest

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/internal/secret"
)

var updateFlag = flag.Bool("update", false, "write what happens into the scenarios of testdata")

// TestScenarios plays the files of testdata/scenario, one for each section of an RFC:
// commands, a line of dashes, and what happens then (Transcript), up to an empty line.
// -update writes what happens.
//
//	pair [words]      a gateway and a client that connects; the words change them: see tune
//	run 5s            time passes
//	lose 2 after 1    of the next datagrams the first one arrives, and two get lost
//	as before         what has happened so far is in another scenario
//	client rekey-ike  or rekey-child, delete-ike, delete-child: a command of the operator
//	gateway kill      a new engine goes on with the journal
//	gateway takeover  the other node of a pair does
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/scenario/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(want))
			switch {
			case *updateFlag:
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			case !bytes.Equal(want, []byte(got)):
				t.Errorf("it happens otherwise; -update writes it down. Got:\n%s", got)
			}
		})
	}
}

// play returns the text of a scenario with what really happens.
func play(t *testing.T, text string) string {
	t.Helper()
	s := &scenario{t: t}
	var out strings.Builder
	for _, block := range strings.Split(strings.TrimSpace(text), "\n\n") {
		head, _, is := strings.Cut(block+"\n", "----\n")
		if !is {
			out.WriteString(block + "\n\n") // a remark
			continue
		}
		out.WriteString(head + "----\n")
		for line := range strings.Lines(head) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				s.do(strings.Fields(line))
			}
		}
		out.WriteString(s.transcript.Take() + "\n")
	}
	if s.lab != nil {
		noTrouble(t, s.lab)
	}
	return strings.TrimSpace(out.String()) + "\n"
}

// scenario is one file that is played.
type scenario struct {
	t          *testing.T
	lab        *Lab
	transcript *Transcript
	nodes      map[string]*Node
	arrive     int // of the next datagrams
	lose       int // of those after them
}

// do does what one line says.
func (s *scenario) do(words []string) {
	s.t.Helper()
	switch {
	case words[0] == "pair":
		s.pair(words[1:])
	case words[0] == "run" && len(words) == 2:
		d, err := time.ParseDuration(words[1])
		if err != nil {
			s.t.Fatal(err)
		}
		s.lab.Run(d)
	case words[0] == "lose" && len(words) == 4:
		if _, err := fmt.Sscan(words[1]+" "+words[3], &s.lose, &s.arrive); err != nil {
			s.t.Fatal(err)
		}
	case words[0] == "as" && len(words) == 2:
		s.transcript.Take()
	case len(words) == 2 && s.nodes[words[0]] != nil:
		s.command(s.nodes[words[0]], words[1])
	default:
		s.t.Fatalf("%q is no command", words)
	}
}

// pair makes the nodes.
func (s *scenario) pair(words []string) {
	s.lab = New(1, Faults{Delay: 10 * time.Millisecond})
	s.transcript = s.lab.Transcribe()
	lost := func(*Node, exchange.Datagram) {
		s.lab.Faults.Drop = 0
		switch {
		case s.arrive > 0:
			s.arrive--
		case s.lose > 0:
			s.lose--
			s.lab.Faults.Drop = 1
		}
	}
	s.lab.Spy = lost
	g, c := s.lab.Pair(func(g, c *exchange.Config) {
		for _, w := range words {
			s.tune(w, g, c)
		}
	})
	s.nodes = map[string]*Node{"gateway": g, "client": c}
}

// tune changes the configurations as a word says.
func (s *scenario) tune(word string, g, c *exchange.Config) {
	s.t.Helper()
	switch word {
	case "cookies": // everybody has to bring one
		g.AlwaysCookie = true
	case "guess": // the client's first key exchange is not one of the gateway's
		g.Policies[0].Proposal = sa.Proposal{gcm256, prf256, ecp256}
	case "no-proposal":
		g.Policies[0].Proposal = sa.Proposal{chacha, prf256, ecp256}
	case "wrong-key":
		c.Profiles[0].Local = exchange.PSK{Key: secret.Copy([]byte("wrong"))}
	case "dpd": // the client asks whether the gateway lives
		g.Profiles[0].DPD, c.Profiles[0].DPD = 0, 10*time.Second
	case "quiet": // nobody asks
		g.Profiles[0].DPD, c.Profiles[0].DPD = 0, 0
	case "once": // one repeat, and it is over
		g.RetransmitTries, c.RetransmitTries = 1, 1
	default:
		s.t.Fatalf("%q is no word for a pair", word)
	}
}

// command does what is wanted of a node.
func (s *scenario) command(n *Node, word string) {
	s.t.Helper()
	up := n.Established()
	if word != "kill" && word != "takeover" && (len(up) == 0 || len(up[0].Children) == 0) {
		s.t.Fatalf("%s is not up", n.Name)
	}
	var err error
	switch word {
	case "rekey-ike":
		err = n.Command(exchange.RekeyIKE{SPI: up[0].Peer.SPI})
	case "rekey-child":
		err = n.Command(exchange.RekeyChild{ID: up[0].Children[0].ID})
	case "delete-ike":
		err = n.Command(exchange.DeleteIKE{SPI: up[0].Peer.SPI, Reason: "by the operator"})
	case "delete-child":
		err = n.Command(exchange.DeleteChild{ID: up[0].Children[0].ID, Reason: "by the operator"})
	case "kill":
		n.Kill()
	case "takeover":
		n.Takeover(n.Epoch+1, 0)
	default:
		s.t.Fatalf("%q is no command of a node", word)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}
