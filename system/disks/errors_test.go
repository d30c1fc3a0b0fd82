package disks

import (
	"context"
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/warrenvpn/warren/system/fault"
)

// TestFileErrors: what the kernel says of a disk is a refusal with a remedy.
func TestFileErrors(t *testing.T) {
	for _, err := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS} {
		var e *fault.Error
		if got := fileError(&os.PathError{Op: "write", Path: "x", Err: err}); !errors.As(got, &e) ||
			e.Code != fault.CodeRefused || e.Hint == "" {
			t.Errorf("%v: got %#v", err, got)
		}
	}
	if err := fileError(context.Canceled); !errors.Is(err, context.Canceled) ||
		!strings.HasSuffix(err.Error(), "nothing was changed") {
		t.Errorf("got %v", err)
	}
}
