package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/system/fault"
)

// Bounds of the server. Callers are local and few, but none of them may make
// the supervisor wait or grow.
const (
	// maxBody is far above the largest request, a logoff.
	maxBody = 64 << 10
	// maxHeader bounds what is read before a route is known.
	maxHeader = 16 << 10
	// headerTimeout ends a caller that connects and says nothing.
	headerTimeout = 5 * time.Second
	// idleTimeout ends a kept connection.
	idleTimeout = time.Minute
	// stopGrace is what open requests get to finish when the server stops.
	stopGrace = 2 * time.Second
	// workerTimeout is the default of Config.WorkerTimeout: a worker answers
	// in milliseconds, and an operator waits no longer for one that hangs.
	workerTimeout = 2 * time.Second
	// maxSocketPath is the room in the kernel's sockaddr_un, less the NUL.
	maxSocketPath = 107
)

// Config is what a Server needs.
type Config struct {
	// Socket is the path of the unix socket. It is made with mode 0600, or see Group.
	Socket string
	// Group returns the number of the group whose members may use the socket to read;
	// -1: there is none. It is asked when the socket is made; nil: there never is one.
	Group func() int
	// Peers are connections of the other node of a failover pair, authenticated;
	// nil: there is none.
	Peers net.Listener
	// Backend answers.
	Backend Backend
	// Log gets one record per request; nil discards them.
	Log *slog.Logger
	// Enter, which may be nil, is called for each context that a request is about
	// before it is answered, and what it returns when it was. An error, best an
	// *fault.Error, is the answer.
	Enter func(context string) (leave func(), err error)
	// Shared, which may be nil, returns what the contexts share, as rows of the
	// context "system".
	Shared func() []control.Resource
	// Renew asks to make the socket again where it has been removed; nil: nothing
	// does.
	Renew <-chan os.Signal
	// WorkerTimeout is how long one context may take to answer when several are
	// asked, and alone; 0 means 2 s.
	WorkerTimeout time.Duration
}

func (c *Config) validate() error {
	switch {
	case c.Socket == "":
		return errors.New("api: no socket path")
	case len(c.Socket) > maxSocketPath:
		return fmt.Errorf("api: socket path %q has %d bytes and the kernel takes at most %d: choose a shorter run_dir",
			c.Socket, len(c.Socket), maxSocketPath)
	case c.Backend == nil:
		return errors.New("api: no backend")
	case c.WorkerTimeout < 0:
		return fmt.Errorf("api: negative worker time-out %v", c.WorkerTimeout)
	}
	return nil
}

// Server serves the API. It implements task.Task.
type Server struct {
	cfg     Config
	log     *slog.Logger
	handler http.Handler
	ready   chan struct{}
	open    sync.WaitGroup // requests that are being answered
}

// New returns a Server; Run serves.
func New(cfg *Config) (*Server, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	s := &Server{cfg: *cfg, log: cfg.Log, ready: make(chan struct{})}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.cfg.WorkerTimeout == 0 {
		s.cfg.WorkerTimeout = workerTimeout
	}
	s.handler = s.mux()
	return s, nil
}

// String implements task.Task.
func (s *Server) String() string { return "api" }

// Ready is closed once the socket accepts callers.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Run serves until ctx ends, gives open requests a moment to finish, and
// removes the socket. It may be called once.
func (s *Server) Run(ctx context.Context) error {
	l, err := listen(s.cfg.Socket, s.group())
	if err != nil {
		return err
	}
	requests, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	requests = context.WithValue(requests, serverKey{}, requests)
	requests = context.WithValue(requests, runningKey{}, ctx) // what has no end ends when the server stops
	srv := s.server(requests, withCaller)
	peers := s.server(requests, withPeer)
	served := make(chan error, 1)
	var serving sync.WaitGroup
	defer serving.Wait()
	serve := func(l net.Listener) {
		serving.Go(func() {
			select {
			case served <- srv.Serve(l):
			default:
			}
		})
	}
	serve(l)
	if s.cfg.Peers != nil {
		serving.Go(func() { _ = peers.Serve(s.cfg.Peers) }) // it ends with the pair, or with us
		defer peers.Close()
	}
	close(s.ready)
	s.log.Info("api serves", "socket", s.cfg.Socket)

	for ended := false; !ended; {
		select {
		case err := <-served:
			os.Remove(s.cfg.Socket)
			return fmt.Errorf("api: serving on %s: %w", s.cfg.Socket, err)
		case <-s.cfg.Renew:
			if l, err := s.renew(); err != nil {
				s.log.Error("api socket not made again", "socket", s.cfg.Socket, "reason", err)
			} else if l != nil {
				serve(l)
				s.log.Warn("api socket made again: somebody had removed it", "socket", s.cfg.Socket)
			}
		case <-ctx.Done():
			ended = true
		}
	}
	os.Remove(s.cfg.Socket) // newcomers see at once that nobody is there
	grace, stop := context.WithTimeout(requests, stopGrace)
	defer stop()
	if err := srv.Shutdown(grace); err != nil {
		srv.Close() // first, so that nobody gets half an answer for a whole one
		cancel()    // open requests end now
	}
	s.open.Wait()
	return nil
}

// renew makes the socket again where it is gone; nil: it is there.
func (s *Server) renew() (net.Listener, error) {
	if _, err := os.Lstat(s.cfg.Socket); !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(s.cfg.Socket), 0o755); err != nil {
		return nil, err
	}
	l, err := listen(s.cfg.Socket, s.group())
	if err != nil {
		return nil, err
	}
	return l, nil
}

// server returns a server for callers of one kind.
func (s *Server) server(requests context.Context, caller func(context.Context, net.Conn) context.Context) *http.Server {
	return &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ConnContext:       caller,
		BaseContext:       func(net.Listener) context.Context { return requests },
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
}

// serverKey is where a request's context holds the server's own.
type serverKey struct{}

// detached returns a context that lives on when the caller goes away, and ends
// with the server or after timeout: what was begun is not left half done because
// somebody pressed ^C.
func detached(r *http.Request, timeout time.Duration) (context.Context, context.CancelFunc) {
	base, ok := r.Context().Value(serverKey{}).(context.Context)
	if !ok {
		base = r.Context()
	}
	return context.WithTimeout(base, timeout)
}

func (s *Server) group() int {
	if s.cfg.Group == nil {
		return -1
	}
	return s.cfg.Group()
}

// Restrict lets nobody but root and the members of a group use the socket at path;
// -1: nobody but root.
func Restrict(path string, group int) error {
	err := os.Chmod(path, 0o600)
	if err == nil && group >= 0 {
		if err = os.Chown(path, -1, group); err == nil {
			err = os.Chmod(path, 0o660)
		}
	}
	if err != nil {
		return fmt.Errorf("api: protecting socket: %w", err)
	}
	return nil
}

// listen makes the socket, restricted to the group from its first moment on: it is
// bound beside its place and renamed into it. A socket that a dead server left
// behind is replaced; one that somebody serves is not.
func listen(path string, group int) (*net.UnixListener, error) {
	if err := checkFree(path); err != nil {
		return nil, err
	}
	aside := filepath.Join(filepath.Dir(path), fmt.Sprintf(".s%d", os.Getpid()))
	os.Remove(aside)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: aside, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("api: making socket %s: %w", path, err)
	}
	l.SetUnlinkOnClose(false)
	if err := Restrict(aside, group); err != nil {
		l.Close()
		os.Remove(aside)
		return nil, err
	}
	if err := os.Rename(aside, path); err != nil {
		l.Close()
		os.Remove(aside)
		return nil, fmt.Errorf("api: making socket %s: %w", path, err)
	}
	return l, nil
}

// checkFree refuses a path where somebody listens, or that is no socket.
func checkFree(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("api: looking at socket %s: %w", path, err)
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("api: %s is in the way and no socket: move it, or choose another run_dir", path)
	}
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		c.Close()
		return fmt.Errorf("api: another warrend serves %s: stop it, or choose another run_dir", path)
	}
	return nil
}

// mux turns the table of routes into a handler.
func (s *Server) mux() http.Handler {
	mux := http.NewServeMux()
	for _, rt := range routes {
		mux.HandleFunc(rt.verb+" "+rt.path, func(w http.ResponseWriter, r *http.Request) {
			s.serve(w, r, &rt)
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, noRoute(r))
	})
	return mux
}

// noRoute is the error for a request that matches no line of the table.
func noRoute(r *http.Request) *fault.Error {
	var verbs []string
	for _, rt := range routes {
		if matches(rt.path, r.URL.Path) {
			verbs = append(verbs, rt.verb)
		}
	}
	if len(verbs) == 0 {
		return &fault.Error{
			Code:   fault.CodeNoRoute,
			Reason: fmt.Sprintf("there is no path %q", r.URL.Path),
			Hint:   "GET /v1/openapi.json describes the API",
		}
	}
	return &fault.Error{
		Code:   fault.CodeNoMethod,
		Reason: fmt.Sprintf("%q does not know the method %q", r.URL.Path, r.Method),
		Hint:   "it knows " + strings.Join(verbs, ", "),
	}
}

// matches reports whether path has the shape of pattern.
func matches(pattern, path string) bool {
	want, have := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(have) {
		return false
	}
	for i := range want {
		if !strings.HasPrefix(want[i], "{") && want[i] != have[i] {
			return false
		}
	}
	return true
}
