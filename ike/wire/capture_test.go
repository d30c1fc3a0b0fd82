package wire_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/warrenvpn/warren/ike/wire"
	"github.com/warrenvpn/warren/ike/wire/wiretest"
)

// TestCaptures parses every IKE message that third parties have recorded. Those
// of IKEv2 that are well-formed come out of AppendMessage as they went in; the
// malformed ones are refused or harmless, and never a panic.
func TestCaptures(t *testing.T) {
	var v1, refused, same int
	for _, name := range wiretest.Captures(t) {
		for i, b := range wiretest.Messages(t, name) {
			m, err := wire.ParseMessage(b)
			var e *wire.Error
			switch {
			case errors.As(err, &e) && e.Notify == wire.InvalidMajorVersion && m.Version.Major() == 1:
				v1++
				if e.Response().Data[0] != 0x20 {
					t.Errorf("%s #%d: response does not name version 2", name, i)
				}
			case err != nil:
				t.Logf("%s #%d: %d bytes: %v", name, i, len(b), err)
				refused++
			default:
				clearCritical(b, m.Header)
				if got := wire.AppendMessage(nil, m.Header, m.Payloads...); !bytes.Equal(got, b) {
					t.Errorf("%s #%d: parse and append\n got %x\nwant %x", name, i, got, b)
				}
				same++
			}
		}
	}
	t.Logf("%d of IKEv1, %d refused, %d identical", v1, refused, same)
	if v1 < 50 || refused < 5 || same < 50 {
		t.Error("captures are missing")
	}
}

// clearCritical clears the critical bits of the payloads of b, which are not
// part of the values that understood payloads are parsed to.
func clearCritical(b []byte, h wire.Header) {
	next := h.NextPayload
	for at := wire.HeaderLen; at < len(b); at += int(b[at+2])<<8 | int(b[at+3]) {
		b[at+1] &^= 0x80
		if next == wire.TypeSK || next == wire.TypeSKF {
			return
		}
		next = wire.PayloadType(b[at])
	}
}
