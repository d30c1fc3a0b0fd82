// Package client is the typed client of the supervisor's API: all that the CLI
// and every other program of ours know of a running warrend. It does I/O on one
// unix socket, prints nothing, and returns every error as an *fault.Error with a
// remedy.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/fault"
)

// DefaultSocket is where warrend listens with the default run_dir.
const DefaultSocket = "/run/warren/warren.sock"

const (
	// quickTimeout is what an answer may take; the server gives up sooner.
	quickTimeout = 40 * time.Second
	// reloadTimeout covers hundreds of contexts that stop and start.
	reloadTimeout = 6 * time.Minute
	// continueTimeout is what the server gets to accept or refuse content
	// before it is sent.
	continueTimeout = 5 * time.Second
	// pollInterval is how often WaitReady asks.
	pollInterval = 50 * time.Millisecond
	// maxAnswer bounds what is read: 100,000 SAs are about 100 MB.
	maxAnswer = 512 << 20
)

// Config is what a Client needs.
type Config struct {
	Socket string // path of warrend's unix socket; "" means DefaultSocket
	// Peer asks the other node of the failover pair, through the one that has the
	// socket. It is for reading alone.
	Peer bool
}

// Client asks one warrend. It may be used by many goroutines at once.
type Client struct {
	socket string
	http   *http.Client
}

// New returns a Client. It connects when it first asks.
func New(cfg *Config) *Client {
	c := &Client{socket: cfg.Socket}
	if c.socket == "" {
		c.socket = DefaultSocket
	}
	var d net.Dialer
	direct := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return d.DialContext(ctx, "unix", c.socket)
		},
		MaxIdleConns:    1,
		IdleConnTimeout: 5 * time.Second,
		// A refusal comes before the content of a file is sent.
		ExpectContinueTimeout: continueTimeout,
	}
	c.http = &http.Client{Transport: direct}
	if cfg.Peer {
		c.http.Transport = throughPeer{direct}
	}
	return c
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Socket returns the path that the client connects to.
func (c *Client) Socket() string { return c.socket }

// Status tells whether every context is ready.
func (c *Client) Status(ctx context.Context) (api.Status, error) {
	return get[api.Status](ctx, c, "/v1/status", "")
}

// WaitReady asks until every context is ready and no change is being made, so that the next
// one is not refused, or ctx ends; also while there is no warrend yet. It returns the last
// that is known.
func (c *Client) WaitReady(ctx context.Context) (api.Status, error) {
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	st, err := c.Status(ctx)
	for {
		var e *fault.Error
		if err == nil && st.Ready && st.Changing == "" || errors.As(err, &e) && e.Code == fault.CodeDenied {
			return st, err
		}
		select {
		case <-ctx.Done():
			return st, err
		case <-tick.C:
		}
		now, nowErr := c.Status(ctx)
		if nowErr != nil && ctx.Err() != nil {
			return st, err // cut off by the end of ctx: that says nothing
		}
		st, err = now, nowErr
	}
}

// Contexts lists contexts: the one called name, or all with "".
func (c *Client) Contexts(ctx context.Context, name string) (api.Contexts, error) {
	return get[api.Contexts](ctx, c, "/v1/contexts", name)
}

// IKESAs lists IKE SAs of the context called name, or of all with "".
func (c *Client) IKESAs(ctx context.Context, name string) (api.IKESAs, error) {
	return get[api.IKESAs](ctx, c, "/v1/ike-sas", name)
}

// ChildSAs lists child SAs of the context called name, or of all with "".
func (c *Client) ChildSAs(ctx context.Context, name string) (api.ChildSAs, error) {
	return get[api.ChildSAs](ctx, c, "/v1/child-sas", name)
}

// IPsecStats lists what the data plane of the context called name, or of each
// with "", has carried and dropped.
func (c *Client) IPsecStats(ctx context.Context, name string) (api.IPsecStatistics, error) {
	return get[api.IPsecStatistics](ctx, c, "/v1/ipsec-stats", name)
}

// Sessions lists sessions of the context called name, or of all with "".
func (c *Client) Sessions(ctx context.Context, name string) (api.Sessions, error) {
	return get[api.Sessions](ctx, c, "/v1/sessions", name)
}

// AAAServers lists the servers that know users of the context called name, or of all with "".
func (c *Client) AAAServers(ctx context.Context, name string) (api.AAAServers, error) {
	return get[api.AAAServers](ctx, c, "/v1/aaa-servers", name)
}

// Resources lists resources of the context called name, or of all with "".
func (c *Client) Resources(ctx context.Context, name string) (api.Resources, error) {
	return get[api.Resources](ctx, c, "/v1/resources", name)
}

// Logoff ends sessions of the context called name.
func (c *Client) Logoff(ctx context.Context, name string, which control.Logoff) (control.LogoffDone, error) {
	body, err := json.Marshal(which)
	if err != nil {
		return control.LogoffDone{}, fmt.Errorf("client: encoding logoff: %w", err)
	}
	return call[control.LogoffDone](ctx, c, request{
		verb: http.MethodPost, path: "/v1/contexts/" + url.PathEscape(name) + "/logoff",
		body: body, timeout: quickTimeout,
	})
}

// Rekey begins to replace SAs of the context called name.
func (c *Client) Rekey(ctx context.Context, name string, which control.Logoff) (control.Rekeyed, error) {
	body, err := json.Marshal(which)
	if err != nil {
		return control.Rekeyed{}, fmt.Errorf("client: encoding rekey: %w", err)
	}
	return call[control.Rekeyed](ctx, c, request{
		verb: http.MethodPost, path: "/v1/contexts/" + url.PathEscape(name) + "/rekey",
		body: body, timeout: quickTimeout,
	})
}

// Restart replaces the worker of the context called name.
func (c *Client) Restart(ctx context.Context, name string) (api.Restarted, error) {
	return call[api.Restarted](ctx, c, request{
		verb: http.MethodPost, path: "/v1/contexts/" + url.PathEscape(name) + "/restart", timeout: quickTimeout,
	})
}

// Shutdown begins the end of warrend and all contexts.
func (c *Client) Shutdown(ctx context.Context) (api.Stopping, error) {
	return call[api.Stopping](ctx, c, request{verb: http.MethodPost, path: "/v1/shutdown", timeout: quickTimeout})
}

// Keys returns the keys of the SAs of the context called name.
func (c *Client) Keys(ctx context.Context, name string) (control.Keys, error) {
	return get[control.Keys](ctx, c, "/v1/contexts/"+url.PathEscape(name)+"/keys", "")
}

// Reload makes warrend read its configuration again.
func (c *Client) Reload(ctx context.Context, how api.Leniency) (api.Reload, error) {
	return call[api.Reload](ctx, c, request{verb: http.MethodPost, path: "/v1/reload" + queryOf(how),
		timeout: reloadTimeout})
}

// queryOf is a Leniency as the query of a path.
func queryOf(how api.Leniency) string {
	q := url.Values{}
	if how.Strict {
		q.Set("strict", "true")
	}
	if how.Local {
		q.Set("local", "true")
	}
	if how.AllowStale {
		q.Set("allow_stale", "true")
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

// request is one question.
type request struct {
	verb, path string
	body       []byte
	timeout    time.Duration
}

// get asks a route that changes nothing, of one context where name is set.
func get[T any](ctx context.Context, c *Client, path, name string) (T, error) {
	if name != "" {
		path += "?context=" + url.QueryEscape(name)
	}
	return call[T](ctx, c, request{verb: http.MethodGet, path: path, timeout: quickTimeout})
}

// call asks and decodes the answer.
func call[T any](ctx context.Context, c *Client, q request) (T, error) {
	var answer T
	ctx, cancel := context.WithTimeout(ctx, q.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, q.verb, "http://warrend"+q.path, bytes.NewReader(q.body))
	if err != nil {
		return answer, fmt.Errorf("client: making request: %w", err)
	}
	if q.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return answer, c.unreachable(err)
	}
	defer resp.Body.Close()
	body := io.LimitReader(resp.Body, maxAnswer)
	if resp.StatusCode != http.StatusOK {
		return answer, c.refusal(resp.StatusCode, body)
	}
	if err := json.NewDecoder(body).Decode(&answer); err != nil {
		return answer, c.foreign(fmt.Sprintf("reading its answer: %v", err))
	}
	return answer, nil
}

// refusal reads the error that the server answered with.
func (c *Client) refusal(status int, body io.Reader) error {
	var e fault.Error
	if err := json.NewDecoder(body).Decode(&e); err != nil || e.Reason == "" {
		return c.foreign(fmt.Sprintf("it answers with HTTP status %d and no reason", status))
	}
	return &e
}

// foreign is the error for a server that does not speak like ours.
func (c *Client) foreign(what string) *fault.Error {
	return &fault.Error{
		Code:   fault.CodeUnreachable,
		Reason: fmt.Sprintf("no usable answer from %s: %s", c.socket, what),
		Hint:   "`warren version` and `warrend --version` should print the same",
	}
}

// unreachable explains why there is no answer at all.
func (c *Client) unreachable(err error) *fault.Error {
	e := &fault.Error{Code: fault.CodeUnreachable}
	const elsewhere = "start it, or name its socket with --socket PATH or in WARREN_SOCKET"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.Reason = fmt.Sprintf("there is no socket %s", c.socket)
		e.Hint = "is warrend running? " + elsewhere
	case errors.Is(err, fs.ErrPermission):
		e.Code = fault.CodeDenied
		e.Reason = fmt.Sprintf("permission denied on %s", c.socket)
		e.Hint = "run as root"
	case errors.Is(err, syscall.ECONNREFUSED):
		e.Reason = fmt.Sprintf("nobody serves %s", c.socket)
		e.Hint = "warrend has died or is just stopping: " + elsewhere
	case errors.Is(err, context.DeadlineExceeded):
		e.Reason = fmt.Sprintf("no answer from %s in time", c.socket)
		e.Hint = "warrend is busy or hangs: its log says more"
	case errors.Is(err, context.Canceled):
		e.Reason = "interrupted"
	default:
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err // the URL is made up, and would only confuse
		}
		e.Reason = fmt.Sprintf("asking %s: %v", c.socket, err)
		e.Hint = "is warrend running? " + elsewhere
	}
	return e
}
