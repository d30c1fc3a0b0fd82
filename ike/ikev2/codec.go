package ikev2

import (
	"net/netip"

	"github.com/warrenvpn/warren/esp/sa"
	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/identity"
	"github.com/warrenvpn/warren/internal/record"
)

// How values that several records have are written: each function lists the
// fields of one (package record). A tag never changes its meaning; what is new
// gets the next one, in a record that keeps what it does not know: see record.go.

// maxListed bounds the lists in a record, beyond all that any of them may have.
const maxListed = 1 << 12

func transformFields(f *record.Fields, t *sa.Transform) {
	record.Number(f, 1, &t.Type)
	record.Number(f, 2, &t.ID)
	record.Number(f, 3, &t.KeyBits)
}

func proposalFields(f *record.Fields, tag record.Tag, p *sa.Proposal) {
	record.List(f, tag, (*[]sa.Transform)(p), maxListed, transformFields)
}

// selectorFields leave out the end of a selector for one address.
func selectorFields(f *record.Fields, s *sa.Selector) {
	end := s.End
	if end == s.Start {
		end = netip.Addr{}
	}
	f.Addr(1, &s.Start)
	f.Addr(2, &end)
	record.Number(f, 3, &s.Protocol)
	record.Number(f, 4, &s.StartPort)
	record.Number(f, 5, &s.EndPort)
	if !f.Reading() {
		return
	}
	f.Require(end != s.Start)
	if s.End = end; !end.IsValid() {
		s.End = s.Start
	}
	f.Require(s.IsValid())
}

func selectorsFields(f *record.Fields, tag record.Tag, list *[]sa.Selector) {
	record.List(f, tag, list, maxListed, selectorFields)
}

func addrsFields(f *record.Fields, tag record.Tag, list *[]netip.Addr) {
	record.List(f, tag, list, maxListed, func(f *record.Fields, a *netip.Addr) { f.Addr(1, a) })
}

func identityFields(f *record.Fields, tag record.Tag, id *identity.Identity) {
	f.Record(tag, func(f *record.Fields) {
		record.Number(f, 1, &id.Type)
		f.Text(2, &id.Data)
	})
}

// changeFields are a change of a child SA of the IKE SA with our SPI owner: only
// another owner is written.
func changeFields(f *record.Fields, c *sa.Change, owner uint64, u *exchange.Unknown) {
	f.Keep(&u.Change)
	ch := &c.Child
	other := ch.Owner
	if other == owner {
		other = 0
	}
	record.Number(f, 1, &c.Op)
	record.Number(f, 2, &c.Replaces)
	record.Number(f, 3, &ch.ID)
	record.Number(f, 4, &other)
	record.Number(f, 5, &ch.Slot)
	f.Record(6, func(f *record.Fields) { directionFields(f, &ch.In, &u.In) })
	f.Record(7, func(f *record.Fields) { directionFields(f, &ch.Out, &u.Out) })
	selectorsFields(f, 8, &ch.Local)
	selectorsFields(f, 9, &ch.Remote)
	f.AddrPort(10, &ch.LocalAddr)
	f.AddrPort(11, &ch.RemoteAddr)
	record.Number(f, 12, &ch.Encap)
	record.Number(f, 13, &ch.ReplayWindow)
	f.Instant(14, &ch.Expires)
	record.Number(f, 15, &ch.BytesLimit)
	if f.Reading() {
		f.Require(other != owner)
		if ch.Owner = other; other == 0 {
			ch.Owner = owner
		}
	}
	f.Require(c.Op >= sa.OpAdd && c.Op <= sa.OpFollow && ch.ID != 0)
}

func directionFields(f *record.Fields, d *sa.SA, u *record.Unknown) {
	f.Keep(u)
	record.Number(f, 1, &d.SPI)
	f.Record(2, func(f *record.Fields) { transformFields(f, &d.Encryption) })
	f.Record(3, func(f *record.Fields) { transformFields(f, &d.Integrity) })
	f.Flag(4, &d.ESN)
	f.Key(5, &d.EncryptionKey)
	f.Key(6, &d.IntegrityKey)
}

func datagramsFields(f *record.Fields, tag record.Tag, d *datagrams) {
	b := d.join()
	f.Bytes(tag, &b)
	if f.Reading() {
		var ok bool
		*d, ok = splitDatagrams(b)
		f.Require(ok)
	}
}
