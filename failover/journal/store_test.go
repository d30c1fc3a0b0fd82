package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/internal/record/recordtest"
)

// contents opens a copy of mem and returns its records as text.
func contents(t *testing.T, mem []byte) []string {
	t.Helper()
	s, err := Open(bytes.Clone(mem))
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return records(t, s)
}

func records(t *testing.T, s *Store) []string {
	t.Helper()
	got := []string{}
	if err := s.Replay(func(p []byte) error { got = append(got, string(p)); return nil }); err != nil {
		t.Fatalf("Replay: %v", err)
	}
	return got
}

func mustOpen(t *testing.T, mem []byte) *Store {
	t.Helper()
	s, err := Open(mem)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return s
}

func mustAppend(t *testing.T, s *Store, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if _, err := s.Append([]byte(text)); err != nil {
			t.Fatalf("Append(%q): %v", text, err)
		}
	}
}

func entries(texts ...string) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for _, text := range texts {
			if !yield([]byte(text)) {
				return
			}
		}
	}
}

func TestStoreLife(t *testing.T) {
	mem := make([]byte, 8192)
	s := mustOpen(t, mem)
	mustAppend(t, s, "one", "two", "three")
	s.SetStream(StreamID{1, 2})

	s = mustOpen(t, mem) // the successor
	if diff := cmp.Diff([]string{"one", "two", "three"}, records(t, s)); diff != "" {
		t.Errorf("after the first life (-want +got):\n%s", diff)
	}
	if s.Next() != 4 || s.Stream() != (StreamID{1, 2}) || s.Torn() {
		t.Errorf("got next %d, stream %v, torn %v", s.Next(), s.Stream(), s.Torn())
	}
	for life := range 5 {
		if err := s.Compact(entries("sum", "total")); err != nil {
			t.Fatal(err)
		}
		mustAppend(t, s, fmt.Sprint("four-", life))
		s = mustOpen(t, mem)
		if diff := cmp.Diff([]string{"sum", "total", fmt.Sprint("four-", life)}, records(t, s)); diff != "" {
			t.Errorf("life %d (-want +got):\n%s", life, diff)
		}
		if want := Position(5 + life); s.Next() != want || s.Stream() != (StreamID{1, 2}) {
			t.Errorf("life %d: next %d, want %d; stream %v", life, s.Next(), want, s.Stream())
		}
	}
}

func TestStoreFull(t *testing.T) {
	mem := make([]byte, MinMemory)
	s := mustOpen(t, mem)
	big := bytes.Repeat([]byte{'x'}, 500)
	n := 0
	for {
		_, err := s.Append(big)
		if errors.Is(err, ErrFull) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 3 {
		t.Errorf("%d records of 516 bytes fit into half of %d", n, MinMemory)
	}
	before := contents(t, mem)
	err := s.Compact(entries(string(big), string(big), string(big), string(big)))
	if !errors.Is(err, ErrFull) {
		t.Errorf("Compact: got %v, want %v", err, ErrFull)
	}
	if diff := cmp.Diff(before, contents(t, mem)); diff != "" {
		t.Errorf("a Compact that does not fit changed something (-want +got):\n%s", diff)
	}
	if err := s.Compact(entries("small")); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, "goes on")
	if diff := cmp.Diff([]string{"small", "goes on"}, contents(t, mem)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestStoreRefuses(t *testing.T) {
	s := mustOpen(t, make([]byte, MinMemory))
	for name, payload := range map[string][]byte{"empty": nil, "large": make([]byte, MaxRecord+1)} {
		if _, err := s.Append(payload); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: Append: got %v, want %v", name, err, ErrTooLarge)
		}
		if err := s.Compact(entries(string(payload))); !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: Compact: got %v, want %v", name, err, ErrTooLarge)
		}
	}
	if _, err := Open(make([]byte, MinMemory-1)); !errors.Is(err, ErrTooSmall) {
		t.Errorf("small memory: got %v", err)
	}
	if _, err := Open(bytes.Repeat([]byte{7}, MinMemory)); !errors.Is(err, ErrFormat) {
		t.Errorf("foreign memory: got %v", err)
	}
}

func TestStoreOtherVersion(t *testing.T) {
	mem := make([]byte, MinMemory)
	s := mustOpen(t, mem)
	mustAppend(t, s, "from the future")
	at := int(s.slot.generation%2) * slotSize
	for v := uint16(slotOldest - 1); v <= slotNewest+1; v++ {
		want := ErrVersion
		if v >= slotOldest && v <= slotNewest {
			want = nil
		}
		binary.BigEndian.PutUint16(mem[at+4:], v)
		binary.BigEndian.PutUint32(mem[at+64:], crc32.Checksum(mem[at:at+64], castagnoli))
		if _, err := Open(mem); !errors.Is(err, want) {
			t.Errorf("version %d: got %v, want %v", v, err, want)
		}
	}
}

// TestOlderMemory opens what older programs left.
func TestOlderMemory(t *testing.T) {
	mem := make([]byte, MinMemory)
	s := mustOpen(t, mem)
	mustAppend(t, s, "one", "two")
	s.SetStream(StreamID{1, 2})
	for range 2 {
		if err := s.Compact(entries("sum", "total")); err != nil {
			t.Fatal(err)
		}
	}
	mustAppend(t, s, "three")
	image := recordtest.Sample{Name: "journal", Bytes: bytes.TrimRight(mem, "\x00")}
	recordtest.Memory(t, []recordtest.Sample{image}, func(b []byte) error {
		s, err := Open(slices.Concat(b, make([]byte, MinMemory-len(b))))
		if err != nil {
			return err
		}
		if got := records(t, s); !slices.Equal(got, []string{"sum", "total", "three"}) || s.Torn() ||
			s.Next() != 4 || s.Stream() != (StreamID{1, 2}) {
			return fmt.Errorf("it holds %q, next is %d, stream %v, torn %v", got, s.Next(), s.Stream(), s.Torn())
		}
		_, err = s.Append([]byte("four"))
		return errors.Join(err, s.Compact(entries("five")))
	})
}

// TestAppendKilledAnywhere applies the bytes that an Append changes one by one
// in address order, in reverse and in random order: after each the journal is
// the old one or the new one.
func TestAppendKilledAnywhere(t *testing.T) {
	mem := make([]byte, MinMemory)
	s := mustOpen(t, mem)
	want := []string{}
	for i := range 12 {
		before := bytes.Clone(mem)
		text := fmt.Sprintf("record %d %s", i, bytes.Repeat([]byte{'a'}, i*3))
		mustAppend(t, s, text)
		for _, order := range orders(changed(before, mem)) {
			torn := bytes.Clone(before)
			for _, at := range order {
				checkEither(t, torn, want, append(slices.Clone(want), text))
				torn[at] = mem[at]
			}
			checkEither(t, torn, append(slices.Clone(want), text), nil)
		}
		want = append(want, text)
	}
}

// TestCompactKilledAnywhere does the same with a Compact, whose phases are
// records, slot, wiping.
func TestCompactKilledAnywhere(t *testing.T) {
	mem := make([]byte, MinMemory)
	s := mustOpen(t, mem)
	old := []string{}
	for i := range 6 {
		mustAppend(t, s, "more", fmt.Sprint("and more ", i))
		old = append(old, "more", fmt.Sprint("and more ", i))
		fresh := []string{"snapshot", fmt.Sprint("of round ", i)}
		before := bytes.Clone(mem)
		area := s.idleArea()
		if err := s.Compact(entries(fresh...)); err != nil {
			t.Fatal(err)
		}
		var phases [3][]int
		for _, at := range changed(before, mem) {
			switch {
			case at < recordsOff:
				phases[1] = append(phases[1], at)
			case at >= area.offset && at < area.offset+area.length:
				phases[0] = append(phases[0], at)
			default:
				phases[2] = append(phases[2], at)
			}
		}
		torn := bytes.Clone(before)
		for p, phase := range phases {
			reordered := orders(phase)
			for _, order := range reordered {
				dirty := bytes.Clone(torn)
				for _, at := range order {
					if p == 2 {
						checkEither(t, dirty, fresh, nil)
					} else {
						checkEither(t, dirty, old, fresh)
					}
					dirty[at] = mem[at]
				}
			}
			for _, at := range phase {
				torn[at] = mem[at]
			}
		}
		checkEither(t, torn, fresh, nil)
		old = fresh
	}
}

// TestOpenKilledAnywhere: the same with the first Open of fresh memory.
func TestOpenKilledAnywhere(t *testing.T) {
	fresh := make([]byte, MinMemory)
	mem := bytes.Clone(fresh)
	mustOpen(t, mem)
	for _, order := range orders(changed(fresh, mem)) {
		torn := bytes.Clone(fresh)
		for _, at := range order {
			checkEither(t, torn, []string{}, nil)
			torn[at] = mem[at]
		}
	}
}

// TestDamage cuts the memory off, and flips bits, at every byte: Open finds a
// prefix of the records, and goes on from there.
func TestDamage(t *testing.T) {
	mem := make([]byte, MinMemory)
	s := mustOpen(t, mem)
	mustAppend(t, s, "gone")
	if err := s.Compact(entries("first", "second")); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, s, "third", "fourth", "fifth", "sixth")
	want := contents(t, mem)
	cuts := 0
	check := func(what string, at int, damaged []byte) {
		t.Helper()
		s, err := Open(damaged)
		if err != nil {
			if at >= recordsOff && !errors.Is(err, ErrTooSmall) {
				t.Errorf("%s at %d: %v", what, at, err)
			}
			return
		}
		got := records(t, s)
		if len(got) > len(want) || !cmp.Equal(want[:len(got)], got) {
			t.Fatalf("%s at %d: got %q", what, at, got)
		}
		if len(got) < len(want) {
			cuts++
		}
		if _, err := s.Append([]byte("after")); err != nil {
			return // the cut left no room
		}
		if again := contents(t, damaged); !cmp.Equal(append(got, "after"), again) {
			t.Fatalf("%s at %d: then after an append got %q", what, at, again)
		}
	}
	for at := range mem {
		flipped := bytes.Clone(mem)
		flipped[at] ^= 0x41
		check("flip", at, flipped)
	}
	grown := make([]byte, 4*MinMemory)
	copy(grown, mem)
	check("growth", recordsOff, grown)
	s = mustOpen(t, grown)
	for _, cut := range []int{s.end - 1, s.end - 9, s.end - 22, s.end - 44, s.slot.offset + 5, s.slot.offset} {
		short := bytes.Clone(mem)
		clear(short[cut:])
		check("cut", cut, short)
	}
	if cuts < 50 {
		t.Errorf("only %d cases lost records: the test tests nothing", cuts)
	}
}

// TestTruncatedFile: the memory file itself has become shorter.
func TestTruncatedFile(t *testing.T) {
	mem := make([]byte, 4*MinMemory)
	s := mustOpen(t, mem)
	var want []string
	for i := 0; ; i++ {
		text := fmt.Sprint("record ", i)
		if _, err := s.Append([]byte(text)); err != nil {
			break
		}
		want = append(want, text)
	}
	for n := MinMemory; n <= len(mem); n++ {
		s := mustOpen(t, bytes.Clone(mem[:n]))
		if got := records(t, s); len(got) > len(want) || !slices.Equal(want[:len(got)], got) {
			t.Fatalf("cut to %d bytes: not a prefix: %d records", n, len(got))
		} else if n < s.slot.offset+s.slot.length && len(got)*40 < n-recordsOff-80 {
			t.Fatalf("cut to %d bytes: only %d records", n, len(got))
		}
	}
}

func TestGrownFileIsUsed(t *testing.T) {
	mem := make([]byte, MinMemory)
	mustAppend(t, mustOpen(t, mem), "kept")
	grown := make([]byte, 16*MinMemory)
	copy(grown, mem)
	s := mustOpen(t, grown)
	for range 2 {
		if err := s.Compact(entries("kept")); err != nil {
			t.Fatal(err)
		}
	}
	if _, limit := s.Used(); limit < 7*MinMemory {
		t.Errorf("after two rounds the limit is %d", limit)
	}
	if diff := cmp.Diff([]string{"kept"}, contents(t, grown)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestNothingIsLeft looks for a record that Compact dropped.
func TestNothingIsLeft(t *testing.T) {
	mem := make([]byte, MinMemory)
	s := mustOpen(t, mem)
	mustAppend(t, s, "the key of yesterday")
	if err := s.Compact(entries("today")); err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(mem, []byte("yesterday")) {
		t.Error("an old record is still in the memory")
	}
}

func FuzzOpen(f *testing.F) {
	mem := make([]byte, MinMemory)
	s, _ := Open(mem)
	s.Append([]byte("one"))
	f.Add(bytes.Clone(mem))
	s.Compact(func(yield func([]byte) bool) { yield([]byte("state")) })
	s.Append([]byte("two"))
	f.Add(mem)
	f.Fuzz(func(t *testing.T, mem []byte) {
		s, err := Open(mem)
		if err != nil {
			return
		}
		var sum []byte
		s.Replay(func(p []byte) error { sum = append(sum, p...); return nil })
		s.Append([]byte("x"))
		if err := s.Compact(func(yield func([]byte) bool) { yield([]byte("y")) }); err != nil {
			return
		}
		if s, err = Open(mem); err != nil {
			t.Fatalf("Open after Compact: %v", err)
		}
		s.Replay(func(p []byte) error {
			if string(p) != "y" {
				t.Fatalf("after Compact: %q", p)
			}
			return nil
		})
	})
}

// changed returns the offsets where a and b differ.
func changed(a, b []byte) []int {
	var at []int
	for i := range a {
		if a[i] != b[i] {
			at = append(at, i)
		}
	}
	return at
}

// orders returns at forwards, backwards and shuffled.
func orders(at []int) [][]int {
	back := slices.Clone(at)
	slices.Reverse(back)
	out := [][]int{at, back}
	for seed := range uint64(4) {
		mixed := slices.Clone(at)
		rand.New(rand.NewPCG(seed, 1)).Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		out = append(out, mixed)
	}
	return out
}

func checkEither(t *testing.T, mem []byte, a, b []string) {
	t.Helper()
	if got := contents(t, mem); !slices.Equal(got, a) && (b == nil || !slices.Equal(got, b)) {
		t.Fatalf("got %q, want %q or %q", got, a, b)
	}
}
