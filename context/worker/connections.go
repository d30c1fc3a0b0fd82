package worker

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/pipe"
)

// connections are the connections to the supervisor, one after the other. Each ends
// with the supervisor that made it. While there is none the worker goes on with its
// SAs, and what it asks waits for the next one.
type connections struct {
	mu   sync.Mutex    // protects what follows
	conn *pipe.Conn    // nil: there is none
	next chan struct{} // closed when there is another one
}

func newConnections() *connections { return &connections{next: make(chan struct{})} }

// set makes c the connection.
func (s *connections) set(c *pipe.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn = c
	close(s.next)
	s.next = make(chan struct{})
}

// present returns the connection, nil for none, and what tells of the next one.
func (s *connections) present() (*pipe.Conn, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conn, s.next
}

// call asks the supervisor, and where that is gone the next one. All that a worker
// asks for may be asked twice.
func (s *connections) call(ctx context.Context, kind control.Kind, body any) (control.Message, error) {
	msg, files, err := s.fetch(ctx, kind, body)
	for _, f := range files {
		f.Close()
	}
	return msg, err
}

// fetch is call for an answer that comes with descriptors, which are the caller's.
func (s *connections) fetch(ctx context.Context, kind control.Kind, body any) (control.Message, []*os.File, error) {
	for {
		conn, next := s.present()
		if conn != nil {
			answer, files, err := conn.Fetch(ctx, kind, body)
			if !errors.Is(err, pipe.ErrClosed) {
				return answer, files, err
			}
		}
		select {
		case <-next:
		case <-ctx.Done():
			return control.Message{}, nil, ctx.Err()
		}
	}
}

// serve takes connections from the line, and serves each until there is another one,
// until ctx ends or nobody holds the other end of the line: then it returns nil. orphaned is
// called behind each of them, before there is another one. In every case no goroutine of it is
// left.
func (s *connections) serve(ctx context.Context, line *pipe.Line, handle pipe.Handler, orphaned func()) error {
	stop := context.AfterFunc(ctx, func() { line.Close() })
	defer stop()
	var conn *pipe.Conn
	var serving sync.WaitGroup
	defer func() {
		if conn != nil {
			conn.Close()
		}
		serving.Wait()
	}()
	for {
		fresh, err := line.Accept()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if conn != nil {
			conn.Close()
			serving.Wait()
		}
		conn = fresh
		s.set(conn)
		serving.Go(func() {
			_ = fresh.Serve(ctx, handle) // whatever ends it, there may be another one
			orphaned()
		})
	}
}
