package system

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/warrenvpn/warren/internal/guard"
	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/disks"
	"github.com/warrenvpn/warren/system/lifecycle"
	"github.com/warrenvpn/warren/system/pair"
	"github.com/warrenvpn/warren/vfs/catalog"
)

const (
	// askLimit is what the peer gets to say in which state its disks are.
	askLimit = 5 * time.Second
	// newsLimit is what it gets to say what has changed on one of them.
	newsLimit = 30 * time.Second
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
		out = append(out, disks.Version{Context: v.Context, Version: v.Version, Standby: v.Standby,
			Follows: v.Follows, Session: v.Session, Head: v.Head, Taken: disks.Taken(v.Taken), Kept: v.Kept,
			Incarnation: catalog.Incarnation(v.Incarnation), Blank: v.Blank})
	}
	return out, err
}

// News implements disks.Peer.
func (p peerDisks) News(ctx context.Context, tenant string, session, since uint64) (catalog.News, error) {
	ctx, cancel := context.WithTimeout(ctx, newsLimit)
	defer cancel()
	body, err := p.stream(ctx, fmt.Sprintf("/v1/disks/news?context=%s&session=%d&since=%d", url.QueryEscape(tenant),
		session, since))
	if err != nil {
		return catalog.News{}, err
	}
	defer body.Close()
	b, err := io.ReadAll(io.LimitReader(body, api.MaxNews))
	if err != nil {
		return catalog.News{}, fmt.Errorf("system: reading the peer's news: %w", err)
	}
	n, err := catalog.ParseNews(b)
	if err != nil {
		return n, fmt.Errorf("system: the peer's news: %w", err)
	}
	return n, nil
}

// Open implements disks.Peer.
func (p peerDisks) Open(ctx context.Context, name string, sum catalog.Sum, offset int64) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancel(ctx)
	body, err := p.stream(ctx, fmt.Sprintf("/v1/files/content?name=%s&sha256=%s&offset=%d", url.QueryEscape(name), sum,
		offset))
	if err != nil {
		cancel()
		return nil, err
	}
	return &watched{ReadCloser: body, cancel: cancel, timer: time.AfterFunc(stallLimit, cancel)}, nil
}

// stream asks the peer's API for bytes. The caller closes them.
func (p peerDisks) stream(ctx context.Context, path string) (io.ReadCloser, error) {
	resp, err := p.open(ctx, path)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		defer resp.Body.Close()
		_, err := api.ReadAnswer[struct{}](resp)
		return nil, err
	}
	return resp.Body, nil
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
		err := guard.Run(s.cfg.Log, "a comparison with the other unit", func() error {
			_, err := s.life.Mend(ctx)
			return err
		})
		if err == nil {
			said = ""
		} else if err.Error() != said && ctx.Err() == nil {
			said = err.Error()
			s.cfg.Log.Warn("configuration not given to the peer, which has another one", "reason", said)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(restAfter(err)):
		}
	}
}

// restAfter is how long a unit rests after it has looked whether the other one has the same
// configuration. A unit that has not answered may be there again at once.
func restAfter(err error) time.Duration {
	var silent *lifecycle.Unanswered
	if err == nil || errors.As(err, &silent) {
		return mendInterval
	}
	return mendRest
}
