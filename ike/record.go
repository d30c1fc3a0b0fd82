package ike

import (
	"time"

	"github.com/warrenvpn/warren/ike/exchange"
	"github.com/warrenvpn/warren/ike/ikev2"
)

// AppendRecord appends a record as a journal, or the session to a standby, carries
// it. The bytes are secret.
func AppendRecord(b []byte, r exchange.Record) []byte { return ikev2.AppendRecord(b, r) }

// RecordRoom returns how many octets AppendRecord appends at most.
func RecordRoom(r *exchange.Record) int { return ikev2.RecordRoom(r) }

// ParseRecord reads what AppendRecord wrote. A record that needs a newer program,
// or that was cut short, is an error; then the result still has the SPI of the SA
// that it is about, or 0 where that cannot be read, either.
func ParseRecord(b []byte) (exchange.Record, error) { return ikev2.ParseRecord(b) }

// ShiftRecord returns r with every instant in it later by d, with keys of its own.
// Nodes have clocks of their own: what comes from another one is shifted by the
// difference, so that it lives as long here as it would have lived there.
func ShiftRecord(r exchange.Record, d time.Duration) exchange.Record { return ikev2.ShiftRecord(r, d) }
