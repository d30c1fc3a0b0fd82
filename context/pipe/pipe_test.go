package pipe

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/warrenvpn/warren/context/control"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// join returns two ends that serve the given handlers until the test ends.
func join(t *testing.T, a, b Handler) (*Conn, *Conn) {
	t.Helper()
	first, file, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	second, err := FromFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() { first.Serve(t.Context(), a) })
	served.Go(func() { second.Serve(t.Context(), b) })
	t.Cleanup(func() {
		first.Close()
		second.Close()
		served.Wait()
	})
	return first, second
}

func echo(_ context.Context, req *Request) (any, error) { return req.Body, nil }

func TestBothSidesAsk(t *testing.T) {
	a, b := join(t, echo, echo)
	var asking sync.WaitGroup
	for i := range 30 { // fewer than may wait
		for _, c := range []*Conn{a, b} {
			asking.Go(func() {
				msg, err := c.Call(t.Context(), control.KindIKESAs, i)
				if err != nil || string(msg.Body) != fmt.Sprint(i) || msg.Kind != control.KindAnswer {
					t.Errorf("answer to %d: %+v, %v", i, msg, err)
				}
			})
		}
	}
	asking.Wait()
}

func TestHandlerMayAsk(t *testing.T) {
	var b *Conn
	joined := make(chan struct{})
	a, b := join(t, echo, func(ctx context.Context, req *Request) (any, error) {
		<-joined
		msg, err := b.Call(ctx, control.KindRoutes, "inner")
		return msg.Body, err
	})
	close(joined)
	msg, err := a.Call(t.Context(), control.KindBoot, "outer")
	if err != nil || string(msg.Body) != `"inner"` {
		t.Errorf("got %s, %v", msg.Body, err)
	}
}

// TestFetch: descriptors go along with an answer to a worker, and belong to who has asked;
// where nobody has, or asks no more, they are closed.
func TestFetch(t *testing.T) {
	const n = 3
	late := make(chan struct{})
	a, b := join(t, func(_ context.Context, req *Request) (any, error) {
		if string(req.Body) == "true" {
			<-late
		}
		for range n {
			f, err := os.Open(os.DevNull)
			if err != nil {
				return nil, err
			}
			req.Reply = append(req.Reply, f)
		}
		if req.Kind == control.KindClaim {
			return nil, errors.New("no")
		}
		return "here", nil
	}, echo)
	_ = a
	before := openFiles(t)
	msg, files, err := b.Fetch(t.Context(), control.KindRoutes, nil)
	if err != nil || string(msg.Body) != `"here"` || len(files) != n {
		t.Fatalf("%s, %d descriptors, %v", msg.Body, len(files), err)
	}
	closeAll(files)
	if _, err := b.Call(t.Context(), control.KindRoutes, nil); err != nil {
		t.Error(err)
	}
	if _, files, err := b.Fetch(t.Context(), control.KindClaim, nil); err == nil || len(files) != 0 {
		t.Errorf("refused: %d descriptors, %v", len(files), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(time.Millisecond, cancel)
	if _, _, err := b.Fetch(ctx, control.KindRoutes, true); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	close(late)
	if _, err := b.Call(t.Context(), control.KindRoutes, nil); err != nil { // the late answer came before
		t.Error(err)
	}
	if after := openFiles(t); after != before {
		t.Errorf("%d descriptors are open, %d were", after, before)
	}
}

// TestThen ends the connection once a request is answered, as a worker does
// that is told to stop: the answer must arrive every time.
func TestThen(t *testing.T) {
	for range 50 {
		ctx, cancel := context.WithCancel(t.Context())
		a, file, err := Pair()
		if err != nil {
			t.Fatal(err)
		}
		b, err := FromFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var served sync.WaitGroup
		served.Go(func() { a.Serve(t.Context(), echo) })
		served.Go(func() {
			b.Serve(ctx, func(_ context.Context, req *Request) (any, error) {
				req.Then = cancel
				return nil, nil
			})
		})
		if _, err := a.Call(t.Context(), control.KindStop, nil); err != nil {
			t.Fatalf("the answer did not leave: %v", err)
		}
		served.Wait()
	}
}

func TestLargeFrame(t *testing.T) {
	a, _ := join(t, echo, echo)
	want := strings.Repeat("x", 5<<20)
	msg, err := a.Call(t.Context(), control.KindIKESAs, want)
	if err != nil || len(msg.Body) != len(want)+2 {
		t.Errorf("got %d bytes, %v", len(msg.Body), err)
	}
	if _, err := a.Call(t.Context(), control.KindIKESAs, strings.Repeat("x", MaxFrame)); err == nil {
		t.Error("a frame above the bound was sent")
	}
	if _, err := a.Call(t.Context(), control.KindIKESAs, "y"); err != nil {
		t.Errorf("after the refused frame: %v", err)
	}
}

func TestFilesBelongToTheirFrame(t *testing.T) {
	a, _ := join(t, echo, func(_ context.Context, req *Request) (any, error) {
		var texts []string
		for _, f := range req.Files {
			b, err := io.ReadAll(f)
			if err != nil {
				return nil, err
			}
			flags, err := fcntl(f, syscall.F_GETFD)
			if err != nil || flags&syscall.FD_CLOEXEC == 0 {
				return nil, fmt.Errorf("flags %#x, %v", flags, err)
			}
			texts = append(texts, string(b))
		}
		return texts, nil
	})
	before := openFiles(t)
	for _, n := range []int{0, 1, 3, 0, MaxFiles, 2} {
		var files []*os.File
		var want []string
		for i := range n {
			want = append(want, fmt.Sprint("file ", i))
			files = append(files, fileWith(t, want[i]))
		}
		msg, err := a.Call(t.Context(), control.KindBoot, strings.Repeat("b", 300_000), files...)
		if err != nil {
			t.Fatalf("%d files: %v", n, err)
		}
		var got []string
		if err := json.Unmarshal(msg.Body, &got); err != nil || strings.Join(got, ",") != strings.Join(want, ",") {
			t.Errorf("%d files: got %q, %v", n, got, err)
		}
		closeAll(files)
	}
	if after := openFiles(t); after != before {
		t.Errorf("%d descriptors open, %d before", after, before)
	}
	if _, err := a.Call(t.Context(), control.KindBoot, nil, make([]*os.File, MaxFiles+1)...); err == nil {
		t.Error("too many descriptors were accepted")
	}
}

func TestFailure(t *testing.T) {
	a, _ := join(t, echo, func(context.Context, *Request) (any, error) {
		return nil, errors.New("no\nroom\x1b[31m" + strings.Repeat("!", 5000))
	})
	_, err := a.Call(t.Context(), control.KindStop, nil)
	var f *Failure
	if !errors.As(err, &f) || f.Kind != control.KindStop || !strings.HasPrefix(f.Reason, "no?room?[31m") ||
		len(f.Reason) > maxReason {
		t.Errorf("got %v", err)
	}
}

func TestEndOfConnection(t *testing.T) {
	block := make(chan struct{})
	a, b := join(t, echo, func(context.Context, *Request) (any, error) {
		close(block)
		return nil, nil
	})
	b.Close()
	if _, err := a.Call(t.Context(), control.KindIKESAs, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("call on a closed connection: %v", err)
	}
	<-a.Done()
	if _, err := a.Call(t.Context(), control.KindIKESAs, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("call after the end: %v", err)
	}
}

func TestCallHonoursContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})
	a, _ := join(t, echo, func(_ context.Context, req *Request) (any, error) {
		if req.Kind == control.KindIKESAs {
			cancel()
			<-release
		}
		return nil, nil
	})
	_, err := a.Call(ctx, control.KindIKESAs, nil)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	close(release) // the late answer is dropped, the connection goes on
	if _, err := a.Call(t.Context(), control.KindLogoff, nil); err != nil {
		t.Errorf("next call: %v", err)
	}
}

// TestImpatientCalls gives up calls at every moment: the connection goes on, and
// later calls get their own answers.
func TestImpatientCalls(t *testing.T) {
	a, _ := join(t, echo, echo)
	for i := range 2000 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%100)*time.Microsecond)
		if _, err := a.Call(ctx, control.KindIKESAs, i); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("call %d: %v", i, err)
		}
		cancel()
	}
	for i := range 10 {
		msg, err := a.Call(t.Context(), control.KindIKESAs, i)
		if err != nil || string(msg.Body) != fmt.Sprint(i) {
			t.Errorf("patient call %d: %s, %v", i, msg.Body, err)
		}
	}
}

func TestServeEndsWithContext(t *testing.T) {
	a, file, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	cancel(cause)
	if err := a.Serve(ctx, echo); !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
}

func TestHostileStream(t *testing.T) {
	frame := func(text string) string {
		return string(binary.BigEndian.AppendUint32(nil, uint32(len(text)))) + text
	}
	tests := []struct {
		name, sent, want string
	}{
		{"empty frame", "\x00\x00\x00\x00", "frame of 0 bytes"},
		{"huge frame", "\xff\xff\xff\xff{", "frame of 4294967295 bytes"},
		{"no json", frame("hello"), "not a message"},
		{"array", frame("[]"), "not a message"},
		{"cut in header", "\x00\x00", "unexpected EOF"},
		{"cut in body", "\x00\x00\x00\x09{", "unexpected EOF"},
		{"cut after header", "\x00\x00\x00\x09", "unexpected EOF"},
		{"answers nobody waits for", frame(`{"id":7,"kind":"answer"}`) + frame(`{"id":1,"kind":"error"}`), ""},
		{"nothing", "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			a, file, err := Pair()
			if err != nil {
				t.Fatal(err)
			}
			if _, err := file.WriteString(test.sent); err != nil {
				t.Fatal(err)
			}
			file.Close()
			err = a.Serve(t.Context(), echo)
			if test.want == "" && err != nil || test.want != "" &&
				(err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestTooManyRequests(t *testing.T) {
	release := make(chan struct{})
	a, _ := join(t, echo, func(context.Context, *Request) (any, error) {
		<-release
		return nil, nil
	})
	const extra = 10
	maxRequests := fromSupervisor.requests
	results := make(chan error, maxRequests+extra+1)
	var asking sync.WaitGroup
	for range maxRequests + extra + 1 { // one is in the handler's hands
		asking.Go(func() {
			_, err := a.Call(t.Context(), control.KindIKESAs, nil)
			results <- err
		})
	}
	for range extra {
		var f *Failure
		if err := <-results; !errors.As(err, &f) || f.Reason != "too many open questions" {
			t.Errorf("got %v", err)
		}
	}
	close(release)
	asking.Wait()
}

func TestTooManyCalls(t *testing.T) {
	c, file, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	defer c.Close()
	for range maxCalls {
		if _, _, err := c.open(1); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Call(t.Context(), control.KindIKESAs, nil); err == nil ||
		!strings.Contains(err.Error(), "open already") {
		t.Errorf("got %v", err)
	}
}

func TestFromFileRefusesOthers(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	w.Close()
	if _, err := FromFile(r); err == nil {
		t.Error("a pipe was taken for a socket")
	}
}

// hostile returns the supervisor's end of a connection, being served, and the
// worker's as a bare socket. ended has what Serve returns.
func hostile(t *testing.T, handle Handler) (c *Conn, worker *net.UnixConn, ended chan error) {
	t.Helper()
	c, file, err := Pair()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := net.FileConn(file)
	file.Close()
	if err != nil {
		t.Fatal(err)
	}
	ended = make(chan error, 1)
	var served sync.WaitGroup
	served.Go(func() { ended <- c.Serve(t.Context(), handle) })
	t.Cleanup(func() {
		c.Close()
		raw.Close()
		served.Wait()
	})
	return c, raw.(*net.UnixConn), ended
}

func frameWith(t *testing.T, msg control.Message, size int) []byte {
	t.Helper()
	msg.Body = json.RawMessage(`"` + strings.Repeat("a", size) + `"`)
	b, err := appendFrame(nil, msg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestWorkerMayNotPassDescriptors: the supervisor needs none, and every one is
// taken from all contexts. None is ever installed, and the connection ends.
func TestWorkerMayNotPassDescriptors(t *testing.T) {
	for _, kind := range []control.Kind{control.KindRoutes, control.KindAnswer} {
		_, worker, ended := hostile(t, echo)
		f := fileWith(t, "x")
		before := openFiles(t)
		if _, err := writeFrame(worker, frameWith(t, control.Message{ID: 1, Kind: kind}, 1),
			[]*os.File{f, f, f}); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; !errors.Is(err, errDescriptors) {
			t.Errorf("%s with descriptors: %v", kind, err)
		}
		if after := openFiles(t); after > before {
			t.Errorf("%d descriptors open, %d before", after, before)
		}
		f.Close()
	}
}

// TestWorkerIsBounded: what a worker sends is small, unless it is the answer to a
// question that has a long one.
func TestWorkerIsBounded(t *testing.T) {
	const large = 1 << 20
	t.Run("a large request", func(t *testing.T) {
		_, worker, ended := hostile(t, echo)
		worker.Write(frameWith(t, control.Message{ID: 1, Kind: control.KindRoutes}, large))
		if err := <-ended; err == nil || !strings.Contains(err.Error(), "frame of") {
			t.Errorf("got %v", err)
		}
	})
	for _, kind := range []control.Kind{control.KindRoutes, control.KindAnswer} {
		t.Run(fmt.Sprintf("a large %s while a long answer is due", kind), func(t *testing.T) {
			c, worker, ended := hostile(t, echo)
			go c.Call(t.Context(), control.KindIKESAs, nil)
			if _, err := worker.Read(make([]byte, 1000)); err != nil { // the question is open
				t.Fatal(err)
			}
			worker.Write(frameWith(t, control.Message{ID: 77, Kind: kind}, large))
			if err := <-ended; err == nil || !strings.Contains(err.Error(), "are allowed") {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("a large answer to a small question", func(t *testing.T) {
		c, worker, ended := hostile(t, echo)
		go c.Call(t.Context(), control.KindPing, nil)
		if _, err := worker.Read(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		worker.Write(frameWith(t, control.Message{ID: 1, Kind: control.KindAnswer}, large))
		if err := <-ended; err == nil || !strings.Contains(err.Error(), "frame of") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a long answer that comes too late", func(t *testing.T) {
		c, worker, _ := hostile(t, echo)
		ctx, cancel := context.WithCancel(t.Context())
		gaveUp := make(chan error)
		go func() {
			_, err := c.Call(ctx, control.KindIKESAs, nil)
			gaveUp <- err
		}()
		if _, err := worker.Read(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		cancel()
		<-gaveUp
		worker.Write(frameWith(t, control.Message{ID: 1, Kind: control.KindAnswer}, large))
		answered := make(chan error, 1)
		go func() {
			_, err := worker.Read(make([]byte, 1000))
			worker.Write(frameWith(t, control.Message{ID: 2, Kind: control.KindAnswer}, 3))
			answered <- err
		}()
		msg, err := c.Call(t.Context(), control.KindPing, nil)
		if err != nil || string(msg.Body) != `"aaa"` || <-answered != nil {
			t.Errorf("got %s, %v", msg.Body, err)
		}
	})
}

// TestFloodOfRequests has a worker ask without reading the answers: what waits is
// bounded in number, and each is small.
func TestFloodOfRequests(t *testing.T) {
	release := make(chan struct{})
	c, worker, _ := hostile(t, func(context.Context, *Request) (any, error) {
		<-release
		return nil, nil
	})
	defer close(release)
	frame := frameWith(t, control.Message{ID: 1, Kind: control.KindRoutes}, fromWorker.frame/2)
	refused := control.Message{}
	for range fromWorker.requests + 2 { // one is in the handler's hands
		if _, err := worker.Write(frame); err != nil {
			t.Fatal(err)
		}
	}
	r := &frameReader{conn: worker}
	refused, _, err := r.next()
	if err != nil || refused.Kind != control.KindError || !strings.Contains(string(refused.Body), errTooMany.Error()) {
		t.Errorf("got %+v, %v", refused, err)
	}
	select {
	case <-c.Done():
		t.Error("the connection has ended")
	default:
	}
}

// script plays a byte stream in pieces as a connection would.
type script struct {
	data  []byte
	piece int
}

func (s *script) ReadMsgUnix(b, _ []byte) (n, oobn, flags int, addr *net.UnixAddr, err error) {
	if len(s.data) == 0 {
		return 0, 0, 0, nil, io.EOF
	}
	n = copy(b[:min(len(b), s.piece)], s.data)
	s.data = s.data[n:]
	return n, 0, 0, nil, nil
}

func FuzzFrame(f *testing.F) {
	good, err := appendFrame(nil, control.Message{ID: 1, Kind: control.KindIKESAs, Body: json.RawMessage(`{"a":[1]}`)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, 3)
	f.Add(append(good, good...), 1000)
	f.Add([]byte("\x00\x00\x00\x02{}"), 1)
	f.Add([]byte("\x01\xff\xff\xff"), 4)
	f.Fuzz(func(t *testing.T, data []byte, piece int) {
		r := &frameReader{conn: &script{data, max(1, piece)}}
		for {
			msg, files, err := r.next()
			if err != nil {
				return
			}
			if len(files) != 0 {
				t.Fatal("descriptors out of nowhere")
			}
			again, err := appendFrame(nil, msg)
			if err != nil {
				t.Fatalf("a read message cannot be written: %v", err)
			}
			if _, _, err := (&frameReader{conn: &script{again, 7}}).next(); err != nil {
				t.Fatalf("a written message cannot be read: %v", err)
			}
		}
	})
}

func fileWith(t *testing.T, text string) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	w.WriteString(text)
	w.Close()
	return r
}

func fcntl(f *os.File, cmd uintptr) (flags uintptr, err error) {
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, err
	}
	var errno syscall.Errno
	err = raw.Control(func(fd uintptr) {
		flags, _, errno = syscall.Syscall(syscall.SYS_FCNTL, fd, cmd, 0)
	})
	if errno != 0 {
		err = errno
	}
	return flags, err
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
