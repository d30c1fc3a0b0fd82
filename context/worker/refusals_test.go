package worker

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/context/session"
	"github.com/warrenvpn/warren/ike/exchange"
)

// TestRefusalsAreBounded refuses strangers at the rate of a flood: the log gets
// a few lines and how many there were beside them.
func TestRefusalsAreBounded(t *testing.T) {
	var log bytes.Buffer
	r := newRefusals(tellTo(&log))
	stranger := exchange.Peer{Remote: netip.MustParseAddrPort("192.0.2.66:500")}
	now := time.Unix(1000, 0)
	const flood, seconds = 1000, 10
	for range flood * seconds {
		now = now.Add(time.Second / flood)
		r.engine(now, exchange.Refused{Peer: stranger, Notify: "NO_PROPOSAL_CHOSEN", Reason: "none in common"})
	}
	if n := strings.Count(log.String(), "msg=\"peer refused\""); n < refusalsBurst ||
		n > refusalsBurst+refusalsPerSecond*seconds {
		t.Errorf("%d lines for %d refusals", n, flood*seconds)
	}
	if n := strings.Count(log.String(), "\n"); n > 2*(refusalsBurst+refusalsPerSecond*seconds) {
		t.Errorf("%d lines", n)
	}

	log.Reset()
	r.ebb(now)
	if log.Len() > 0 {
		t.Errorf("while the flood goes on: %s", &log)
	}
	now = now.Add(time.Minute)
	r.ebb(now)
	r.ebb(now)
	if got := log.String(); strings.Count(got, "\n") != 1 ||
		!strings.Contains(got, "more peers refused than are logged") {
		t.Errorf("after the flood: %q", got)
	}
	log.Reset()
	r.engine(now, exchange.Refused{Peer: stranger, Reason: "once"})
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "reason=once") {
		t.Errorf("one refusal: %q", got)
	}
}

// TestOneLineForOneRefusal: a peer that we have connected to was not refused by us,
// and what the worker has said of a refusal the engine's event does not say again.
func TestOneLineForOneRefusal(t *testing.T) {
	var log bytes.Buffer
	r := newRefusals(tellTo(&log))
	peer := exchange.Peer{SPI: 7, Remote: netip.MustParseAddrPort("192.0.2.66:500"), RemoteID: "hub.example",
		Profile: "hub"}
	now := time.Unix(1000, 0)
	r.engine(now, exchange.Refused{Peer: peer, Dialled: true, Reason: "peer does not answer"})
	if got := log.String(); strings.Contains(got, "peer refused") ||
		!strings.Contains(got, "exchange with the peer failed") {
		t.Errorf("a connection that we began: %q", got)
	}
	log.Reset()
	r.session(now, &session.Answer{
		Subject: session.Subject{Handle: handleOf(peer.SPI), User: peer.RemoteID, Group: peer.Profile,
			Public: peer.Remote},
		Refused: &session.Refusal{Cause: session.CauseClass, Resource: "vpn_anyconnect", Limit: 2},
	}, "bronze")
	r.engine(now, exchange.Refused{Peer: peer, Notify: "NO_ADDITIONAL_SAS", Reason: "limit of sessions is reached"})
	if got := log.String(); strings.Count(got, "\n") != 1 ||
		!strings.Contains(got, "notify=NO_ADDITIONAL_SAS class=bronze resource=vpn_anyconnect limit=2") {
		t.Errorf("a limit: %q", got)
	}
	log.Reset()
	r.engine(now, exchange.Refused{Peer: peer, Reason: "another time"})
	if got := log.String(); strings.Count(got, "\n") != 1 {
		t.Errorf("another refusal: %q", got)
	}
	log.Reset()
	for range 10 * refusalsBurst {
		r.engine(now, exchange.Refused{Peer: peer, Dialled: true, Reason: "again"})
	}
	if n := strings.Count(log.String(), "\n"); n > refusalsBurst {
		t.Errorf("%d lines of a peer that we connect to", n)
	}
}
