package system

import (
	"context"
	"fmt"
	"net/http"

	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/disks"
	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/system/pair"
)

// orphans answers the API for the disks of contexts that were removed, in its words.
type orphans struct {
	disks *disks.Disks
	pair  *pair.Pair // nil: a node alone
}

var _ api.Orphans = orphans{}

// ListOrphans implements api.Orphans.
func (o orphans) ListOrphans(context.Context) (api.OrphanList, error) {
	list, err := o.disks.Orphans()
	var out api.OrphanList
	for _, one := range list {
		out.Orphans = append(out.Orphans, api.Orphan(one))
	}
	return out, err
}

// EraseOrphans implements api.Orphans.
func (o orphans) EraseOrphans(ctx context.Context, which api.EraseOrphans) (out api.ErasedOrphans, err error) {
	if out.Erased, err = o.disks.EraseOrphans(which.Name); err != nil {
		return out, err
	}
	if o.pair != nil && !which.Local {
		there, err := o.erasePeer(ctx, which.Name)
		if err != nil {
			out.Warnings = append(out.Warnings, fmt.Sprintf(
				"what the other unit has of it stays there, until it is erased there as well: %v", err))
		}
		out.Peer = there.Erased
	}
	if len(out.Erased)+len(out.Peer) == 0 && !which.Local {
		return out, disks.NoOrphan(which.Name)
	}
	return out, nil
}

// erasePeer erases on the other unit of the pair.
func (o orphans) erasePeer(ctx context.Context, name string) (api.ErasedOrphans, error) {
	if !o.pair.PeerAlive() {
		return api.ErasedOrphans{}, &fault.Error{Code: fault.CodeRefused, Reason: "it is not there"}
	}
	return askOther[api.ErasedOrphans](ctx, otherUnit{o.pair}, http.MethodPost, "/v1/orphans/erase",
		api.EraseOrphans{Name: name, Local: true})
}
