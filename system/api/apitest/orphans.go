package apitest

import (
	"context"
	"time"

	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/fault"
)

// Orphans is an api.Orphans with two disks of dora, of which nothing is ever erased. The
// other unit of its pair is away.
type Orphans struct{}

var _ api.Orphans = Orphans{}

// The IDs of the disks.
const (
	orphanFirst  = "dora~20261127T090000.000000000Z"
	orphanSecond = "dora~20261127T100000.000000000Z"
)

// ListOrphans implements api.Orphans.
func (Orphans) ListOrphans(context.Context) (api.OrphanList, error) {
	at := time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)
	return api.OrphanList{Orphans: []api.Orphan{
		{ID: orphanFirst, Context: "dora", Removed: at, Files: 3, Bytes: 4096},
		{ID: orphanSecond, Context: "dora", Removed: at.Add(time.Hour), Files: 1, Bytes: 7},
	}}, nil
}

// EraseOrphans implements api.Orphans.
func (Orphans) EraseOrphans(_ context.Context, which api.EraseOrphans) (out api.ErasedOrphans, err error) {
	switch which.Name {
	case "", "dora":
		out.Erased = []string{orphanFirst, orphanSecond}
	case orphanSecond:
		out.Erased = []string{orphanSecond}
	default:
		return out, &fault.Error{Code: fault.CodeNoFile, Reason: "no disk of a removed context is called that",
			Hint: "`warren show orphans` lists them"}
	}
	if !which.Local {
		out.Warnings = []string{"the other unit was not asked: it is not there"}
	}
	return out, nil
}
