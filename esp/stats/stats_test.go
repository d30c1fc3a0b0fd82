package stats_test

import (
	"bytes"
	"encoding/json"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/esp/stats"
)

// TestTable: every counter has one row, and every number one key.
func TestTable(t *testing.T) {
	rows, keys := map[stats.Counter]bool{}, map[string]bool{}
	word := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	for _, r := range stats.Table() {
		if rows[r.Counter] {
			t.Errorf("%v has two rows", r.Counter)
		}
		rows[r.Counter] = true
		for _, key := range []string{r.Key, r.BytesKey} {
			if key == "" && key == r.BytesKey {
				continue
			}
			if keys[key] || !word.MatchString(key) {
				t.Errorf("key %q stands twice or is no name", key)
			}
			keys[key] = true
		}
		switch {
		case r.Help == "" || r.Unit == "" || r.Direction == "":
			t.Errorf("%v: the row is incomplete: %+v", r.Counter, r)
		case r.Dropped && (r.Unit != stats.Packets || r.Text == ""):
			t.Errorf("%v: a cause of drops counts packets, and is shown: %+v", r.Counter, r)
		case r.Counter.Row() != r || r.Counter.String() != r.Key:
			t.Errorf("%v: its row is %+v, want %+v", r.Counter, r.Counter.Row(), r)
		}
	}
	for c := range stats.Number {
		if !rows[c] {
			t.Errorf("counter %d has no row", c)
		}
	}
}

// TestCountsJSON: every number comes back from JSON under its key.
func TestCountsJSON(t *testing.T) {
	var want stats.Counts
	for i := range want {
		want[i].N = uint64(i) + 1<<63
		if stats.Counter(i).Row().BytesKey != "" {
			want[i].Bytes = uint64(i) + 1000
		}
	}
	b := append(want.AppendJSON([]byte{'{'}), '}')
	d := json.NewDecoder(bytes.NewReader(b))
	if _, err := d.Token(); err != nil {
		t.Fatal(err)
	}
	var got stats.Counts
	var keys []string
	for d.More() {
		key, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key.(string))
		if found, err := got.Decode(d, key.(string)); err != nil || !found {
			t.Errorf("%v: found %v, %v", key, found, err)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	var described []string
	want.Describe(func(key, about string) {
		described = append(described, key)
		if about == "" {
			t.Errorf("%s is not described", key)
		}
	})
	if diff := cmp.Diff(described, keys); diff != "" {
		t.Errorf("keys (-want +got)\n%s", diff)
	}
}

// TestDecodeRefuses: what is no counter is left to the caller; what is no number
// is an error.
func TestDecodeRefuses(t *testing.T) {
	for _, tt := range []struct {
		key, value string
		found, ok  bool
	}{
		{"drop_spi", "7", true, true},
		{"drop_spi", "-7", true, false},
		{"drop_spi", `"7"`, true, false},
		{"drop_spi", "18446744073709551616", true, false},
		{"", "7", false, true},
		{"offloads", "[]", false, true},
	} {
		var c stats.Counts
		found, err := c.Decode(json.NewDecoder(bytes.NewReader([]byte(tt.value))), tt.key)
		if found != tt.found || (err == nil) != tt.ok {
			t.Errorf("%q: %s: found %v, %v", tt.key, tt.value, found, err)
		}
	}
}

func TestCountsText(t *testing.T) {
	c := stats.Counts{stats.PacketsIn: {N: 2, Bytes: 90}, stats.DropReplay: {N: 1}}
	if got, want := c.String(), "packets_in=2 bytes_in=90 drop_replay=1"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := c.Sum(stats.PacketsIn, stats.DropReplay, stats.DropSPI); got != 3 {
		t.Errorf("the sum is %d, want 3", got)
	}
}
