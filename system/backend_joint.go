package system

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/lifecycle"
	"github.com/warrenvpn/warren/system/pair"
)

// TakeChange implements api.Joint.
func (p pairs) TakeChange(ctx context.Context, c api.JointChange) (api.Synced, error) {
	if p.pair == nil {
		return api.Synced{}, noFailover()
	}
	change := lifecycle.JointChange{Author: c.Author, Origin: c.Origin, Comment: c.Comment, System: c.System,
		Left: c.Left, Check: c.Check, Write: c.Write, Confirm: c.Confirm}
	for _, f := range c.Files {
		change.Files = append(change.Files, lifecycle.PeerFile(f))
	}
	done, err := p.life.Take(ctx, change)
	return syncedOf(done), err
}

// SettleChange implements api.Joint.
func (p pairs) SettleChange(ctx context.Context, what api.Settlement) error {
	if p.pair == nil {
		return noFailover()
	}
	return p.life.Settle(ctx, lifecycle.Settlement{What: lifecycle.SettleWhat(what.What), Confirm: what.Confirm})
}

// Common implements api.Joint.
func (p pairs) Common(_ context.Context, brief bool) (api.CommonView, error) {
	if p.pair == nil {
		return api.CommonView{}, noFailover()
	}
	v, err := p.life.Common(brief)
	out := api.CommonView{Digest: v.Digest, Local: v.Local, Waits: v.Waits}
	for _, f := range v.Files {
		out.Files = append(out.Files, api.CommonFile(f))
	}
	return out, err
}

// DiffPeer implements api.Joint.
func (p pairs) DiffPeer(ctx context.Context, name string) (api.Diff, error) {
	if p.pair == nil {
		return api.Diff{}, noFailover()
	}
	d, err := p.life.DiffPeer(ctx, name)
	return api.Diff(d), err
}

// otherUnit is the other unit of the pair, asked over the failover link. It implements
// lifecycle.Other.
type otherUnit struct{ pair *pair.Pair }

var _ lifecycle.Other = otherUnit{}

// otherOf returns the other unit; nil for a node alone.
func otherOf(p *pair.Pair) lifecycle.Other {
	if p == nil {
		return nil
	}
	return otherUnit{p}
}

// Place implements lifecycle.Other.
func (o otherUnit) Place() lifecycle.Place {
	at := o.pair.Place()
	return lifecycle.Place{Peer: at.Peer.String(), Alive: at.Alive, Elsewhere: at.Elsewhere, Wins: at.Wins}
}

// Tolerate implements lifecycle.Other.
func (o otherUnit) Tolerate(confs ...*configs.System) func() { return o.pair.Tolerate(confs...) }

// Take implements lifecycle.Other.
func (o otherUnit) Take(ctx context.Context, c lifecycle.JointChange) (lifecycle.Synced, error) {
	change := api.JointChange{Author: c.Author, Origin: c.Origin, Comment: c.Comment, System: c.System,
		Left: c.Left, Check: c.Check, Write: c.Write, Confirm: c.Confirm}
	for _, f := range c.Files {
		change.Files = append(change.Files, api.ContextFile(f))
	}
	done, err := askOther[api.Synced](ctx, o, http.MethodPost, "/v1/failover/change", change)
	return lifecycle.Synced{Files: done.Files, Steps: stepsFrom(done.Steps), Warnings: done.Warnings,
		Version: done.Version}, err
}

// Settle implements lifecycle.Other.
func (o otherUnit) Settle(ctx context.Context, what lifecycle.Settlement) error {
	_, err := askOther[api.Settled](ctx, o, http.MethodPost, "/v1/failover/settle",
		api.Settlement{What: string(what.What), Confirm: what.Confirm})
	return err
}

// Common implements lifecycle.Other.
func (o otherUnit) Common(ctx context.Context, brief bool) (lifecycle.CommonView, error) {
	path := "/v1/failover/common"
	if brief {
		path += "?brief=true"
	}
	v, err := askOther[api.CommonView](ctx, o, http.MethodGet, path, nil)
	out := lifecycle.CommonView{Digest: v.Digest, Local: v.Local, Waits: v.Waits}
	for _, f := range v.Files {
		out.Files = append(out.Files, lifecycle.CommonFile(f))
	}
	return out, err
}

// askOther asks the other unit's API and reads all of the answer. A nil body is none.
func askOther[T any](ctx context.Context, o otherUnit, verb, path string, body any) (T, error) {
	var none T
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			return none, fmt.Errorf("system: encoding what the peer is asked: %w", err)
		}
	}
	r, err := http.NewRequestWithContext(ctx, verb, api.PeerURL(path), bytes.NewReader(text))
	if err != nil {
		return none, fmt.Errorf("system: asking the peer: %w", err)
	}
	resp, err := o.pair.Ask(r)
	if err != nil {
		return none, &lifecycle.Unanswered{Err: err}
	}
	defer resp.Body.Close()
	return api.ReadAnswer[T](resp)
}
