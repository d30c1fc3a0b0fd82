// Package pipe carries context/control messages over a unix stream socket
// between the supervisor and a worker: each frame is four bytes of length, big
// endian, and one control.Message as JSON; descriptors travel with the first
// bytes of their frame (SCM_RIGHTS). Both sides may ask and answer at once.
//
// It does I/O. It knows nothing of what the messages say, and takes the other
// side for hostile: everything is bounded, an answer that nobody waits for is
// dropped, descriptors that nobody takes are closed, and a frame that cannot
// be read ends the connection. The supervisor, which has many workers, gives each
// of them less than it takes itself: no descriptors, and large frames only as
// the answer to a question that has one.
package pipe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode"

	"github.com/warrenvpn/warren/context/control"
)

// bounds are what one side takes from the other.
type bounds struct {
	frame    int  // bytes of a frame that is not the answer to a large question
	requests int  // questions that wait for us; one more is refused at once
	files    bool // whether frames may come with descriptors
}

var (
	// fromWorker is what the supervisor takes. A worker asks one thing after the
	// other.
	fromWorker = bounds{frame: 64 << 10, requests: 32}
	// fromSupervisor is what a worker takes: boot messages are long, and have
	// descriptors.
	fromSupervisor = bounds{frame: MaxFrame, requests: 256, files: true}
)

const (
	// maxCalls bounds the questions of our own that wait for an answer.
	maxCalls = 1024
	// maxLate bounds the answers that are still taken, and dropped, though nobody
	// waits for them any more.
	maxLate = 1024
	// maxReason bounds the text of a Failure, in bytes.
	maxReason = 1024
)

// ErrClosed is what a call returns whose connection has ended.
var ErrClosed = errors.New("pipe: connection closed")

// Failure is the error of a call that the other side has answered with
// control.KindError.
type Failure struct {
	Kind   control.Kind  // what was asked
	Reason string        // printable, on one line
	Cause  control.Cause // what the other side says; compare it, never print it
}

// Error implements error.
func (f *Failure) Error() string {
	return fmt.Sprintf("pipe: %s refused: %s", f.Kind, f.Reason)
}

// Request is a question of the other side.
type Request struct {
	control.Message
	// Files are the descriptors that came along. Those still here when the
	// handler returns are closed: a handler that keeps one takes it out.
	Files []*os.File
	// Reply is for the handler to set: descriptors that go along with its answer, and are
	// closed then.
	Reply []*os.File
	// Then is for the handler to set: it is called when the answer has left, or
	// cannot leave any more.
	Then func()
}

// Handler answers one request with the body of the answer, which may be nil,
// or an error, whose text becomes the Failure. It may use the Conn to ask.
type Handler func(ctx context.Context, req *Request) (any, error)

// Conn is one end of a connection. Its methods may be called from several
// goroutines at once.
type Conn struct {
	conn    *net.UnixConn
	bounds  bounds
	closed  chan struct{}
	writing chan struct{} // holds one token: who has it may write a frame

	mu      sync.Mutex // protects the fields below; never held across I/O
	lastID  uint64
	waiting map[uint64]call
	late    map[uint64]int // bytes of answers that were given up
	isOver  bool
}

// call is a question that waits for its answer.
type call struct {
	answer chan answer
	most   int // bytes of the frame with the answer
}

// answer is what came for a call.
type answer struct {
	control.Message
	files []*os.File
}

// FromFile returns the worker's end of a connection, which a descriptor leads to.
// It takes f over, also on error.
func FromFile(f *os.File) (*Conn, error) { return fromFile(f, fromSupervisor) }

func fromFile(f *os.File, b bounds) (*Conn, error) {
	conn, err := unixConn(f)
	if err != nil {
		return nil, err
	}
	c := &Conn{
		conn: conn, bounds: b, closed: make(chan struct{}), writing: make(chan struct{}, 1),
		waiting: make(map[uint64]call), late: make(map[uint64]int),
	}
	c.writing <- struct{}{}
	return c, nil
}

// Pair returns the supervisor's end of a connection, and the other one as a file
// to give to a worker.
func Pair() (*Conn, *os.File, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX,
		syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("pipe: making socket pair: %w", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "control")
	ours, err := fromFile(os.NewFile(uintptr(fds[0]), "control"), fromWorker)
	if err != nil {
		theirs.Close()
		return nil, nil, err
	}
	return ours, theirs, nil
}

// Close ends the connection: Serve returns and open calls get ErrClosed.
func (c *Conn) Close() error {
	c.end()
	return nil
}

// Done is closed when the connection has ended.
func (c *Conn) Done() <-chan struct{} { return c.closed }

// Call asks the other side and waits for the answer, for which Serve must run.
// The files stay the caller's. The error is a *Failure when the other side
// refused, ErrClosed when the connection ended, or that of ctx.
func (c *Conn) Call(ctx context.Context, kind control.Kind, body any, files ...*os.File) (control.Message, error) {
	msg, came, err := c.ask(ctx, kind, body, files)
	closeAll(came)
	return msg, err
}

// Fetch is Call for an answer that comes with descriptors. They are the caller's.
func (c *Conn) Fetch(ctx context.Context, kind control.Kind, body any) (control.Message, []*os.File, error) {
	return c.ask(ctx, kind, body, nil)
}

// ask is Call; what comes with the answer is the caller's. On error nothing does.
func (c *Conn) ask(
	ctx context.Context, kind control.Kind, body any, files []*os.File,
) (control.Message, []*os.File, error) {
	if len(files) > MaxFiles {
		return control.Message{}, nil, fmt.Errorf("pipe: %d descriptors for one message; %d are allowed",
			len(files), MaxFiles)
	}
	id, came, err := c.open(max(c.bounds.frame, frameOf(control.MaxAnswer(kind))))
	if err != nil {
		return control.Message{}, nil, err
	}
	defer c.forget(id, came)
	if err := c.send(ctx, control.Message{ID: id, Kind: kind}, body, files); err != nil {
		return control.Message{}, nil, err
	}
	var a answer
	select {
	case a = <-came:
	case <-ctx.Done():
		return a.Message, nil, fmt.Errorf("pipe: waiting for the answer to %s: %w", kind, ctx.Err())
	case <-c.closed:
		select {
		case a = <-came: // it came just before the end
		default:
			return a.Message, nil, ErrClosed
		}
	}
	if a.Kind == control.KindError {
		closeAll(a.files)
		return a.Message, nil, parseFailure(kind, a.Body)
	}
	return a.Message, a.files, nil
}

// Serve reads from the connection until it ends: answers go to their callers,
// requests to handle, one at a time in the order they came. It returns nil when
// the other side has closed the connection or Close was called, the error of
// ctx, or what was wrong with the stream; in every case the connection is over
// and no goroutine of it is left.
func (c *Conn) Serve(ctx context.Context, handle Handler) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, c.end)
	defer stop()

	requests := make(chan *Request, c.bounds.requests)
	var handlers sync.WaitGroup
	handlers.Go(func() {
		for req := range requests {
			c.answer(ctx, req, handle)
		}
	})

	reader := &frameReader{conn: c.conn, limit: c.most, takesFiles: c.bounds.files}
	err := c.read(ctx, reader, requests)
	cause := context.Cause(ctx)
	c.end()
	cancel()
	close(requests)
	handlers.Wait()

	switch {
	case cause != nil:
		return cause
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.Is(err, syscall.ECONNRESET):
		return nil
	}
	return fmt.Errorf("pipe: reading: %w", err)
}

// read dispatches frames until the stream ends.
func (c *Conn) read(ctx context.Context, reader *frameReader, requests chan<- *Request) error {
	for {
		msg, files, err := reader.next()
		if err != nil {
			return err
		}
		if msg.Kind == control.KindAnswer || msg.Kind == control.KindError {
			if err := c.deliver(answer{msg, files}); err != nil {
				return err
			}
			continue
		}
		if len(msg.Body) > c.bounds.frame {
			closeAll(files)
			return fmt.Errorf("request of %d bytes; %d are allowed", len(msg.Body), c.bounds.frame)
		}
		req := &Request{Message: msg, Files: files}
		select {
		case requests <- req:
		default:
			closeAll(files)
			c.refuse(ctx, msg.ID, errTooMany)
		}
	}
}

// answer runs the handler and sends what it returns.
func (c *Conn) answer(ctx context.Context, req *Request, handle Handler) {
	if ctx.Err() != nil {
		closeAll(req.Files)
		return
	}
	body, err := handle(ctx, req)
	closeAll(req.Files)
	if err == nil {
		err = c.send(ctx, control.Message{ID: req.ID, Kind: control.KindAnswer}, body, req.Reply)
	}
	closeAll(req.Reply)
	if err != nil {
		c.refuse(ctx, req.ID, err)
	}
	if req.Then != nil {
		req.Then()
	}
}

// errTooMany is the answer to a question beyond the bound.
var errTooMany = errors.New("too many open questions")

func (c *Conn) refuse(ctx context.Context, id uint64, why error) {
	msg := control.Message{ID: id, Kind: control.KindError}
	failure := control.Failure{Reason: why.Error()}
	var caused *control.Error
	if errors.As(why, &caused) {
		failure.Cause = caused.Cause
	}
	if c.send(ctx, msg, failure, nil) != nil {
		c.end() // the other side would wait for ever
	}
}

// send writes one frame. A frame that was cut short by ctx ends the
// connection, for nothing could be written after half a frame.
func (c *Conn) send(ctx context.Context, msg control.Message, body any, files []*os.File) error {
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("pipe: encoding %s: %w", msg.Kind, err)
		}
		msg.Body = text
	}
	frame, err := appendFrame(nil, msg)
	if err != nil {
		return fmt.Errorf("pipe: encoding %s: %w", msg.Kind, err)
	}
	select {
	case <-c.writing:
	case <-ctx.Done():
		return fmt.Errorf("pipe: waiting to send %s: %w", msg.Kind, ctx.Err())
	case <-c.closed:
		return ErrClosed
	}
	defer func() { c.writing <- struct{}{} }()
	interrupted := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		c.conn.SetWriteDeadline(time.Unix(1, 0))
		close(interrupted)
	})
	n, err := writeFrame(c.conn, frame, files)
	if !stop() {
		<-interrupted
		c.conn.SetWriteDeadline(time.Time{})
	}
	if err == nil {
		return nil
	}
	if n > 0 || ctx.Err() == nil {
		c.end()
	}
	if ctx.Err() != nil {
		return fmt.Errorf("pipe: sending %s: %w", msg.Kind, ctx.Err())
	}
	return ErrClosed
}

// open registers a question whose answer has most bytes at most.
func (c *Conn) open(most int) (uint64, <-chan answer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isOver {
		return 0, nil, ErrClosed
	}
	if len(c.waiting) >= maxCalls {
		return 0, nil, fmt.Errorf("pipe: %d questions are open already", maxCalls)
	}
	c.lastID++
	came := make(chan answer, 1)
	c.waiting[c.lastID] = call{came, most}
	return c.lastID, came, nil
}

// deliver hands an answer to its caller; one that nobody waits for is dropped.
// The error is that of an answer which is too large for its question.
func (c *Conn) deliver(msg answer) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	asked, waits := c.waiting[msg.ID]
	most := c.bounds.frame
	if waits {
		most = asked.most
	} else if late, ok := c.late[msg.ID]; ok {
		most = late
	}
	delete(c.waiting, msg.ID)
	delete(c.late, msg.ID)
	if len(msg.Body) > most {
		closeAll(msg.files)
		return fmt.Errorf("answer of %d bytes; %d are allowed", len(msg.Body), most)
	}
	if !waits {
		closeAll(msg.files)
		return nil
	}
	asked.answer <- msg // it has room for one
	return nil
}

// most returns how many bytes the next frame may have: those of the largest
// answer that may still come.
func (c *Conn) most() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	most := c.bounds.frame
	for _, asked := range c.waiting {
		most = max(most, asked.most)
	}
	for _, late := range c.late {
		most = max(most, late)
	}
	return most
}

// forget gives a question up. Its answer may still come; what has come and was not taken
// is closed.
func (c *Conn) forget(id uint64, came <-chan answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	asked, waits := c.waiting[id]
	if !waits { // answered
		select {
		case a := <-came:
			closeAll(a.files)
		default:
		}
		return
	}
	delete(c.waiting, id)
	if asked.most > c.bounds.frame && len(c.late) < maxLate {
		c.late[id] = asked.most
	}
}

// frameOf returns the size of a frame whose body has this many bytes.
func frameOf(body int) int { return body + MaxFrame - control.MaxBody }

func (c *Conn) end() {
	c.mu.Lock()
	first := !c.isOver
	c.isOver = true
	c.mu.Unlock()
	if first {
		close(c.closed)
		c.conn.Close()
	}
}

// parseFailure reads the answer that is a control.Failure, in a form that is
// safe to log.
func parseFailure(asked control.Kind, body []byte) *Failure {
	var f control.Failure
	if json.Unmarshal(body, &f) != nil || f.Reason == "" {
		return &Failure{Kind: asked, Reason: "no reason given"}
	}
	text := f.Reason[:min(len(f.Reason), maxReason)]
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
	return &Failure{Kind: asked, Reason: text, Cause: f.Cause}
}
