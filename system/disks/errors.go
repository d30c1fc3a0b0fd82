package disks

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/vfs"
)

// fileErrors say what kind of error it is, and what the operator can do.
var fileErrors = []struct {
	is   error
	code fault.Code
	hint string
}{
	{vfs.ErrName, fault.CodeInvalid, ""},
	{vfs.ErrVolume, fault.CodeNoFile, "`warren show context` lists the contexts, and each has disk0:"},
	{vfs.ErrReadOnly, fault.CodeRefused,
		"a context can only read shared storage: change it as the system, without the context's name, " +
			"as in shared:/file"},
	{vfs.ErrEscape, fault.CodeRefused, "only regular files and directories with one name can be used"},
	{vfs.ErrSize, fault.CodeInvalid, "the source changed while it was copied: copy it again"},
	{fs.ErrNotExist, fault.CodeNoFile, "`warren dir` lists a directory"},
	{fs.ErrClosed, fault.CodeRefused, "the context has been removed just now"},
	{syscall.ENOSPC, fault.CodeRefused, "the disk that holds state_dir is full; nothing was changed"},
	{syscall.EDQUOT, fault.CodeRefused, "the host's quota for state_dir is used up; nothing was changed"},
	{syscall.EISDIR, fault.CodeRefused, "name a file"},
	{syscall.ENOTDIR, fault.CodeRefused, "a file stands where a directory is needed"},
	{syscall.ENOTEMPTY, fault.CodeRefused, "delete what is in it first"},
	{syscall.EBUSY, fault.CodeRefused, "a volume itself cannot be deleted"},
	{syscall.EROFS, fault.CodeRefused, "the file system is mounted read-only"},
}

// fileError makes an error of files one of the API's.
func fileError(err error) error {
	var quota *vfs.QuotaError
	var known *fault.Error
	if errors.As(err, &known) {
		return known
	}
	if errors.As(err, &quota) {
		return &fault.Error{Code: fault.CodeRefused, Reason: err.Error(),
			Hint: "nothing was changed; delete files, or raise storage in the context's class"}
	}
	for _, e := range fileErrors {
		if errors.Is(err, e.is) {
			return &fault.Error{Code: e.code, Reason: err.Error(), Hint: e.hint}
		}
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%w: nothing was changed", err)
	}
	return err
}
