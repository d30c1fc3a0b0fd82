package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/system/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// backend is a Backend of fixed answers. The context "hung" never answers.
type backend struct {
	Files
	Configurations
	Pairs
	Operations
	Certificates
	Policies
	Orphans
	Streams
	Backups
	names   []string
	logoffs []string
	err     error // of everything that changes
	reload  func(context.Context) (Reload, error)
	asked   chan string // when not nil, gets "hung" once it is asked
	taken   []ContextFiles
}

func (b *backend) Status() Status { return Status{Name: "warren", Total: len(b.names)} }

func (b *backend) TakeConfig(_ context.Context, take ContextFiles) (Synced, error) {
	b.taken = append(b.taken, take)
	return Synced{}, b.err
}

func (b *backend) Contexts() []Tenant {
	var out []Tenant
	for _, n := range b.names {
		state := StateReady
		if n == "suspended" {
			state = StateSuspended
		}
		out = append(out, Tenant{Name: n, State: state})
	}
	return out
}

// facts are what a context answers.
type facts struct {
	IKESAs    []control.IKESA
	Sessions  []control.Session
	Resources []control.Resource
	Servers   []control.AAAServer
	IPsec     control.IPsecStats
}

func (b *backend) IKESAs(ctx context.Context, name string) ([]control.IKESA, error) {
	f, err := b.facts(ctx, name)
	return f.IKESAs, err
}

func (b *backend) Sessions(ctx context.Context, name string) ([]control.Session, error) {
	f, err := b.facts(ctx, name)
	return f.Sessions, err
}

func (b *backend) Resources(ctx context.Context, name string) ([]control.Resource, error) {
	f, err := b.facts(ctx, name)
	return f.Resources, err
}

func (b *backend) AAAServers(ctx context.Context, name string) ([]control.AAAServer, error) {
	f, err := b.facts(ctx, name)
	return f.Servers, err
}

func (b *backend) IPsecStats(ctx context.Context, name string) (control.IPsecStats, error) {
	f, err := b.facts(ctx, name)
	return f.IPsec, err
}

func (b *backend) facts(ctx context.Context, name string) (facts, error) {
	switch name {
	case "hung":
		if b.asked != nil {
			b.asked <- name
		}
		<-ctx.Done()
		return facts{}, fmt.Errorf("fake: %w", ctx.Err())
	case "dead":
		return facts{
			Sessions:  []control.Session{{User: "nobody"}},
			Resources: []control.Resource{{Resource: "memory", Denied: 3}},
		}, fault.NotReady(name, "its worker restarts")
	case "blue", "red":
		return facts{
			IKESAs: []control.IKESA{{
				Context: "liar", SPIi: "0x" + name, Established: time.Unix(2, 0),
				ChildSAs: []control.ChildSA{{Context: "liar", SPIIn: name}},
			}, {SPIi: "0xfirst", Established: time.Unix(1, 0)}},
			Sessions:  []control.Session{{Context: "liar", User: name}},
			Resources: []control.Resource{{Context: "liar", Resource: "vpn_anyconnect"}},
		}, nil
	}
	return facts{}, fault.NoContext(name)
}

func (b *backend) Logoff(_ context.Context, name string, which control.Logoff) (control.LogoffDone, error) {
	b.logoffs = append(b.logoffs, fmt.Sprintf("%s %+v", name, which))
	return control.LogoffDone{Sessions: 1}, b.err
}

func (b *backend) Keys(context.Context, string) (control.Keys, error) { return control.Keys{}, b.err }

// Capture is never ending for the interface "busy".
func (b *backend) Capture(ctx context.Context, name string, which control.Capture) (io.ReadCloser, error) {
	b.logoffs = append(b.logoffs, fmt.Sprintf("%s %+v", name, which))
	if which.Interface == "busy" {
		r, w := io.Pipe()
		go func() {
			for {
				if _, err := io.WriteString(w, "packet"); err != nil {
					b.asked <- "closed"
					return
				}
			}
		}()
		return r, nil
	}
	return io.NopCloser(strings.NewReader("a capture of " + which.Interface)), b.err
}

func (b *backend) Reload(ctx context.Context, _ Author, _ Leniency) (Reload, error) {
	if b.reload != nil {
		return b.reload(ctx)
	}
	return Reload{}, b.err
}

func newServer(t *testing.T, b Backend) *Server {
	t.Helper()
	s, err := New(&Config{Socket: filepath.Join(t.TempDir(), "s"), Backend: b, WorkerTimeout: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// do asks without a socket, as a caller with that uid.
func do(t *testing.T, s *Server, uid int, verb, target, body string) (int, string) {
	t.Helper()
	r := httptest.NewRequest(verb, target, strings.NewReader(body))
	if uid >= 0 {
		r = r.WithContext(context.WithValue(r.Context(), callerKey{}, caller{uid: uid, pid: 1}))
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		t.Errorf("%s %s: Content-Type %q, want application/json", verb, target, got)
	}
	return w.Code, strings.TrimSpace(w.Body.String())
}

// stranger is a user who is neither root nor the one who runs the test.
var stranger = os.Geteuid() + 4711

func TestRequests(t *testing.T) {
	refusal := &fault.Error{Code: fault.CodeRefused, Reason: "configuration has errors", Hint: "h",
		Detail: "blue.hcl:3"}
	tests := []struct {
		name         string
		uid          int
		err          error
		verb, target string
		body         string
		status       int
		want         string // part of the body
	}{
		{name: "status", verb: "GET", target: "/v1/status", status: 200, want: `"waiting":[]`},
		{name: "contexts sorted", verb: "GET", target: "/v1/contexts", status: 200,
			want: `{"contexts":[{"name":"blue"`},
		{name: "no nil lists", verb: "GET", target: "/v1/contexts?context=red", status: 200, want: `"interfaces":[]`},
		{name: "one context", verb: "GET", target: "/v1/contexts?context=green", status: 404,
			want: `there is no context \"green\"`},
		{name: "rows name their context", verb: "GET", target: "/v1/ike-sas?context=blue", status: 200,
			want: `{"ike_sas":[{"context":"blue","spi_i":"0xfirst"`},
		{name: "child SAs", verb: "GET", target: "/v1/child-sas?context=blue", status: 200,
			want: `{"child_sas":[{"context":"blue","spi_in":"blue"`},
		{name: "sessions", verb: "GET", target: "/v1/sessions?context=red", status: 200,
			want: `{"sessions":[{"context":"red","user":"red"`},
		{name: "resources", verb: "GET", target: "/v1/resources?context=red", status: 200,
			want: `{"resources":[{"context":"red"`},
		{name: "hung context", verb: "GET", target: "/v1/ike-sas?context=hung", status: 503,
			want: `no answer within 20ms`},
		{name: "unknown context", verb: "GET", target: "/v1/ike-sas?context=green", status: 404,
			want: `"code":"no_context"`},
		{name: "unknown parameter", verb: "GET", target: "/v1/ike-sas?tenant=blue", status: 400,
			want: `it takes context`},
		{name: "parameter twice", verb: "GET", target: "/v1/ike-sas?context=a&context=b", status: 400, want: `2 times`},
		{name: "unknown path", verb: "GET", target: "/v1/nothing", status: 404, want: `"code":"no_route"`},
		{name: "unknown verb", verb: "DELETE", target: "/v1/contexts/blue/logoff", status: 405, want: `it knows POST`},
		{name: "logoff", verb: "POST", target: "/v1/contexts/blue/logoff", body: `{"address":"10.0.0.1"}`, status: 200,
			want: `{"sessions":1}`},
		{name: "logoff of nobody", verb: "POST", target: "/v1/contexts/blue/logoff", body: `{}`, status: 400,
			want: `exactly one`},
		{name: "logoff of two", verb: "POST", target: "/v1/contexts/blue/logoff", body: `{"user":"a","all":true}`,
			status: 400, want: `exactly one`},
		{name: "unknown field", verb: "POST", target: "/v1/contexts/blue/logoff", body: `{"everyone":true}`,
			status: 400, want: `unknown field`},
		{name: "two bodies", verb: "POST", target: "/v1/contexts/blue/logoff", body: `{"all":true}{}`, status: 400,
			want: `more than one`},
		{name: "truncated body", verb: "POST", target: "/v1/contexts/blue/logoff", body: `{"all":`, status: 400,
			want: `unexpected EOF`},
		{name: "endless body", verb: "POST", target: "/v1/contexts/blue/logoff", body: `{"user":"` +
			strings.Repeat("a", maxBody) + `"}`, status: 400, want: `too large`},
		{name: "keys", verb: "GET", target: "/v1/contexts/blue/keys", status: 200, want: `{"ike":[],"esp":[]}`},
		{name: "reload", verb: "POST", target: "/v1/reload", status: 200,
			want: `{"steps":[],"warnings":[],"errors":[]}`},
		{name: "reload refused", verb: "POST", target: "/v1/reload", err: fmt.Errorf("system: %w", refusal),
			status: 409,
			want:   `{"code":"refused","error":"configuration has errors","hint":"h","detail":"blue.hcl:3"}`},
		{name: "internal error", verb: "POST", target: "/v1/reload", err: errors.New("system: oops"), status: 500,
			want: `"error":"oops"`},
		{name: "foreign code", verb: "POST", target: "/v1/reload", err: &fault.Error{Code: fault.CodeUnreachable,
			Reason: "x"}, status: 500, want: `"internal"`},
		{name: "description", verb: "GET", target: "/v1/openapi.json", status: 200, want: `"openapi":"3.1.0"`},
		{name: "stranger reads", uid: stranger, verb: "GET", target: "/v1/contexts", status: 200, want: `"contexts"`},
		{name: "stranger changes", uid: stranger, verb: "POST", target: "/v1/reload", status: 403,
			want: `needs the role \"admin\"`},
		{name: "stranger wants keys", uid: stranger, verb: "GET", target: "/v1/contexts/blue/keys", status: 403,
			want: `"denied"`},
		{name: "caller unknown", uid: -1, verb: "GET", target: "/v1/status", status: 403, want: `"denied"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newServer(t, &backend{names: []string{"red", "blue"}, err: tt.err})
			status, body := do(t, s, tt.uid, tt.verb, tt.target, tt.body)
			if status != tt.status || !strings.Contains(body, tt.want) {
				t.Errorf("got %d %s\nwant %d ... %s ...", status, body, tt.status, tt.want)
			}
		})
	}
}

// TestHungWorker: one worker that hangs and one that is away cost the others
// nothing but a line.
func TestHungWorker(t *testing.T) {
	s := newServer(t, &backend{names: []string{"red", "hung", "gone", "dead", "blue", "suspended"}})
	status, body := do(t, s, 0, "GET", "/v1/sessions", "")
	if status != http.StatusOK {
		t.Fatalf("got %d %s, want 200", status, body)
	}
	var got Sessions
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	want := Sessions{
		Sessions: []control.Session{
			{Context: "blue", User: "blue", Assigned: []netip.Addr{}},
			{Context: "red", User: "red", Assigned: []netip.Addr{}},
		},
		Errors: []fault.ContextError{
			{Context: "dead", Error: `context "dead" does not answer: its worker restarts`},
			{Context: "hung", Error: `context "hung" does not answer: no answer within 20ms`},
		},
	}
	for i := range got.Errors {
		got.Errors[i].Hint = ""
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestDeadWorker: what the supervisor counts is told where the worker is away,
// and nothing else.
func TestDeadWorker(t *testing.T) {
	s := newServer(t, &backend{names: []string{"dead"}})
	_, body := do(t, s, 0, "GET", "/v1/resources", "")
	var got Resources
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]control.Resource{{Context: "dead", Resource: "memory", Denied: 3}},
		got.Resources); diff != "" || len(got.Errors) != 1 {
		t.Errorf("%s (-want +got):\n%s", body, diff)
	}
}

// start runs s until the test ends or stop is called; stop returns Run's error.
func start(t *testing.T, s *Server) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	var err error
	stopped := false
	stop = func() error {
		if !stopped {
			stopped = true
			cancel()
			err = <-done
		}
		return err
	}
	t.Cleanup(func() { stop() })
	select {
	case <-s.Ready():
	case err := <-done:
		done <- err
		t.Fatalf("Run: %v", err)
	}
	return stop
}

func TestSocket(t *testing.T) {
	s := newServer(t, &backend{names: []string{"blue"}})
	path := s.cfg.Socket
	stop := start(t, s)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("mode %o, want 600", got)
	}

	hc := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			return net.Dial("unix", path)
		},
	}}
	resp, err := hc.Get("http://warrend/v1/contexts")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || resp.StatusCode != 200 || !strings.Contains(string(body), `"blue"`) {
		t.Errorf("got %d %s %v, want 200 with blue", resp.StatusCode, body, err)
	}

	second, err := New(&Config{Socket: path, Backend: &backend{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "another warrend serves") {
		t.Errorf("second server: got %v, want a refusal", err)
	}

	if err := stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestStopWithOpenRequest: a request that hangs does not keep the server.
func TestStopWithOpenRequest(t *testing.T) {
	b := &backend{names: []string{"hung"}, asked: make(chan string, 1)}
	s, err := New(&Config{Socket: filepath.Join(t.TempDir(), "s"), Backend: b, WorkerTimeout: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	stop := start(t, s)
	c, err := net.Dial("unix", s.cfg.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET /v1/ike-sas HTTP/1.1\r\nHost: warrend\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-b.asked
	if err := stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	if b, _ := io.ReadAll(c); strings.Contains(string(b), "200 OK") {
		t.Errorf("the hung request was answered with %s", b)
	}
}

// TestReloadOutlivesCaller: a caller who goes away does not cut a reload short,
// and the end of the server does.
func TestReloadOutlivesCaller(t *testing.T) {
	begun, gone, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	b := &backend{reload: func(ctx context.Context) (Reload, error) {
		close(begun)
		<-gone
		select {
		case <-ctx.Done():
			ended <- errors.New("ended with its caller")
		case <-time.After(20 * time.Millisecond):
			<-ctx.Done()
			ended <- nil
		}
		return Reload{}, ctx.Err()
	}}
	s := newServer(t, b)
	stop := start(t, s)
	c, err := net.Dial("unix", s.cfg.Socket)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c,
		"POST /v1/reload HTTP/1.1\r\nHost: warrend\r\nContent-Length: 0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-begun
	c.Close()
	close(gone)
	if err := stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestListen(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, "stale")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	if l, err = listen(stale, -1); err != nil {
		t.Errorf("stale socket: %v", err)
	} else {
		l.Close()
	}

	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listen(file, -1); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("file in the way: got %v", err)
	}
	if _, err := listen(filepath.Join(dir, "none", "s"), -1); err == nil {
		t.Error("directory that is not there: no error")
	}
}

func TestConfig(t *testing.T) {
	ok := Config{Socket: "/run/s", Backend: &backend{}}
	tests := []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{name: "fine", change: func(*Config) {}},
		{name: "no socket", change: func(c *Config) { c.Socket = "" }, want: "no socket path"},
		{name: "long socket", change: func(c *Config) { c.Socket = "/" + strings.Repeat("x", 107) },
			want: "shorter run_dir"},
		{name: "no backend", change: func(c *Config) { c.Backend = nil }, want: "no backend"},
		{name: "negative", change: func(c *Config) { c.WorkerTimeout = -1 }, want: "negative"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := ok
			tt.change(&cfg)
			_, err := New(&cfg)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// changer is a backend whose configuration can be changed; it notes how.
type changer struct {
	backend
	by  []Author
	how []any
}

func (c *changer) Apply(_ context.Context, by Author, how Apply) (Applied, error) {
	c.by, c.how = append(c.by, by), append(c.how, how)
	return Applied{Version: 2}, nil
}

func (c *changer) Rollback(_ context.Context, by Author, how Rollback) (Applied, error) {
	c.by, c.how = append(c.by, by), append(c.how, how)
	return Applied{Version: 3}, nil
}

// TestChanges: who changes a configuration is known, and bad input changes
// nothing.
func TestChanges(t *testing.T) {
	long := strings.Repeat("x", maxComment+1)
	tests := []struct {
		name, target, body string
		uid, status        int
		want               string // part of the body
	}{
		{"apply", "apply", `{"confirm":60,"comment":"a pool"}`, 0, 200,
			`{"steps":[],"warnings":[],"problems":[],"version":2}`},
		{"rollback", "rollback", `{"version":1}`, 0, 200, `"version":3`},
		{"a stranger", "apply", `{}`, stranger, 403, `"code":"denied"`},
		{"negative confirm", "apply", `{"confirm":-1}`, 0, 400, "confirm is 0 to 86400 seconds, not -1"},
		{"endless confirm", "rollback", `{"version":1,"confirm":86401}`, 0, 400, "confirm is 0 to 86400 seconds"},
		{"long comment", "apply", `{"comment":"` + long + `"}`, 0, 400,
			"a comment is one line of at most 256 printing characters"},
		{"two lines", "apply", `{"comment":"a\nb"}`, 0, 400, "a comment is one line"},
		{"escape sequence", "rollback", `{"version":1,"comment":"\u001b[2J"}`, 0, 400, "a comment is one line"},
		{"no number", "rollback", `{"version":"one"}`, 0, 400, "body: "},
		{"half a version", "rollback", `{"version":1.5}`, 0, 400, "body: "},
		{"unknown field", "apply", `{"force":true}`, 0, 400, "unknown field"},
		{"no body", "apply", ``, 0, 400, "body: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := &changer{}
			status, body := do(t, newServer(t, c), tt.uid, "POST", "/v1/config/"+tt.target, tt.body)
			if status != tt.status || !strings.Contains(body, tt.want) {
				t.Errorf("got %d %s, want %d with %q", status, body, tt.status, tt.want)
			}
			if called := len(c.how) > 0; called != (tt.status == 200) {
				t.Errorf("the backend was called: %+v", c.how)
			}
			if len(c.by) > 0 && (c.by[0].UID != tt.uid || c.by[0].Name != "root") {
				t.Errorf("author: %+v", c.by[0])
			}
		})
	}
}

// TestSocketOfAGroup: the socket is root's alone, or a group's as well, also after the
// group has changed.
func TestSocketOfAGroup(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	want := func(when string, mode fs.FileMode, group int) {
		t.Helper()
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != mode || group >= 0 && int(info.Sys().(*syscall.Stat_t).Gid) != group {
			t.Errorf("%s: mode %v, %+v; want %v and group %d", when, got, info.Sys(), mode, group)
		}
	}
	group := os.Getgid()
	l, err := listen(path, group)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	want("made for a group", 0o660, group)
	for _, change := range []int{-1, group, -1} {
		if err := Restrict(path, change); err != nil {
			t.Fatal(err)
		}
		mode := fs.FileMode(0o600)
		if change >= 0 {
			mode = 0o660
		}
		want("changed", mode, change)
	}
	if err := Restrict(path+"none", -1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no socket: %v", err)
	}
}
