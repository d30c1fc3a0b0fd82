package system

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/fault"
)

// TestOneRestore: while somebody restores, or asks what that would do, a second archive is
// not read.
func TestOneRestore(t *testing.T) {
	b := backups{restoring: new(sync.Mutex)}
	b.restoring.Lock()
	archive := strings.NewReader("an archive")
	for _, plan := range []bool{true, false} {
		_, err := b.Restore(t.Context(), api.Author{}, api.Restore{Plan: plan}, archive)
		var e *fault.Error
		if !errors.As(err, &e) || e.Code != fault.CodeRefused || !strings.Contains(e.Reason, "another restore") {
			t.Errorf("got %v", err)
		}
	}
	if archive.Len() != len("an archive") {
		t.Error("the archive was read")
	}
}
