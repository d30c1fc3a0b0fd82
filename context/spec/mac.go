package spec

import (
	"errors"
	"fmt"
	"strings"
)

// MAC is a 48-bit Ethernet address. The zero value means "none".
type MAC [6]byte

// ParseMAC reads the notations "02:00:5e:10:00:01", "02-00-5e-10-00-01" and
// "0200.5e10.0001". Group addresses and the zero address are errors: an
// interface cannot have them.
func ParseMAC(text string) (MAC, error) {
	var m MAC
	digits := strings.NewReplacer(":", "", "-", "", ".", "").Replace(text)
	shape := strings.Map(func(r rune) rune {
		if strings.ContainsRune(":-.", r) {
			return r
		}
		return 'x'
	}, text)
	switch shape {
	case "xx:xx:xx:xx:xx:xx", "xx-xx-xx-xx-xx-xx", "xxxx.xxxx.xxxx":
	default:
		return MAC{}, errors.New("spec: a MAC address is written 02:00:5e:10:00:01")
	}
	if len(digits) != 2*len(m) {
		return MAC{}, errors.New("spec: a MAC address has 12 hexadecimal digits")
	}
	for i := range m {
		high, okHigh := hexDigit(digits[2*i])
		low, okLow := hexDigit(digits[2*i+1])
		if !okHigh || !okLow {
			return MAC{}, errors.New("spec: a MAC address has hexadecimal digits only")
		}
		m[i] = high<<4 | low
	}
	if m[0]&1 != 0 {
		return MAC{}, errors.New("spec: a MAC address with an odd first byte is a group address")
	}
	if m == (MAC{}) {
		return MAC{}, errors.New("spec: the MAC address of zeros is none")
	}
	return m, nil
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// IsZero reports whether m is none.
func (m MAC) IsZero() bool { return m == MAC{} }

// String returns "02:00:5e:10:00:01", and "" for none.
func (m MAC) String() string {
	if m.IsZero() {
		return ""
	}
	return fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}

// MarshalText implements encoding.TextMarshaler.
func (m MAC) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *MAC) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*m = MAC{}
		return nil
	}
	parsed, err := ParseMAC(string(text))
	if err != nil {
		return err
	}
	*m = parsed
	return nil
}
