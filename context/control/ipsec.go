package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"time"

	"github.com/warrenvpn/warren/esp/stats"
)

// IPsecStats is one row of `show crypto ipsec stats`: what the data plane of a
// context has carried and dropped since its worker started. In JSON the counters
// are members of the row itself, by the keys of stats.Table.
type IPsecStats struct {
	Context string    `json:"context"`
	Since   time.Time `json:"since"` // when the worker started
	// Offloads are those of the kernel and the devices that are in use now: gso,
	// gro, tun_tcp, tun_udp; and crew where there are processors for one.
	Offloads []string `json:"offloads"`
	// Counts are what the worker has counted, and what the kernel has dropped in
	// front of it (stats.DropClearIn), which the supervisor knows.
	Counts stats.Counts `json:"-"`
}

// ipsecStats is IPsecStats without its methods.
type ipsecStats IPsecStats

// MarshalJSON implements json.Marshaler.
func (s IPsecStats) MarshalJSON() ([]byte, error) {
	b, err := json.Marshal(ipsecStats(s))
	if err != nil {
		return nil, err
	}
	b = append(bytes.TrimSuffix(b, []byte("}")), ',')
	return append(s.Counts.AppendJSON(b), '}'), nil
}

// UnmarshalJSON implements json.Unmarshaler. Its memory does not grow with the
// members that it does not know.
func (s *IPsecStats) UnmarshalJSON(b []byte) error {
	if err := json.Unmarshal(b, (*ipsecStats)(s)); err != nil || string(b) == "null" {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if _, err := d.Token(); err != nil {
		return err
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		name, ok := key.(string)
		if !ok {
			return errors.New("control: a key of IPsec statistics is no text")
		}
		found, err := s.Counts.Decode(d, name)
		if err == nil && !found {
			var skip json.RawMessage
			err = d.Decode(&skip)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
