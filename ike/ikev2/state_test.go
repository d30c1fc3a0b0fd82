package ikev2

import (
	"strings"
	"testing"
)

func TestTransitions(t *testing.T) {
	for from := Connecting; from <= Dead; from++ {
		if strings.HasPrefix(from.String(), "STATE") {
			t.Errorf("state %d has no name", from)
		}
		for to := Connecting; to <= Dead; to++ {
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
