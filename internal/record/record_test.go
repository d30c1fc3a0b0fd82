package record

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/secret"
)

// sample has a field of every kind.
type sample struct {
	unknown  Unknown
	small    uint8
	large    uint64
	flag     bool
	bytes    []byte
	text     string
	key      secret.Value
	at       time.Time
	age      time.Duration
	addr     netip.Addr
	port     netip.AddrPort
	prefix   netip.Prefix
	fixed    [4]byte
	nested   inner
	optional *inner
	list     []inner
	far      uint16
	part     []byte
	items    [][]byte
}

// inner is a record within a record.
type inner struct {
	unknown Unknown
	n       uint16
}

func (i *inner) fields(f *Fields) {
	f.Keep(&i.unknown)
	Number(f, 1, &i.n)
}

func (s *sample) fields(f *Fields) {
	f.Keep(&s.unknown)
	Number(f, 1, &s.small)
	Number(f, 2, &s.large)
	f.Flag(3, &s.flag)
	f.Bytes(4, &s.bytes)
	f.Text(5, &s.text)
	f.Key(6, &s.key)
	f.Instant(7, &s.at)
	f.Duration(8, &s.age)
	f.Addr(9, &s.addr)
	f.AddrPort(10, &s.port)
	f.Prefix(11, &s.prefix)
	f.Fixed(12, s.fixed[:])
	f.Record(14, s.nested.fields)
	Optional(f, 15, &s.optional, func(f *Fields, v *inner) { v.fields(f) })
	List(f, 16, &s.list, 3, func(f *Fields, v *inner) { v.fields(f) })
	Number(f, 300, &s.far)
	f.Part(301, &s.part)
	f.Items(302, &s.items, 3)
}

func full() *sample {
	return &sample{
		small: 1, large: 0x123456789a, flag: true, bytes: []byte{0, 1}, text: strings.Repeat("t", 200),
		key: secret.Copy([]byte("key")), at: time.Unix(1, 2).UTC(), age: time.Minute,
		addr: netip.MustParseAddr("2001:db8::1"),
		port: netip.MustParseAddrPort("192.0.2.1:500"), prefix: netip.MustParsePrefix("10.0.0.0/8"),
		fixed:  [4]byte{0, 0, 7},
		nested: inner{n: 5}, optional: &inner{}, list: []inner{{n: 6}, {}}, far: 7, part: []byte("part"),
		items: [][]byte{[]byte("item"), {}},
	}
}

// parse reads b; nil where it is malformed.
func parse(b []byte) *sample {
	s := new(sample)
	if Parse(b, s.fields) != nil {
		return nil
	}
	return s
}

// TestForm pins the octets of each kind of field.
func TestForm(t *testing.T) {
	for _, c := range []struct {
		name string
		in   sample
		want string
	}{
		{"nothing", sample{}, ""},
		{"number of one octet", sample{small: 1}, "11 01"},
		{"number of five octets", sample{large: 0x123456789a}, "25 123456789a"},
		{"flag", sample{flag: true}, "30"},
		{"octets", sample{bytes: []byte{0, 1}}, "42 0001"},
		{"text of 14", sample{text: "abcdefghijklmn"}, "5e 6162636465666768696a6b6c6d6e"},
		{"text of 15", sample{text: "abcdefghijklmno"}, "5f00 6162636465666768696a6b6c6d6e6f"},
		{"key", sample{key: secret.Copy([]byte{9})}, "61 09"},
		{"instant", sample{at: time.Unix(1, 2)}, "78 000000003b9aca02"},
		{"instant 1970", sample{at: time.Unix(0, 0)}, "78 0000000000000000"},
		{"duration", sample{age: time.Microsecond}, "82 03e8"},
		{"address", sample{addr: netip.MustParseAddr("192.0.2.1")}, "94 c0000201"},
		{"address and port", sample{port: netip.MustParseAddrPort("192.0.2.1:500")}, "a6 c0000201 01f4"},
		{"prefix", sample{prefix: netip.MustParsePrefix("10.0.0.0/8")}, "b5 0a000000 08"},
		{"fixed", sample{fixed: [4]byte{0, 0, 7}}, "c4 00000700"},
		{"record", sample{nested: inner{n: 5}}, "e2 1105"},
		{"optional, empty", sample{optional: &inner{}}, "f000"},
		{"list", sample{list: []inner{{n: 6}, {}}}, "f401 02 1106 00"},
		{"part", sample{part: []byte{9}}, "f19e02 09"},
		{"items", sample{items: [][]byte{{9}, {}}}, "f39f02 01 09 00"},
		{"far tag", sample{far: 7}, "f19d02 07"},
	} {
		want, _ := hex.DecodeString(strings.ReplaceAll(c.want, " ", ""))
		got := Append(nil, c.in.fields)
		if !bytes.Equal(got, want) {
			t.Errorf("%s: got %x, want %x", c.name, got, want)
		}
		if s := parse(got); s == nil || !bytes.Equal(Append(nil, s.fields), want) {
			t.Errorf("%s: not read", c.name)
		}
	}
}

func TestMalformed(t *testing.T) {
	for name, in := range map[string]string{
		"tag 0":                        "00",
		"value cut":                    "1201",
		"length cut":                   "5f",
		"length beyond the input":      "5f80808080808080808001",
		"length, long form":            "5f8000",
		"tag cut":                      "f0",
		"tag beyond the highest":       "f08080808010",
		"tag, long form":               "f08000",
		"tags descend":                 "2105 1101",
		"tag twice":                    "1101 1101",
		"unknown tag twice":            "d0 d0",
		"number empty":                 "10",
		"number with a zero octet":     "120001",
		"number too large":             "120101",
		"number of nine octets":        "29010203040506070809",
		"flag with a value":            "3101",
		"octets empty":                 "40",
		"text empty":                   "50",
		"key empty":                    "60",
		"instant of seven octets":      "7700000000000001",
		"duration negative":            "88ffffffffffffffff",
		"address of five octets":       "950102030405",
		"address and port of five":     "a50102030405",
		"address and port of two":      "a20102",
		"prefix of 33 bits":            "b50a00000021",
		"prefix of one octet":          "b120",
		"fixed, too short":             "c3000007",
		"fixed, zero":                  "c400000000",
		"record empty":                 "e0",
		"record malformed":             "e110",
		"optional malformed":           "f10010",
		"list empty":                   "f001",
		"list, item cut":               "f20102 11",
		"list, item malformed":         "f2010110",
		"list of four":                 "f40100000000",
		"items empty":                  "f09f02",
		"items, one cut":               "f29f020209",
		"items, four":                  "f49f0200000000",
		"unknown field malformed last": "11 01 d2 01",
	} {
		b, err := hex.DecodeString(strings.ReplaceAll(in, " ", ""))
		if err != nil {
			t.Fatal(name, err)
		}
		if parse(b) != nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestCut: what is left of a record that was cut within a field is malformed.
func TestCut(t *testing.T) {
	b := Append(nil, full().fields)
	ends := map[int]bool{}
	for rest := b; len(rest) > 0; {
		ends[len(b)-len(rest)] = true
		_, _, rest, _ = split(rest)
	}
	for n := range b {
		if got := parse(b[:n]); (got != nil) != ends[n] {
			t.Errorf("prefix of %d: accepted %v, want %v", n, got != nil, ends[n])
		}
	}
}

// TestUnknownIsPassedOn: a program of two versions ago reads what this one
// writes, changes what it knows, and loses nothing.
func TestUnknownIsPassedOn(t *testing.T) {
	type old struct {
		unknown Unknown
		small   uint8
		text    string
		nested  inner
	}
	var o old
	fields := func(f *Fields) {
		f.Keep(&o.unknown)
		Number(f, 1, &o.small)
		f.Text(5, &o.text)
		f.Record(14, func(f *Fields) { f.Keep(&o.nested.unknown) })
	}
	b := Append(nil, full().fields)
	if err := Parse(b, fields); err != nil {
		t.Fatal(err)
	}
	if got := Append(nil, fields); !bytes.Equal(got, b) {
		t.Errorf("passed on as % x, want % x", got, b)
	}
	o.small, o.text = 2, ""
	s := parse(Append(nil, fields))
	if s == nil || s.small != 2 || s.text != "" || s.large != 0x123456789a || s.far != 7 || s.nested.n != 5 ||
		len(s.list) != 2 {
		t.Errorf("after a change: %+v", s)
	}
	if text := fmt.Sprintf("%v %+v %#v", o, o, o); strings.Contains(text, "key") {
		t.Errorf("unknown fields are printed: %s", text)
	}
	if o.unknown.Secret().Clear(); o.unknown.Len() != 0 {
		t.Error("unknown fields are there after Clear")
	}
}

// TestPassedOver: without Keep unknown fields are no error, and gone.
func TestPassedOver(t *testing.T) {
	var n uint8
	fields := func(f *Fields) { Number(f, 1, &n) }
	if err := Parse([]byte{0x11, 5, 0xd1, 1}, fields); err != nil {
		t.Fatal(err)
	}
	if got := Append(nil, fields); !bytes.Equal(got, []byte{0x11, 5}) {
		t.Errorf("got % x", got)
	}
}

func TestShiftInstant(t *testing.T) {
	s := full()
	b := Append(nil, s.fields)
	ShiftInstant(b, 7, time.Hour)
	ShiftInstant(b, 13, time.Hour) // there is none
	s.at = s.at.Add(time.Hour)
	if want := Append(nil, s.fields); !bytes.Equal(b, want) {
		t.Errorf("got % x, want % x", b, want)
	}
	if Find([]byte{0xff}, 1) != nil || Find(nil, 1) != nil {
		t.Error("something was found in nothing")
	}
}

// TestAllocations: hostile lengths allocate nothing, and lists no more than they
// may have.
func TestAllocations(t *testing.T) {
	lies := append([]byte{0x4f, 0xff, 0xff, 0xff, 0x7f}, make([]byte, 10)...)
	got := testing.AllocsPerRun(100, func() {
		var s sample
		if Parse(lies, s.fields) == nil {
			t.Fatal("accepted")
		}
	})
	if got > 4 { // the sample, its list of fields
		t.Errorf("%v allocations", got)
	}
}

// TestAppendAllocates: a record that has room is written without more memory than
// the pass itself takes.
func TestAppendAllocates(t *testing.T) {
	s, room := full(), make([]byte, 0, 1024)
	fields := s.fields
	if got := testing.AllocsPerRun(100, func() { Append(room, fields) }); got > 2 {
		t.Errorf("%v allocations", got)
	}
}

func TestVersions(t *testing.T) {
	for _, c := range []struct {
		a, b Versions
		want uint8
		ok   bool
	}{
		{Versions{1, 1}, Versions{1, 1}, 1, true},
		{Versions{1, 2}, Versions{2, 3}, 2, true},
		{Versions{1, 3}, Versions{1, 2}, 2, true},
		{Versions{1, 2}, Versions{3, 4}, 2, false},
		{Versions{3, 4}, Versions{1, 2}, 2, false},
	} {
		if got, ok := c.a.Common(c.b); got != c.want || ok != c.ok {
			t.Errorf("%v and %v: got %d, %v, want %d, %v", c.a, c.b, got, ok, c.want, c.ok)
		}
	}
	if got := (Versions{2, 3}).String() + ", " + (Versions{2, 2}).String(); got != "2 to 3, 2" {
		t.Errorf("got %q", got)
	}
	for _, v := range []Versions{{}, {0, 1}, {2, 1}} {
		var got Versions
		if v.IsValid() || Parse(Append(nil, v.Fields), got.Fields) == nil {
			t.Errorf("%v is accepted", v)
		}
	}
}

// TestListOutOfOrder: a list of fields that could not be read again is a mistake
// in the program.
func TestListOutOfOrder(t *testing.T) {
	var n uint8
	var u Unknown
	for name, fields := range map[string]func(*Fields){
		"tag twice":        func(f *Fields) { Number(f, 2, &n); Number(f, 2, &n) },
		"tags descend":     func(f *Fields) { Number(f, 2, &n); Number(f, 1, &n) },
		"tag 0":            func(f *Fields) { Number(f, 0, &n) },
		"tag too high":     func(f *Fields) { Number(f, MaxTag+1, &n) },
		"Keep behind them": func(f *Fields) { Number(f, 2, &n); f.Keep(&u) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			Append(nil, fields)
		}()
	}
}

func FuzzParse(f *testing.F) {
	f.Add(Append(nil, full().fields))
	f.Add(Append(nil, (&sample{}).fields))
	f.Add([]byte{0x11, 5, 0xd1, 1, 0xf1, 0xff, 0x03, 9})
	f.Fuzz(func(t *testing.T, b []byte) {
		s := parse(b)
		if s == nil {
			return
		}
		if again := Append(nil, s.fields); !bytes.Equal(again, b) {
			t.Errorf("parsed % x, appended % x", b, again)
		}
	})
}
