package ikev2

import (
	"reflect"
	"testing"
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/internal/record"
)

// What becomes of each field of an SA when it is rekeyed. A new field needs a line
// here.
const (
	inherited = "the successor has it, too"
	anew      = "the successor begins with nothing"
	itsOwn    = "the successor gets its own"
)

// fate is what becomes of the fields of SA, by name.
var fate = map[string]string{
	"host": inherited, "index": anew,
	"state": itsOwn, "initiator": itsOwn, "dialled": inherited, "spi": itsOwn, "peerSPI": itsOwn,
	"local": inherited, "remote": inherited, "natLocal": inherited, "natRemote": inherited, "udp": inherited,
	"suite": anew, "keys": anew, "sealer": anew, "opener": anew, // until it is derived
	"profile": inherited, "entry": inherited, "certMap": inherited, "remoteAccess": inherited, "dpd": inherited,
	"localID": inherited, "remoteID": inherited, "user": inherited, "session": inherited,
	"established": anew, "soft": anew, "hard": anew, "lifetime": anew, // until it is handed over
	"window": anew, "agreed": itsOwn, "tasks": anew, "children": anew, "quotas": inherited,
	"predecessor": anew, "contends": anew,
	"initiating": anew, "responding": anew, "asker": anew, "heard": anew, "proven": anew,
	"garbled": anew, "forged": anew, "excess": anew, "partial": anew,
	"keepaliveAt": anew, "endAt": anew, "endReason": anew, "retires": anew,
	"served": inherited, "wasReplaced": anew, "tired": anew, "failure": anew, "refused": anew,
	"changes": anew, "fresh": anew, "dirty": anew, "replaces": anew, "recorded": anew, "unknown": anew,
	"envelope": anew,
}

// full is an SA in which no field is zero.
func full(t *testing.T) *SA {
	t.Helper()
	s := golden(t)
	now := time.Unix(100, 0)
	s.host, s.index.Timer, s.initiator, s.natLocal, s.user = &Version{}, 1, true, true, "alice"
	s.quotas.creates.take(now, createsRate, 1)
	s.tasks, s.children, s.predecessor = []task{{kind: taskLiveness}}, []*child{{}}, &SA{}
	s.initiating, s.responding, s.asker = &initiating{}, &responding{}, &exchange.Datagram{Local: s.local}
	s.partial[0] = &partial{}
	s.heard, s.keepaliveAt, s.endAt, s.retires = now, now, now, &retirement{}
	s.proven, s.garbled, s.forged, s.excess, s.endReason, s.failure = true, 1, 1, 1, "end", "failed"
	s.served, s.wasReplaced, s.tired, s.refused, s.contends = true, true, true, 1, 7
	s.changes, s.fresh, s.dirty, s.recorded = []exchange.Record{{}}, true, true, true
	newer := record.Append(nil, func(f *record.Fields) { f.Flag(1, &s.fresh) })
	if err := record.Parse(newer, func(f *record.Fields) { f.Keep(&s.unknown) }); err != nil {
		t.Fatal(err)
	}
	s.envelope = s.unknown
	return s
}

// TestSuccessorFieldByField compares an SA with the one that follows it: every
// field is inherited, is not, or is one that a successor has of its own.
func TestSuccessorFieldByField(t *testing.T) {
	s := full(t)
	n := (&rekeying{sa: s}).successor(false, 100, 200)
	if seen := compareFields(t, reflect.ValueOf(s).Elem(), reflect.ValueOf(n).Elem()); seen != len(fate) {
		t.Errorf("fate has %d fields, the SA %d", len(fate), seen)
	}
	if n.state != Established || n.initiator || n.spi != 100 || n.peerSPI != 200 {
		t.Errorf("state %v, initiator %v, SPIs %d and %d", n.state, n.initiator, n.spi, n.peerSPI)
	}
}

// compareFields compares the fields of an SA, or of a part of it, and returns how
// many there are.
func compareFields(t *testing.T, old, successor reflect.Value) int {
	t.Helper()
	seen := 0
	for i := range old.NumField() {
		field := old.Type().Field(i)
		if field.Anonymous {
			seen += compareFields(t, old.Field(i), successor.Field(i))
			continue
		}
		if old.Field(i).IsZero() {
			t.Errorf("%s: the SA of this test has nothing there", field.Name)
		}
		what, known := fate[field.Name]
		same := equal(old.Field(i), successor.Field(i))
		switch {
		case !known:
			t.Errorf("%s: say in fate what becomes of it", field.Name)
			continue
		case what == inherited && !same:
			t.Errorf("%s: the successor has not inherited it", field.Name)
		case what == anew && !successor.Field(i).IsZero():
			t.Errorf("%s: the successor has something", field.Name)
		}
		seen++
	}
	return seen
}

// equal compares fields, which are not exported.
func equal(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.Pointer:
		return a.Pointer() == b.Pointer()
	case reflect.Slice, reflect.Array:
		same := a.Len() == b.Len()
		for i := 0; same && i < a.Len(); i++ {
			same = equal(a.Index(i), b.Index(i))
		}
		return same
	case reflect.Struct:
		for i := range a.NumField() {
			if !equal(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	}
	return a.Equal(b)
}

// TestAgreementsAreRecordedAndInherited: what a record and a successor have of each
// agreement is what the SA has, as far as it is recorded.
func TestAgreementsAreRecordedAndInherited(t *testing.T) {
	s := full(t)
	fields := record.Append(nil, s.agreed.fields)
	read := newAgreements()
	if err := record.Parse(fields, read.fields); err != nil {
		t.Fatal(err)
	}
	last := record.Tag(0)
	for i, a := range s.agreed.list {
		if a.Tag() <= last {
			t.Errorf("%s: tag %d after %d", extensions[i].Name, a.Tag(), last)
		}
		last = a.Tag()
		if record.Find(fields, a.Tag()) == nil {
			t.Errorf("%s: full has nothing of it: give it something", extensions[i].Name)
		}
		if n := a.Inherit(); n == a || reflect.TypeOf(n) != reflect.TypeOf(a) {
			t.Errorf("%s: the successor shares it, or has another one", extensions[i].Name)
		}
		if !reflect.DeepEqual(read.list[i], a) {
			t.Errorf("%s: read %+v, want %+v", extensions[i].Name, read.list[i], a)
		}
	}
	y := s.agreed.list[0].Inherit().(*synchronisation)
	if !y.ids || !y.counters || y.unproven || y.seen != 0 {
		t.Errorf("RFC 6311: the successor has %+v", y)
	}
}
