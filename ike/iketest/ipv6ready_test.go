package iketest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/internal/datatest"
)

// readyPrefix is what the ids of a gateway that answers begin with, in the test
// specification of the IPv6 Ready Logo Program for IKEv2.
const readyPrefix = "IKEv2.SGW.R."

// readyTest is one test of the specification. What it asserts, and by which rule, stands
// with its function. Each was seen to fail when the rule was broken on purpose where the
// table says. TN1 shares the codecs, the ciphers and the key derivations with NUT, so that
// a mistake in those is not seen here: suite and wire have vectors of others for them.
type readyTest struct {
	id   string // behind readyPrefix
	file string // where the rule is kept, below ike
	by   string // the function there; the test fails when it breaks the rule
	play func(*testing.T)
}

// readyTests are those that need no certificate. 1.1.3.1 is played where ICMP messages
// arrive: esp/plane has it.
var readyTests = []readyTest{
	{"1.1.1.1", "ikev2/responding.go", "respondTo", initResponse},
	{"1.1.1.2", "ikev2/init.go", "responderOctets", authResponse},
	{"1.1.1.3", "ikev2/createresponder.go", "build", useOfChild},
	{"1.1.2.1", "ikev2/responding.go", "RepeatFirst", initRepeated},
	{"1.1.2.2", "ikev2/receive.go", "receiveRequest", authRepeated},
	{"1.1.3.2", "ikev2/receive.go", "open", unprotected},
	{"1.1.3.3", "ikev2/authresponder.go", "grant", initialContact},
	{"1.1.3.4", "ikev2/informational.go", "serve", liveness},
	{"1.1.3.5", "ikev2/informational.go", "serve", endIKESA},
	{"1.1.3.6", "ikev2/informational.go", "deleted", endChild},
	{"1.1.4.1", "wire/message.go", "ParseMessage", minorVersion},
	{"1.1.4.2", "receive.go", "otherVersion", majorVersion},
	{"1.1.4.3", "wire/payload.go", "parseChain", unknownPayload},
	{"1.1.4.4", "wire/payload.go", "parseChain", criticalPayload},
	{"1.1.4.5", "ikev2/form.go", "check", payloadOrder},
	{"1.1.5.1", "opening.go", "proveCookie", cookie},
	{"1.1.5.2", "opening.go", "proveCookie", wrongCookie},
	{"1.1.5.3", "cookie.go", "make", cookieAndGroup},
	{"1.1.5.4", "opening.go", "proveCookie", cookieAndGroupAnew},
	{"1.1.6.1", "ikev2/init.go", "chooseIKE", ikeSuites},
	{"1.1.6.2", "ikev2/child.go", "direction", childSuites},
	{"1.1.6.3", "suite/choose.go", "matchRest", severalTransforms},
	{"1.1.6.4", "suite/choose.go", "matchRest", severalProposals},
	{"1.1.6.5", "suite/choose.go", "matchRest", severalTransformsForChild},
	{"1.1.6.6", "suite/choose.go", "matchRest", severalProposalsForChild},
	{"1.1.6.7", "ikev2/createresponder.go", "makeChild", invalidChildGroup},
	{"1.1.6.8", "suite/choose.go", "WrongGroup", invalidGroup},
	{"1.1.6.9", "ikev2/authresponder.go", "grant", withoutChild},
	{"1.1.7.1", "ikev2/allowance.go", "negotiate", narrowing},
	{"1.1.7.2", "ikev2/allowance.go", "negotiate", unacceptable},
	{"1.1.7.3", "ikev2/narrow.go", "narrow", narrowingOfSeveral},
	{"1.1.8.1", "unknownspi.go", "unknownSPI", unknownIKESA},
	{"1.1.8.2", "ikev2/receive.go", "receiveRequest", invalidSyntax},
	{"1.1.8.3", "../esp/inbound.go", "unwrap", invalidSelectors},
	{"1.1.10.4", "../configs/secrets.go", "secretText", hexKey},
	{"1.1.11.1", "wire/sa.go", "ParseSA", reservedInit},
	{"1.1.11.2", "wire/id.go", "ParseID", reservedAuth},
	{"1.1.11.3", "wire/header.go", "ParseHeader", versionBit},
	{"1.1.11.4", "receive.go", "receive", responseBit},
	{"1.1.11.5", "ikev2/informational.go", "serve", unknownNotify},
	{"1.2.1.1", "ikev2/createresponder.go", "makeChild", newChild},
	{"1.2.2.1", "ikev2/receive.go", "receiveRequest", createRepeated},
	{"1.2.3.1", "ikev2/informational.go", "deleted", deleteChildren},
	{"1.2.4.1", "ikev2/allowance.go", "negotiate", noProposal},
	{"1.2.5.1", "ikev2/createresponder.go", "serve", closeReplaced},
	{"1.2.5.2", "ikev2/child.go", "succession", useOfSuccessor},
	{"1.2.5.3", "suite/choose.go", "matchRest", severalTransformsForSuccessor},
	{"1.2.5.4", "suite/choose.go", "matchRest", severalProposalsForSuccessor},
	{"1.2.5.5", "ikev2/createresponder.go", "makeChild", forwardSecrecy},
	{"1.2.5.6", "ikev2/createresponder.go", "serve", useOfOld},
	{"1.2.6.1", "ikev2/rekeyike.go", "handOver", rekeyIKE},
	{"1.2.6.2", "ikev2/state.go", "standing", validOnOld},
	{"1.2.6.3", "ikev2/rekeyike.go", "successor", validOnNew},
	{"1.2.6.4", "ikev2/rekeyike.go", "serve", closeReplacedIKE},
	{"1.2.6.5", "suite/choose.go", "matchRest", severalTransformsForIKE},
	{"1.2.6.6", "suite/choose.go", "matchRest", severalProposalsForIKE},
	{"1.2.6.7", "ikev2/rekeyike.go", "derive", otherPRF},
	{"1.2.6.8", "ikev2/form.go", "check", noGroup},
	{"1.2.6.9", "ikev2/rekeyike.go", "serve", rekeyIKEFails},
	{"1.2.7.1", "ikev2/allowance.go", "negotiate", twoChildren},
	{"1.2.8.1", "ikev2/authresponder.go", "verify", notAuthentic},
	{"1.2.9.1", "wire/ts.go", "ParseTS", reservedCreate},
	{"1.3.1.1", "ikev2/window.go", "respond", informationalResponse},
	{"1.3.2.1", "ikev2/receive.go", "receiveRequest", informationalAgain},
	{"1.3.3.1", "wire/header.go", "ParseHeader", reservedInformational},
	{"2.1.1.1", "ikev2/createresponder.go", "build", endNodeAuth},
	{"2.1.1.2", "ikev2/createresponder.go", "build", useOfEndNodeChild},
	{"2.1.2.1", "ikev2/config.go", "configReply", givesAddress},
	{"2.1.2.2", "ikev2/allowance.go", "allowed", useOfClientChild},
	{"2.1.2.3", "wire/cp.go", "ParseCP", reservedConfig},
	{"2.1.2.4", "ikev2/admit.go", "unaddressed", noConfig},
	{"2.1.2.5", "ikev2/config.go", "configReply", severalRequests},
}

// TestIPv6Ready plays the tests of the specification, with the newer algorithms that
// NUT has in the place of 3DES, SHA-1 and a group of 1024 bits.
func TestIPv6Ready(t *testing.T) {
	for _, tt := range readyTests {
		t.Run(readyPrefix+tt.id, tt.play)
	}
}

// certificateTests are the ids that need a certificate, and planeTests those that esp/plane
// plays.
var (
	certificateTests = []string{"1.1.10.1", "1.1.10.2", "1.1.10.3"}
	planeTests       = []string{"1.1.3.1"}
)

// TestIPv6ReadyPage: docs/conformance.md says what is played.
func TestIPv6ReadyPage(t *testing.T) {
	const page, begin, end = "../../docs/conformance.md", "<!-- ipv6ready -->\n", "<!-- /ipv6ready -->"
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(b), begin)
	was, rest, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no %q and %q", page, begin, end)
	}
	played := len(readyTests) + len(planeTests)
	var w strings.Builder
	fmt.Fprintf(&w, "The test specification for IKEv2 of the IPv6 Ready Logo Program has %d tests of a gateway that "+
		"answers\n(`%s*`). %d are Go tests, each named by its id, over IPv6: `TestIPv6Ready` of "+
		"`ike/iketest`, and\nof `esp/plane` the one about ICMP messages. %d need certificates and are not played.\n\n",
		played+len(certificateTests), readyPrefix, played, len(certificateTests))
	w.WriteString("| part | tests | played |\n|---|---|---|\n")
	for _, part := range []struct{ prefix, name string }{
		{"1.1.", "initial exchanges"}, {"1.2.", "CREATE_CHILD_SA"}, {"1.3.", "INFORMATIONAL"},
		{"2.1.", "peers that are hosts, and configuration payloads"},
	} {
		n, missing := 0, 0
		for _, tt := range readyTests {
			n += has(tt.id, part.prefix)
		}
		for _, id := range planeTests {
			n += has(id, part.prefix)
		}
		for _, id := range certificateTests {
			missing += has(id, part.prefix)
		}
		fmt.Fprintf(&w, "| %s* %s | %d | %d |\n", part.prefix, part.name, n+missing, n)
	}
	if was == w.String() {
		return
	}
	if !*updateFlag {
		t.Fatalf("%s says otherwise (-update writes it):\n%s", page, w.String())
	}
	if err := os.WriteFile(page, []byte(head+begin+w.String()+end+rest), 0o644); err != nil {
		t.Fatal(err)
	}
}

// has is 1 where id begins with prefix.
func has(id, prefix string) int {
	if strings.HasPrefix(id, prefix) {
		return 1
	}
	return 0
}

// TestIPv6ReadyIsComplete: each id of the specification is played, or needs a certificate,
// and each rule stands where the table says.
func TestIPv6ReadyIsComplete(t *testing.T) {
	played := append(slices.Clone(planeTests), certificateTests...)
	for _, tt := range readyTests {
		if slices.Contains(played, tt.id) {
			t.Errorf("%s stands twice in the table", tt.id)
		}
		played = append(played, tt.id)
		code, err := os.ReadFile(filepath.Join("..", filepath.FromSlash(tt.file)))
		if err != nil || !bytes.Contains(code, []byte(" "+tt.by+"(")) && !bytes.Contains(code, []byte(" "+tt.by+"[")) {
			t.Errorf("%s: there is no %s in %s: %v", tt.id, tt.by, tt.file, err)
		}
	}
	n := 0
	for line := range strings.Lines(string(datatest.File(t, "ipv6ready/Phase2_IKEv2_Conformance_Latest.ids"))) {
		id, ok := strings.CutPrefix(line, readyPrefix)
		if !ok {
			continue
		}
		n++
		if id, _, _ = strings.Cut(id, ":"); !slices.Contains(played, id) {
			t.Errorf("nothing plays %s", strings.TrimSpace(line))
		}
	}
	if n != len(played) {
		t.Errorf("the specification has %d tests, %d are accounted for", n, len(played))
	}
}
