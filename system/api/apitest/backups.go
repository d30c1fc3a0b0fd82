package apitest

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/fault"
)

// BackupText is every backup.
const BackupText = "a backup"

// Backups is an api.Backups of BackupText, and of nothing else.
type Backups struct{}

var _ api.Backups = Backups{}

// Backup implements api.Backups.
func (Backups) Backup(_ context.Context, begin func(), w io.Writer) error {
	begin()
	_, err := io.WriteString(w, BackupText)
	return err
}

// Restore implements api.Backups.
func (Backups) Restore(_ context.Context, _ api.Author, how api.Restore, r io.Reader) (out api.Restored, err error) {
	b, err := io.ReadAll(r)
	if err != nil {
		return out, err
	}
	switch {
	case string(b) != BackupText:
		return out, &fault.Error{Code: fault.CodeInvalid, Reason: "this is no backup that can be restored",
			Hint: "`warren backup --out FILE` makes one"}
	case !how.Plan && how.Running != 3:
		return out, errors.New("another version runs")
	}
	out = api.Restored{Made: time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC), System: "warren", Version: 3,
		Steps: []api.Step{{Context: "green", Action: api.ActionCreate, SAs: api.EffectNone, Why: "it is new"}},
		Files: []string{"green:disk0:/ca.pem", "images:/client.pkg"}}
	if !how.Plan {
		out.Version = 4
	}
	return out, nil
}
