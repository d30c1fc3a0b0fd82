package control

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/esp/stats"
)

// TestIPsecStatsJSON: counters are members of the row itself, and members that
// nobody knows are passed over.
func TestIPsecStatsJSON(t *testing.T) {
	var got IPsecStats
	text := `{"context":"blue","next":[{"drop_spi":1}],"drop_spi":7,"drop_spi_bytes":900,"offloads":["gso"],"bytes_in":5}`
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	want := IPsecStats{Context: "blue", Offloads: []string{"gso"},
		Counts: stats.Counts{stats.DropSPI: {N: 7, Bytes: 900}, stats.PacketsIn: {Bytes: 5}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	var members map[string]any
	if err := json.Unmarshal(marshal(t, want), &members); err != nil {
		t.Fatal(err)
	}
	keys := 0
	want.Counts.Describe(func(string, string) { keys++ })
	if len(members) != 3+keys || members["drop_spi_bytes"] != 900.0 || members["context"] != "blue" {
		t.Errorf("members are %v", members)
	}
	for _, text := range []string{`[]`, `7`, `{"drop_spi":{}}`, `{"drop_spi":-1}`, `{"offloads":7}`} {
		if err := json.Unmarshal([]byte(text), new(IPsecStats)); err == nil {
			t.Errorf("%s: no error", text)
		}
	}
	if err := json.Unmarshal([]byte("null"), new(IPsecStats)); err != nil {
		t.Errorf("null: %v", err)
	}
}
