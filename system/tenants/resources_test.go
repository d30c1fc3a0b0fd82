package tenants

import (
	"testing"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/resource"
)

func TestRowsInOrder(t *testing.T) {
	var rows []control.Resource
	for _, k := range resource.Kinds() {
		rows = append([]control.Resource{{Resource: string(k.Name), Unit: unitOf(k.Name)}}, rows...)
	}
	inOrder(rows)
	for i, k := range resource.Kinds() {
		if rows[i].Resource != string(k.Name) {
			t.Errorf("row %d is %s, want %s", i, rows[i].Resource, k.Name)
		}
	}
}
