package system

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/warrenvpn/warren/internal/guard"
	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/disks"
	"github.com/warrenvpn/warren/system/pair"
)

const (
	// askLimit is what the peer gets to say in which state its disks are.
	askLimit = 5 * time.Second
	// stallLimit ends a transfer of which nothing comes any more.
	stallLimit = 30 * time.Second
)

// peerDisks are the disks of the other unit of the pair, asked over the failover
// link.
type peerDisks struct{ pair *pair.Pair }

// disksOf returns what finds the disks of the other unit: nil while that is not there.
func disksOf(p *pair.Pair) func() disks.Peer {
	return func() disks.Peer {
		if !p.PeerAlive() {
			return nil
		}
		return peerDisks{p}
	}
}

// ask asks the peer's API and reads all of the answer.
func ask[T any](ctx context.Context, p peerDisks, path string) (T, error) {
	var none T
	resp, err := p.open(ctx, path)
	if err != nil {
		return none, err
	}
	defer resp.Body.Close()
	return api.ReadAnswer[T](resp)
}

func (p peerDisks) open(ctx context.Context, path string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, api.PeerURL(path), nil)
	if err != nil {
		return nil, fmt.Errorf("system: asking the peer: %w", err)
	}
	return p.pair.Ask(r)
}

// Versions implements disks.Peer.
func (p peerDisks) Versions(ctx context.Context, wake bool) ([]disks.Version, error) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	path := "/v1/disks"
	if wake {
		path += "?wake=true"
	}
	list, err := ask[api.Versions](ctx, p, path)
	var out []disks.Version
	for _, v := range list.Disks {
		out = append(out, disks.Version(v))
	}
	return out, err
}

// Manifest implements disks.Peer.
func (p peerDisks) Manifest(ctx context.Context, name string) (disks.Manifest, error) {
	m, err := ask[api.Manifest](ctx, p, "/v1/disks/manifest?context="+url.QueryEscape(name))
	return manifestOf(m), err
}

// Open implements disks.Peer.
func (p peerDisks) Open(ctx context.Context, name string) (io.ReadCloser, int64, error) {
	ctx, cancel := context.WithCancel(ctx)
	resp, err := p.open(ctx, "/v1/files/content?name="+url.QueryEscape(name))
	if err != nil {
		cancel()
		return nil, 0, err
	}
	if resp.StatusCode != http.StatusOK {
		defer cancel()
		defer resp.Body.Close()
		_, err := api.ReadAnswer[api.FileInfo](resp)
		return nil, 0, err
	}
	return &watched{ReadCloser: resp.Body, cancel: cancel, timer: time.AfterFunc(stallLimit, cancel)},
		resp.ContentLength, nil
}

// watched is content that is given up when nothing of it comes any more.
type watched struct {
	io.ReadCloser
	cancel context.CancelFunc
	timer  *time.Timer
}

// Read implements io.Reader.
func (w *watched) Read(b []byte) (int, error) {
	w.timer.Reset(stallLimit)
	return w.ReadCloser.Read(b)
}

// Close implements io.Closer.
func (w *watched) Close() error {
	w.timer.Stop()
	w.cancel()
	return w.ReadCloser.Close()
}

const (
	// mendInterval is how often a unit looks whether the other one has the same
	// configuration: a standby that returns has it soon.
	mendInterval = 2 * time.Second
	// mendRest is for how long it rests after a refusal.
	mendRest = 30 * time.Second
)

// mend brings the other unit along where it has another configuration that was not meant,
// until ctx ends. What stands against it is told once.
func (s *System) mend(ctx context.Context) {
	if s.pair == nil {
		return
	}
	said := ""
	for {
		rest := mendInterval
		err := guard.Run(s.cfg.Log, "a comparison with the other unit", func() error {
			_, err := s.life.Mend(ctx)
			return err
		})
		if err == nil {
			said = ""
		} else if rest = mendRest; err.Error() != said && ctx.Err() == nil {
			said = err.Error()
			s.cfg.Log.Warn("configuration not given to the peer, which has another one", "reason", said)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(rest):
		}
	}
}
