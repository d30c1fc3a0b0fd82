package ikev2

import (
	"strings"
	"testing"
)

// TestStateNumbers: records hold them.
func TestStateNumbers(t *testing.T) {
	for want, s := range map[uint8]State{6: Established, 7: Replaced, 8: Deleting} {
		if uint8(s) != want {
			t.Errorf("%v is %d in records, was %d", s, s, want)
		}
	}
}

func TestTransitions(t *testing.T) {
	for from := Connecting; from <= Contending; from++ {
		if strings.HasPrefix(from.String(), "STATE") {
			t.Errorf("state %d has no name", from)
		}
		for to := Connecting; to <= Contending; to++ {
			allowed := to == Dead && from != Dead
			for _, e := range edges[from] {
				allowed = allowed || e == to
			}
			func() {
				defer func() {
					if refused := recover() != nil; refused == allowed {
						t.Errorf("%v to %v: refused %v", from, to, refused)
					}
				}()
				s := SA{state: from}
				s.transition(to)
			}()
		}
	}
	if got := State(77).String(); got != "STATE-77" {
		t.Errorf("got %q", got)
	}
}
