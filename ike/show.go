package ike

import (
	"cmp"
	"slices"

	"github.com/warrenvpn/warren/ike/exchange"
)

// inOrder returns all SAs, ordered by SPI.
func (e *Engine) inOrder() []exchange.SA {
	out := make([]exchange.SA, 0, len(e.sas))
	for _, s := range e.sas {
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b exchange.SA) int { return cmp.Compare(a.SPI(), b.SPI()) })
	return out
}

// Status describes every IKE SA, half-open ones too, ordered by SPI.
func (e *Engine) Status() []exchange.Status {
	out := make([]exchange.Status, 0, len(e.sas))
	for _, s := range e.inOrder() {
		out = append(out, s.Status())
	}
	return out
}

// ExportKeys returns the lines of Wireshark's ikev2_decryption_table and esp_sa
// files for all SAs that have keys. They are secret: for debugging only.
func (e *Engine) ExportKeys() (ike, esp []string) {
	for _, s := range e.inOrder() {
		i, c := s.ExportKeys()
		ike, esp = append(ike, i...), append(esp, c...)
	}
	return ike, esp
}
