package ikev2

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/ike/suite"
	"github.com/warrenvpn/warren/internal/record"
	"github.com/warrenvpn/warren/internal/record/recordtest"
	"github.com/warrenvpn/warren/internal/secret"
)

// golden is an SA with something in every field.
func golden(t testing.TB) *SA {
	t.Helper()
	st, err := suite.New(sa.Proposal{
		{Type: sa.Encryption, ID: sa.EncrAESGCM16, KeyBits: 128}, {Type: sa.PRF, ID: sa.PRFHMACSHA256},
		{Type: sa.KeyExchange, ID: sa.KEX25519},
	})
	if err != nil {
		t.Fatal(err)
	}
	client, _ := identity.Parse("client@example")
	s := &SA{
		state: Established, names: names{spi: 1, peerSPI: 2, dialled: true},
		path: path{
			local: netip.MustParseAddrPort("198.51.100.1:4500"), remote: netip.MustParseAddrPort("[2001:db8::1]:4500"),
			natRemote: true, udp: true,
		},
		member: member{
			profile: "staff", entry: "any", certMap: "lab", remoteAccess: true, dpd: time.Minute,
			localID: identity.FromAddr(netip.MustParseAddr("198.51.100.1")), remoteID: client,
			session: exchange.Session{
				GroupPolicy: "staff", Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.1")}, Domain: "example",
				Banner:  "hello",
				DNS:     []netip.Addr{netip.MustParseAddr("10.0.0.53")},
				Split:   []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
				Expires: time.Unix(7, 8), Mask: 24,
				WINS:     []netip.Addr{netip.MustParseAddr("10.0.0.54")},
				SplitDNS: []string{"corp.example", "lab.example"},
				Said: &exchange.Said{GroupPolicy: "guests", Addresses: []netip.Addr{netip.MustParseAddr("fd00::1")},
					Pools: []string{"p"}, Split: []netip.Prefix{netip.MustParsePrefix("10.2.0.0/16")},
					Idle: time.Minute, Class: [][]byte{[]byte("a class")}},
			},
		},
		lifetimes: lifetimes{
			established: time.Unix(1, 2), soft: time.Unix(3, 4), hard: time.Unix(5, 6), lifetime: time.Hour,
		},
		replaces: 9,
		agreed:   newAgreements(),
		window: window{expect: 3, response: datagrams{messageOf("response")}, next: 4, iv: 5, request: &request{
			id: 3, message: datagrams{messageOf("request")}, task: task{kind: taskRekeyChild, child: 6, reason: "why"},
			seed: secret.Copy([]byte("seed")), spi: 7, group: sa.KEX25519, nonce: 8,
			terms: terms{{proposal: st.Proposal(), lifetime: time.Hour, bytes: 1 << 30}},
			local: selectors("10.0.0.0/8"), remote: selectors("10.1.0.0/16", "10.2.0.0/16"),
			crossed: &crossing{successor: 10, nonce: []byte("a nonce")},
		}},
	}
	*s.sync().synchronisation = synchronisation{ids: true, counters: true, unproven: true, seen: 9}
	find[*fragmentation](&s.agreed).agreed = true
	*find[*mobility](&s.agreed) = mobility{on: true, untold: true,
		others: []netip.Addr{netip.MustParseAddr("2001:db8::7")}}
	keys := st.DeriveKeys(&suite.Exchange{Shared: secret.Copy([]byte("shared")), Ni: []byte("ni"), Nr: []byte("nr"),
		SPIi: 2, SPIr: 1})
	if err := s.install(st, keys); err != nil {
		t.Fatal(err)
	}
	return s
}

// goldenRecords is one record of every kind.
func goldenRecords(t testing.TB) []exchange.Record {
	s := golden(t)
	direction := sa.SA{
		SPI: 0x1000, Encryption: sa.Transform{Type: sa.Encryption, ID: sa.EncrAESCBC, KeyBits: 256},
		Integrity: sa.Transform{Type: sa.Integrity, ID: sa.IntegSHA256128}, ESN: true,
		EncryptionKey: secret.Copy([]byte("encryption")), IntegrityKey: secret.Copy([]byte("integrity")),
	}
	change := sa.Change{Op: sa.OpRekey, Replaces: 11, Child: sa.Child{
		ID: 12, Owner: 1, Slot: 13, In: direction, Out: direction, Local: selectors("10.0.0.0/8"),
		Remote:    selectors("2001:db8::/32"),
		LocalAddr: s.local, RemoteAddr: s.remote, Encap: sa.EncapUDP, ReplayWindow: 1024, Expires: time.Unix(9, 10),
		BytesLimit: 14,
	}}
	h := SA{names: names{spi: 7}, state: HalfOpen}
	h.responding = &responding{
		sa: &h, transcript: transcript{request: []byte("request"), response: []byte("response")}, recorded: true,
		seed: secret.New(make([]byte, seedSize)),
		from: exchange.Datagram{Local: s.local, Remote: s.remote}, until: time.Unix(1, 0),
	}
	begun, ok := h.responding.record()
	if !ok {
		t.Fatal("no record of a handshake")
	}
	return []exchange.Record{s.record(), s.windowRecord(), s.childRecord(change),
		{Kind: exchange.RecordIKEDown, SPI: 1}, begun}
}

func TestRecordRoundTrip(t *testing.T) {
	for _, r := range goldenRecords(t) {
		b := AppendRecord(nil, r)
		got, err := ParseRecord(b)
		if err != nil {
			t.Fatalf("kind %d: %v", r.Kind, err)
		}
		if again := AppendRecord(nil, got); !bytes.Equal(b, again) {
			t.Errorf("kind %d: append of parse differs:\n% x\n% x", r.Kind, b, again)
		}
		if got.Kind != r.Kind || got.SPI != r.SPI || got.Replaces != r.Replaces {
			t.Errorf("got %v, want %v", got, r)
		}
		for n := range b {
			if _, err := ParseRecord(b[:n]); err == nil {
				t.Errorf("kind %d: prefix of %d bytes was accepted", r.Kind, n)
			}
		}
		if _, err := ParseRecord(append(b, 0)); err == nil {
			t.Errorf("kind %d: a byte left over was accepted", r.Kind)
		}
	}
}

// TestOlderRecords reads what older programs wrote.
func TestOlderRecords(t *testing.T) {
	names := []string{"", "RecordIKE", "RecordWindow", "RecordIKEDown", "RecordChild", "RecordHalfOpen"}
	var samples []recordtest.Sample
	for _, r := range goldenRecords(t) {
		samples = append(samples, recordtest.Sample{Name: names[r.Kind], Bytes: AppendRecord(nil, r)})
	}
	recordtest.Read(t, samples, func(b []byte) error { _, err := ParseRecord(b); return err })
}

// addUnknown returns the record b with a field that nobody knows.
func addUnknown(b []byte) []byte {
	more := uint64(7)
	return record.Append(bytes.Clone(b), func(f *record.Fields) { record.Number(f, 1000, &more) })
}

// TestRecordOfNewerProgram: what this program does not know stays with the SA;
// what it must not restore, and what it cannot read, it tells of by the SPI.
func TestRecordOfNewerProgram(t *testing.T) {
	records := goldenRecords(t)
	ike, window, change := records[0], records[1], records[2]
	ike.Body = secret.New(addUnknown(ike.Body.Reveal()))
	s, err := restored(ike)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.record(); !got.Body.Equal(ike.Body) {
		t.Errorf("RecordIKE is passed on as\n% x, want\n% x", got.Body.Reveal(), ike.Body.Reveal())
	}
	window.Body = secret.New(addUnknown(window.Body.Reveal()))
	if err := s.ReplayWindow(window); err != nil {
		t.Fatal(err)
	}
	if got := s.windowRecord(); !got.Body.Equal(window.Body) {
		t.Errorf("RecordWindow is passed on as\n% x, want\n% x", got.Body.Reveal(), window.Body.Reveal())
	}

	body := record.Append(nil, func(f *record.Fields) { childFields(f, &change) })
	b := record.Append(nil, (&envelope{Record: &change, body: addUnknown(body)}).fields)
	got, err := ParseRecord(b)
	if err != nil {
		t.Fatal(err)
	}
	if again := AppendRecord(nil, got); !bytes.Equal(again, b) {
		t.Errorf("RecordChild is passed on as\n% x, want\n% x", again, b)
	}
	c := child{Child: got.Child.Child, unknown: &got.Unknown}
	if r := c.record(1, *got.Child); !r.Unknown.Child.Equal(got.Unknown.Child) || r.Unknown.Child.Len() == 0 {
		t.Error("the record of the child SA has lost what is unknown")
	}

	for name, e := range map[string]envelope{
		"needs a newer program": {Record: &ike, needs: recordVersion + 1, body: ike.Body.Reveal()},
		"of a new kind":         {Record: &exchange.Record{Kind: 99, SPI: ike.SPI}},
		"malformed body":        {Record: &ike, body: []byte{0}},
		"malformed child":       {Record: &change, body: []byte{0}},
	} {
		if r, err := ParseRecord(record.Append(nil, e.fields)); err == nil || r.SPI != e.SPI || r.Kind != 0 {
			t.Errorf("%s: got %+v, %v", name, r, err)
		}
	}
	if r, err := ParseRecord([]byte{0}); err == nil || r.SPI != 0 {
		t.Errorf("no record at all: got %+v, %v", r, err)
	}
}

// restored is the SA of a RecordIKE.
func restored(r exchange.Record) (*SA, error) {
	return new(Version).restored(r)
}

func TestRestoreGivesTheSameRecord(t *testing.T) {
	s := golden(t)
	want := s.record()
	got, err := restored(want)
	if err != nil {
		t.Fatal(err)
	}
	got.replaces = s.replaces
	if !bytes.Equal(AppendRecord(nil, want), AppendRecord(nil, got.record())) {
		t.Error("record of the restored SA differs")
	}
}

func TestRecordsDoNotPrintKeys(t *testing.T) {
	s := golden(t)
	r := s.record()
	for _, k := range []secret.Value{s.keys.D, s.keys.Ei, r.Body} {
		if text := []byte(fmt.Sprintf("%v %+v %#v", r, r, r)); bytes.Contains(text, k.Reveal()) {
			t.Error("a record prints its keys")
		}
	}
}

func FuzzParseRecord(f *testing.F) {
	for _, r := range goldenRecords(f) {
		f.Add(AppendRecord(nil, r))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRecord(b)
		if err != nil {
			return
		}
		again, err := ParseRecord(AppendRecord(nil, r))
		if err != nil || again.Kind != r.Kind || again.SPI != r.SPI {
			t.Errorf("accepted, but not its own Append: %v", err)
		}
	})
}

// TestShift: every instant of a record moves, nothing else does, and those that
// are not set stay so.
func TestShift(t *testing.T) {
	const d = 9*time.Hour + 5
	for _, r := range goldenRecords(t) {
		b := AppendRecord(nil, r)
		moved := ShiftRecord(r, d)
		if !bytes.Equal(b, AppendRecord(nil, r)) {
			t.Errorf("kind %d: the record itself was changed", r.Kind)
		}
		if moved.Kind != exchange.RecordWindow && moved.Kind != exchange.RecordIKEDown &&
			bytes.Equal(b, AppendRecord(nil, moved)) {
			t.Errorf("kind %d: nothing was moved", r.Kind)
		}
		if !bytes.Equal(b, AppendRecord(nil, ShiftRecord(moved, -d))) {
			t.Errorf("kind %d: forth and back differs", r.Kind)
		}
	}
	s := golden(t)
	s.soft, s.session.Expires = time.Time{}, time.Time{}
	got, err := restored(ShiftRecord(s.record(), d))
	if err != nil {
		t.Fatal(err)
	}
	if !got.soft.IsZero() || !got.session.Expires.IsZero() || !got.hard.Equal(s.hard.Add(d)) ||
		!got.established.Equal(s.established.Add(d)) {
		t.Errorf("soft %v, hard %v, expires %v", got.soft, got.hard, got.session.Expires)
	}
}

// TestChildRecordFitsItsRoom: the largest record of a child SA is written without memory
// that grows, which would leave its keys behind.
func TestChildRecordFitsItsRoom(t *testing.T) {
	addr := netip.MustParseAddr("2001:db8:ffff:ffff:ffff:ffff:ffff:fff0")
	outer, key := netip.AddrPortFrom(addr, 65535), secret.Copy(bytes.Repeat([]byte{255}, 64))
	half := sa.SA{SPI: 1<<32 - 1, ESN: true, EncryptionKey: key, IntegrityKey: key,
		Encryption: sa.Transform{Type: 255, ID: 65535, KeyBits: 65535},
		Integrity:  sa.Transform{Type: 255, ID: 65535, KeyBits: 65535}}
	var list []sa.Selector
	for range maxSelectors {
		list = append(list, sa.Selector{Start: addr, End: addr.Next(), Protocol: 255, StartPort: 65534, EndPort: 65535})
	}
	at, most := time.Unix(1<<40, 999999999), ^uint64(0)
	r := exchange.Record{Kind: exchange.RecordChild, SPI: most, Soft: at, Group: 65535, Anew: true, Child: &sa.Change{
		Op: sa.OpFollow, Replaces: most,
		Child: sa.Child{ID: most, Owner: most - 1, Slot: 1<<32 - 1, In: half, Out: half,
			LocalAddr: outer, RemoteAddr: outer, Encap: sa.EncapUDP, ReplayWindow: 1<<32 - 1,
			Expires: at, BytesLimit: most},
	}}
	for _, n := range []int{0, maxSelectors} {
		r.Child.Child.Local, r.Child.Child.Remote = list[:n], list[:n]
		body := record.Append(nil, func(f *record.Fields) { childFields(f, &r) })
		if room := childRoom + 2*n*selectorRoom; len(body) > room {
			t.Errorf("%d selectors: %d octets, room for %d", 2*n, len(body), room)
		}
		if b := AppendRecord(nil, r); len(b) > len(body)+recordRoom {
			t.Errorf("%d selectors: %d octets beside the body, room for %d", 2*n, len(b)-len(body), recordRoom)
		}
	}
}
