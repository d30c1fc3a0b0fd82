package link

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/secret"
)

var loopback = netip.MustParseAddr("127.0.0.1")

// taken is what a Listener has delivered and refused.
type taken struct {
	names   chan string
	refused chan error
	conns   sync.Map
}

// listen runs a Listener for peer until the test ends.
func listen(t *testing.T, peer netip.Addr) (*Listener, *taken) {
	t.Helper()
	l, err := Listen(t.Context(), netip.AddrPortFrom(loopback, 0), peer, func() []secret.Value {
		return []secret.Value{secret.Copy([]byte("the next failover key")), testKey}
	})
	if err != nil {
		t.Fatal(err)
	}
	got := &taken{names: make(chan string, 200), refused: make(chan error, 200)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() {
		done <- l.Run(ctx, func(c *net.TCPConn) {
			name, _, err := l.Greet(c)
			if err != nil {
				c.Close()
				got.refused <- err
				return
			}
			got.conns.Store(c, true)
			got.names <- name
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		got.conns.Range(func(c, _ any) bool { c.(net.Conn).Close(); return true })
	})
	return l, got
}

func TestListenerDelivers(t *testing.T) {
	l, got := listen(t, loopback)
	c, err := Dial(t.Context(), loopback, l.Addr(), testKey, "acme")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if name := <-got.names; name != "acme" {
		t.Errorf("delivered for %q", name)
	}
	// Not a byte beyond the greeting is read: the rest is the worker's.
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	got.conns.Range(func(x, _ any) bool {
		b := make([]byte, 5)
		conn := x.(*net.TCPConn)
		conn.SetReadDeadline(time.Now().Add(time.Minute))
		if n, err := conn.Read(b); string(b[:n]) != "hello" {
			t.Errorf("read %q, %v", b[:n], err)
		}
		return true
	})
}

func TestListenerRefuses(t *testing.T) {
	l, got := listen(t, loopback)
	if c, err := Dial(t.Context(), loopback, l.Addr(), secret.Copy([]byte("another failover key")),
		"acme"); err != nil {
		t.Fatal(err)
	} else {
		defer c.Close()
	}
	if err := <-got.refused; !errors.Is(err, ErrGreetingKey) {
		t.Errorf("wrong key: got %v, want %v", err, ErrGreetingKey)
	}
	for name, send := range map[string]string{
		"another protocol": "GET / HTTP/1.1\r\nHost: warren\r\n\r\n" + string(make([]byte, 200)),
		"too long":         greetingMagic + "\xff\xff" + string(make([]byte, 400)),
		"nothing":          greetingMagic + "\x00\x00" + string(make([]byte, 400)),
	} {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.Write([]byte(send))
		if err := <-got.refused; !errors.Is(err, ErrGreeting) {
			t.Errorf("%s: got %v, want %v", name, err, ErrGreeting)
		}
	}
	other, gotOther := listen(t, netip.MustParseAddr("192.0.2.1"))
	if c, err := Dial(t.Context(), loopback, other.Addr(), testKey, "acme"); err == nil {
		c.Close()
		t.Error("somebody else is asked for a greeting")
	}
	if err := <-gotOther.refused; err == nil || len(gotOther.names) > 0 {
		t.Errorf("a connection from somebody else: %v", err)
	}
}

// TestListenerTakesNoRecording: a greeting that was recorded reaches nobody.
func TestListenerTakesNoRecording(t *testing.T) {
	l, got := listen(t, loopback)
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.Write(AppendGreeting(nil, testKey, "acme", testNonce))
	if err := <-got.refused; !errors.Is(err, ErrGreetingOld) {
		t.Errorf("got %v, want %v", err, ErrGreetingOld)
	}
}

// TestListenerBounds: connections that say nothing are bounded in number and in
// time, and the next one is served.
func TestListenerBounds(t *testing.T) {
	l, got := listen(t, loopback)
	var silent []net.Conn
	for range maxGreetings + 20 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		silent = append(silent, c)
	}
	closed := 0
	for _, c := range silent {
		c.SetReadDeadline(time.Now().Add(time.Minute))
		if _, err := io.Copy(io.Discard, c); !errors.Is(err, os.ErrDeadlineExceeded) {
			closed++
		}
		c.Close()
	}
	if closed != len(silent) {
		t.Errorf("%d of %d silent connections were closed", closed, len(silent))
	}
	for range maxGreetings {
		if err := <-got.refused; err == nil {
			t.Error("refused without a reason")
		}
	}
	c, err := Dial(t.Context(), loopback, l.Addr(), testKey, "acme")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if name := <-got.names; name != "acme" {
		t.Errorf("delivered for %q", name)
	}
}
