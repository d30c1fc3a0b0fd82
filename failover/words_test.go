package failover

import (
	"encoding/json"
	"testing"
)

// TestWordsInJSON: units and stages of replication are words, and nothing else is one
// of them.
func TestWordsInJSON(t *testing.T) {
	type words struct {
		Unit  Unit
		Stage Replication
	}
	for _, want := range []words{{}, {UnitPrimary, ReplicationBulk}, {UnitSecondary, ReplicationReady}} {
		b, err := json.Marshal(want)
		var got words
		if err == nil {
			err = json.Unmarshal(b, &got)
		}
		if err != nil || got != want {
			t.Errorf("%s became %+v, %v", b, got, err)
		}
	}
	for _, text := range []string{`{"Unit":"third"}`, `{"Unit":""}`, `{"Stage":"unit 1"}`} {
		var got words
		if err := json.Unmarshal([]byte(text), &got); err == nil {
			t.Errorf("%s was accepted: %+v", text, got)
		}
	}
}
