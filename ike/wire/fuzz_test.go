package wire

import (
	"bytes"
	"testing"
)

// fuzzBody seeds f with the golden bodies of kind and checks that whatever is
// accepted survives: append gives bytes that parse to the same bytes again.
func fuzzBody[T interface{ AppendBody([]byte) []byte }](f *testing.F, kind PayloadType, parse func([]byte) (T, error)) {
	for _, tt := range golden {
		if tt.kind == kind {
			f.Add(unhex(f, tt.body))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := parse(b)
		if err != nil {
			return
		}
		out := p.AppendBody(nil)
		again, err := parse(out)
		if err != nil {
			t.Fatalf("appended bytes are refused: %v\n%x", err, out)
		}
		if twice := again.AppendBody(nil); !bytes.Equal(out, twice) {
			t.Fatalf("not stable:\n%x\n%x", out, twice)
		}
		if len(out) > len(b) {
			t.Fatalf("%d bytes grew to %d", len(b), len(out))
		}
	})
}

func FuzzParseSA(f *testing.F) { fuzzBody(f, TypeSA, ParseSA) }

func FuzzParseKE(f *testing.F) { fuzzBody(f, TypeKE, ParseKE) }

func FuzzParseID(f *testing.F) { fuzzBody(f, TypeIDi, ParseID) }

func FuzzParseCert(f *testing.F) { fuzzBody(f, TypeCert, ParseCert) }

func FuzzParseCertReq(f *testing.F) { fuzzBody(f, TypeCertReq, ParseCertReq) }

func FuzzParseAuth(f *testing.F) { fuzzBody(f, TypeAuth, ParseAuth) }

func FuzzParseNonce(f *testing.F) { fuzzBody(f, TypeNonce, ParseNonce) }

func FuzzParseNotify(f *testing.F) { fuzzBody(f, TypeNotify, ParseNotify) }

func FuzzParseDelete(f *testing.F) { fuzzBody(f, TypeDelete, ParseDelete) }

func FuzzParseVendor(f *testing.F) { fuzzBody(f, TypeVendor, ParseVendor) }

func FuzzParseTS(f *testing.F) { fuzzBody(f, TypeTSi, ParseTS) }

func FuzzParseSK(f *testing.F) { fuzzBody(f, TypeSK, ParseSK) }

func FuzzParseSKF(f *testing.F) { fuzzBody(f, TypeSKF, ParseSKF) }

func FuzzParseCP(f *testing.F) { fuzzBody(f, TypeCP, ParseCP) }

func FuzzParseEAP(f *testing.F) { fuzzBody(f, TypeEAP, ParseEAP) }

func FuzzParseHeader(f *testing.F) {
	f.Add(unhex(f, saInit))
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := ParseHeader(b); err == nil && !bytes.Equal(h.Append(nil), b[:HeaderLen]) {
			t.Fatalf("header does not survive: %+v", h)
		}
	})
}

func FuzzParseMessage(f *testing.F) {
	f.Add(unhex(f, saInit))
	f.Add(unhex(f, skDelete))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseMessage(b)
		if err != nil {
			return
		}
		out := AppendMessage(nil, m.Header, m.Payloads...)
		if _, err := ParseMessage(out); err != nil {
			t.Fatalf("appended bytes are refused: %v\n%x", err, out)
		}
	})
}

func FuzzParsePayloads(f *testing.F) {
	for _, tt := range golden {
		body := unhex(f, tt.body)
		f.Add(uint8(tt.kind), append([]byte{0, 0, 0, byte(4 + len(body))}, body...))
	}
	f.Fuzz(func(t *testing.T, first uint8, b []byte) {
		ps, err := ParsePayloads(PayloadType(first), b)
		if err != nil {
			return
		}
		if _, err := ParsePayloads(FirstType(ps), AppendPayloads(nil, ps...)); err != nil {
			t.Fatalf("appended bytes are refused: %v", err)
		}
	})
}
