package control

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// filled returns a fact of the same kind with something in every field.
func filled(fact Fact) Fact {
	out := reflect.New(reflect.TypeOf(fact).Elem())
	n := 0
	fill(out.Elem(), &n)
	return out.Interface().(Fact)
}

func fill(v reflect.Value, n *int) {
	*n++
	switch v.Interface().(type) {
	case netip.Addr:
		v.Set(reflect.ValueOf(netip.AddrFrom4([4]byte{10, 26, 10, byte(*n)})))
		return
	case netip.AddrPort:
		v.Set(reflect.ValueOf(netip.AddrPortFrom(netip.MustParseAddr("2001:db8::a1a"), uint16(*n))))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), n)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), n)
		fill(v.Index(1), n)
	case reflect.String:
		v.SetString(fmt.Sprint("text ", *n))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int64:
		v.SetInt(0x1a0a + int64(*n))
	default:
		v.SetUint(0x1a0a0a1a + uint64(*n))
	}
}

// each is a List that takes everything alike.
type each func(key string, value any)

func (f each) Text(key, v string)                    { f(key, v) }
func (f each) Number(key string, v uint64)           { f(key, v) }
func (f each) Limit(key string, v int64)             { f(key, v) }
func (f each) Flag(key string, v bool)               { f(key, v) }
func (f each) Duration(key string, v time.Duration)  { f(key, v) }
func (f each) Addr(key string, v netip.Addr)         { f(key, v) }
func (f each) AddrPort(key string, v netip.AddrPort) { f(key, v) }
func (f each) Addrs(key string, v []netip.Addr)      { f(key, v) }
func (f each) Texts(key string, v []string)          { f(key, v) }

// at is a time of which every octet has to be escaped.
var at = time.Unix(0, 0x0a1a0a1a0a1a0a1a)

// TestEventRoundTrip: what AppendEvent writes ParseEvent reads, it is one line, and no
// part of it is an event.
func TestEventRoundTrip(t *testing.T) {
	kinds := map[string]bool{}
	for _, fresh := range toldByWorkers {
		zero := fresh()
		about := zero.About()
		if about.Code == 0 || kinds[about.Kind] || reflect.TypeOf(newFact(about.Code)) != reflect.TypeOf(zero) {
			t.Errorf("%T: %+v is taken", zero, about)
		}
		kinds[about.Kind] = true
		for _, fact := range []Fact{zero, filled(zero)} {
			want := Event{Time: at, Fact: fact}
			line := AppendEvent(nil, &want)
			if i := bytes.IndexByte(line, '\n'); i != len(line)-1 || line[0] != EventMark {
				t.Errorf("%T: %q is no line", fact, line)
			}
			got, err := ParseEvent(line)
			if err != nil {
				t.Errorf("%T: %v", fact, err)
				continue
			}
			if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
				cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
				t.Errorf("%T (-want +got):\n%s", fact, diff)
			}
			for n := range line {
				if e, err := ParseEvent(line[:n]); err == nil {
					t.Errorf("%T: %d of %d octets are %+v", fact, n, len(line), e)
				}
			}
		}
	}
}

// TestEventGolden: the form of an event does not change.
func TestEventGolden(t *testing.T) {
	e := Event{Time: time.Unix(0, 0x0102030405060708), Fact: &IKEDown{
		Peer:   Peer{SA: 0x0a1b, Peer: netip.MustParseAddrPort("192.0.2.26:500"), Identity: "alice"},
		Reason: "idle\n\x1b[2J",
	}}
	const want = "1e" + "180102030405060708" + "2102" + "32" + "1a02" + "1b" + "46" + "c000021a01" + "01f4" +
		"55616c696365" + "69" + "69646c65203f5b324a" + "0a"
	if got := hex.EncodeToString(AppendEvent(nil, &e)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestEventOfNewerWorker: fields that are unknown are passed over, and a kind that is
// unknown is an error.
func TestEventOfNewerWorker(t *testing.T) {
	line := AppendEvent(nil, &Event{Time: at, Fact: &Restored{Count: 3}})
	newer := append(line[:len(line)-1:len(line)-1], 0xe3, 'n', 'e', 'w', '\n')
	if e, err := ParseEvent(newer); err != nil || e.Fact.(*Restored).Count != 3 {
		t.Errorf("a new field: %+v, %v", e, err)
	}
	unknown := []byte{EventMark, 0x18, 1, 2, 3, 4, 5, 6, 7, 8, 0x22, 0x7f, 0xff, '\n'}
	if e, err := ParseEvent(unknown); err == nil {
		t.Errorf("a new kind: %+v", e)
	}
}

// TestEventsAreBounded: however much a fact has to tell, its line can be read.
func TestEventsAreBounded(t *testing.T) {
	long := strings.Repeat("\n\x1a", MaxEvent)
	many := make([]string, 1000)
	for i := range many {
		many[i] = fmt.Sprint(i, long[:i])
	}
	addrs := make([]netip.Addr, 1000)
	for i := range addrs {
		addrs[i] = netip.AddrFrom16([16]byte{0x1a, 0x0a, 0x1a, 0x0a, 15: byte(i)})
	}
	peer := Peer{Identity: long}
	for _, fact := range []Fact{
		&ChildNarrowed{Peer: peer, LocalTS: many, RemoteTS: many, Lost: many, Detail: long},
		&PeerRefused{Identity: long, Profile: long, Reason: long, Notify: long, GroupPolicy: long, Class: long,
			Resource: long, Detail: long, Pools: many},
		&IKEUp{Peer: peer, Profile: long, Suite: long, Assigned: addrs},
	} {
		line := AppendEvent(nil, &Event{Time: at, Fact: fact})
		got, err := ParseEvent(line)
		if err != nil {
			t.Errorf("%T: %d octets: %v", fact, len(line), err)
			continue
		}
		Each(got.Fact, each(func(key string, value any) {
			if s, ok := value.(string); ok && len(s) > MaxString {
				t.Errorf("%T: %s has %d octets", fact, key, len(s))
			}
			if l, ok := value.([]string); ok && (len(l) == 0 || len(l) > maxListed) {
				t.Errorf("%T: %s has %d items", fact, key, len(l))
			}
		}))
	}
}

// FuzzParseEvent: what is an event is one in one form alone, and nothing in it is
// anything that a terminal obeys.
func FuzzParseEvent(f *testing.F) {
	for _, fresh := range toldByWorkers {
		f.Add(AppendEvent(nil, &Event{Time: at, Fact: filled(fresh())}))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := ParseEvent(line)
		if err != nil {
			return
		}
		Each(e.Fact, each(func(key string, value any) {
			if s := fmt.Sprint(value); oneLine(s, len(s)) != s {
				t.Errorf("%s is %q", key, s)
			}
		}))
		again := AppendEvent(nil, &e)
		got, err := ParseEvent(again)
		if err != nil || !bytes.Equal(AppendEvent(nil, &got), again) {
			t.Errorf("%q becomes %q", line, again)
		}
	})
}
