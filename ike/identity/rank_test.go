package identity

import "testing"

// TestRank: of the patterns that accept an identity, the one that names more of
// it goes first.
func TestRank(t *testing.T) {
	for _, byRank := range [][]string{
		{"user@a.example", "*@a.example", "*"},
		{"gw.a.example", "*.a.example", "*.example", "*"},
		{"asn1dn:CN=gw,OU=sites,O=Example", "asn1dn:CN=*,OU=sites,O=Example", "asn1dn:CN=*,OU=*,O=Example",
			"asn1dn:CN=*,OU=*,O=*", "*"},
		{"198.51.100.1", "*"},
	} {
		id, err := Parse(byRank[0])
		if err != nil {
			t.Fatal(err)
		}
		var last Pattern
		for i, text := range byRank {
			p, err := ParsePattern(text)
			if err != nil {
				t.Fatal(err)
			}
			if !p.Matches(id) {
				t.Errorf("%q does not match %v", text, id)
			}
			if i > 0 && p.Rank() >= last.Rank() {
				t.Errorf("%q has rank %d, and %q, which names more, %d", text, p.Rank(), byRank[i-1], last.Rank())
			}
			last = p
		}
	}
	if r := (Pattern{}).Rank(); r >= 0 {
		t.Errorf("the zero Pattern has rank %d", r)
	}
}

func TestAmbiguous(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"*", "*", true},
		{"*", "*@example", false},
		{"user@example", "USER@example", true},
		{"user@example", "other@example", false},
		{"user@example", "*@example", false},
		{"*@example", "*@Example", true},
		{"*@example", "*.example", false},
		{"*.a.example", "*.b.example", false},
		{"*.example", "*.a.example", false},
		{"asn1dn:CN=gw,O=x", "asn1dn:CN=gw,O=x", true},
		{"asn1dn:CN=*,O=x", "asn1dn:CN=*,O=x", true},
		{"asn1dn:CN=*,O=x", "asn1dn:CN=*,O=y", false},
		{"asn1dn:CN=*,OU=b,O=x", "asn1dn:CN=a,OU=*,O=x", true},
		{"asn1dn:CN=*,OU=b,O=x", "asn1dn:CN=*,O=x", false},
		{"asn1dn:CN=*+OU=b,O=x", "asn1dn:OU=*+CN=a,O=x", true},
		{"asn1dn:CN=gw,O=x", "asn1dn:CN=*,O=x", false},
	} {
		a, err := ParsePattern(tt.a)
		if err != nil {
			t.Fatal(err)
		}
		b, err := ParsePattern(tt.b)
		if err != nil {
			t.Fatal(err)
		}
		if got := a.Ambiguous(b); got != tt.want {
			t.Errorf("%q and %q: got %v, want %v", tt.a, tt.b, got, tt.want)
		}
		if a.Ambiguous(b) != b.Ambiguous(a) {
			t.Errorf("%q and %q: not symmetric", tt.a, tt.b)
		}
	}
	if (Pattern{}).Ambiguous(Pattern{}) {
		t.Error("patterns that match nobody are ambiguous")
	}
}
