package ikev2

import (
	"crypto/rand"
	"io"
	"testing"
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/internal/secret"
)

// epochHost is a host that knows nothing but its epoch.
type epochHost struct {
	exchange.Host
	epoch uint64
}

func (h epochHost) Rand() io.Reader              { return rand.Reader }
func (h epochHost) Epoch() uint64                { return h.epoch }
func (h epochHost) Bury(...secret.Value)         {}
func (h epochHost) Withdraw(exchange.QuestionID) {}
func (h epochHost) PeerChildren(exchange.SA) int { return 0 }

// TestSpentSAsEndSilently: an SA that has no initialisation vectors left in this
// epoch ends when it is activated, and does not begin what waits: the next number
// would belong to another epoch. In a later epoch it is as good as new.
func TestSpentSAsEndSilently(t *testing.T) {
	rules, err := Compile(&exchange.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, epoch := range []uint64{3, 4} {
		s := golden(t)
		s.host, s.recorded, s.window.request = &Version{Host: epochHost{epoch: epoch}, rules: rules}, true, nil
		s.window.iv = 3<<32 | (1<<32 - 10)
		s.tasks = []task{{kind: taskDeleteIKE, reason: "by the operator"}}
		var out exchange.Output
		s.Activate(time.Unix(1000, 0), &out)
		if spent := epoch == 3; spent != (s.state == Dead) || spent == (len(out.Send) == 1) {
			t.Errorf("epoch %d: state %v, %d messages", epoch, s.state, len(out.Send))
		}
		if s.state != Dead && s.window.iv>>32 != epoch {
			t.Errorf("epoch %d: vector %x", epoch, s.window.iv)
		}
	}
}
