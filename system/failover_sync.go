package system

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/system/lifecycle"
)

// SyncConfig implements api.Backend.
func (s *System) SyncConfig(ctx context.Context, by api.Author) (api.Synced, error) {
	if s.pair == nil {
		return api.Synced{}, noFailover()
	}
	files, fetched, err := s.life.GiveFiles(lifecycle.Author(by))
	if err != nil {
		return api.Synced{}, err
	}
	give := api.ContextFiles{Author: files.Author}
	for _, f := range files.Files {
		give.Files = append(give.Files, api.ContextFile(f))
	}
	body, err := json.Marshal(give)
	if err != nil {
		return api.Synced{}, fmt.Errorf("system: encoding the configuration: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, api.PeerURL("/v1/failover/contexts"), bytes.NewReader(body))
	if err != nil {
		return api.Synced{}, fmt.Errorf("system: asking the peer: %w", err)
	}
	resp, err := s.AskPeer(r)
	if err != nil {
		return api.Synced{}, err
	}
	defer resp.Body.Close()
	out, err := api.ReadAnswer[api.Synced](resp)
	var refused *fault.Error
	if errors.As(err, &refused) {
		refused.Reason = "the peer refuses: " + refused.Reason
		return out, refused
	}
	out.Fetched = fetched
	return out, err
}

// TakeConfig implements api.Backend.
func (s *System) TakeConfig(ctx context.Context, take api.ContextFiles) (api.Synced, error) {
	if s.pair == nil {
		return api.Synced{}, noFailover()
	}
	files := lifecycle.PeerFiles{Author: take.Author}
	for _, f := range take.Files {
		files.Files = append(files.Files, lifecycle.PeerFile(f))
	}
	done, err := s.life.TakeFiles(ctx, files)
	return syncedOf(done), err
}
