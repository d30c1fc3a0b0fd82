package link

import (
	"context"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/internal/record"
	"github.com/warrenvpn/warren/internal/secret"
)

// ReplicationPort is the TCP port on which a supervisor takes connections for
// its workers.
const ReplicationPort = 8306

// A greeting tells the accepting supervisor whose connection this is. It is
// authenticated, and answers a nonce that the accepting side has sent first: so
// neither strangers nor recordings reach a worker.
//
//	accepting side: nonce(16)
//	connecting side: "WRP" form length(2) record HMAC-SHA256(32)
//
// The length is that of the record. Fields that this version does not know are
// passed over.
const (
	greetingMagic   = "WRP\x03"
	greetingHead    = len(greetingMagic) + 2
	greetingNonce   = 16
	greetingTimeout = time.Second
	// maxGreeting bounds the record, and leaves room for fields to come.
	maxGreeting = 512
	// maxGreetings bounds the connections that have not said who they are.
	maxGreetings = 64
)

// greeting is what a greeting says.
type greeting struct {
	name  string // of the context
	nonce [greetingNonce]byte
}

func (g *greeting) fields(f *record.Fields) {
	f.Text(1, &g.name)
	f.Fixed(2, g.nonce[:])
	f.Require(g.name != "" && len(g.name) <= failover.MaxName)
}

// Errors of a greeting.
var (
	ErrGreeting    = errors.New("link: malformed greeting")
	ErrGreetingKey = errors.New("link: peer has another failover key")
	ErrGreetingOld = errors.New("link: greeting is a recorded one")
	// ErrNoGreeting says that the other side has closed the connection without a word,
	// as Refuses does.
	ErrNoGreeting = errors.New("link: connection without a greeting")
)

// AppendGreeting appends the greeting for a context, whose name has at most 64
// bytes.
func AppendGreeting(b []byte, key secret.Value, name string, nonce [greetingNonce]byte) []byte {
	start := len(b)
	g := greeting{name, nonce}
	b = append(b, greetingMagic...)
	b = append(b, 0, 0)
	b = record.Append(b, g.fields)
	binary.BigEndian.PutUint16(b[start+len(greetingMagic):], uint16(len(b)-start-greetingHead))
	return append(b, greetingMAC(key, b[start:])...)
}

// ParseGreeting returns the context that a complete greeting names, where it
// answers nonce.
func ParseGreeting(b []byte, key secret.Value, nonce [greetingNonce]byte) (string, error) {
	if len(b) < greetingHead {
		return "", ErrGreeting
	}
	size, err := greetingSize(b[:greetingHead])
	if err != nil || len(b) != size {
		return "", ErrGreeting
	}
	signed := len(b) - sha256.Size
	if !hmac.Equal(greetingMAC(key, b[:signed]), b[signed:]) {
		return "", ErrGreetingKey
	}
	var g greeting
	if record.Parse(b[greetingHead:signed], g.fields) != nil {
		return "", ErrGreeting
	}
	if g.nonce != nonce {
		return "", ErrGreetingOld
	}
	return g.name, nil
}

// greetingSize returns the size of the greeting that begins with head.
func greetingSize(head []byte) (int, error) {
	size := int(binary.BigEndian.Uint16(head[len(greetingMagic):]))
	if string(head[:len(greetingMagic)]) != greetingMagic || size == 0 || size > maxGreeting {
		return 0, ErrGreeting
	}
	return greetingHead + size + sha256.Size, nil
}

func greetingMAC(key secret.Value, b []byte) []byte {
	k, err := hkdf.Key(sha256.New, key.Reveal(), nil, "warren failover greeting 1", sha256.Size)
	if err != nil {
		panic("link: internal error: " + err.Error())
	}
	mac := hmac.New(sha256.New, k)
	mac.Write(b)
	return mac.Sum(nil)
}

// Dial connects to the peer's supervisor for a context and says so. The caller
// passes the descriptor of the connection to the worker.
func Dial(ctx context.Context, local netip.Addr, peer netip.AddrPort, key secret.Value,
	name string) (*net.TCPConn, error) {
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: local.AsSlice(), Zone: local.Zone()}}
	c, err := d.DialContext(ctx, "tcp", peer.String())
	if err != nil {
		return nil, fmt.Errorf("link: connecting for context %s: %w", name, err)
	}
	conn := c.(*net.TCPConn)
	_ = conn.SetDeadline(time.Now().Add(greetingTimeout))
	var nonce [greetingNonce]byte
	_, err = io.ReadFull(conn, nonce[:])
	if err == nil {
		_, err = conn.Write(AppendGreeting(nil, key, name, nonce))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("link: greeting for context %s: %w", name, err), conn.Close())
	}
	return conn, conn.SetDeadline(time.Time{})
}

// Listener takes connections for workers.
type Listener struct {
	listener *net.TCPListener
	keys     func() []secret.Value
	peer     netip.Addr
}

// Listen begins to listen at local for connections from peer. A greeting is taken
// with any of the keys, for which every one asks: it may be called by several
// goroutines at once.
func Listen(ctx context.Context, local netip.AddrPort, peer netip.Addr, keys func() []secret.Value) (*Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", local.String())
	if err != nil {
		return nil, fmt.Errorf("link: listening for the peer: %w", err)
	}
	return &Listener{l.(*net.TCPListener), keys, peer.Unmap()}, nil
}

// Addr returns where it listens.
func (l *Listener) Addr() netip.AddrPort { return l.listener.Addr().(*net.TCPAddr).AddrPort() }

// Run hands every connection to serve, which owns it and calls Greet first, until
// ctx ends. Serve is called from several goroutines, which Run waits for.
func (l *Listener) Run(ctx context.Context, serve func(conn *net.TCPConn)) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	stop := context.AfterFunc(ctx, func() { l.listener.Close() })
	defer stop()
	slots := make(chan struct{}, maxGreetings)
	for {
		conn, err := l.listener.AcceptTCP()
		if ctx.Err() != nil {
			if err == nil {
				conn.Close()
			}
			return nil
		}
		if err != nil {
			return fmt.Errorf("link: accepting: %w", err)
		}
		select {
		case slots <- struct{}{}:
		default:
			conn.Close() // too many that say nothing
			continue
		}
		wg.Go(func() {
			defer func() { <-slots }()
			serve(conn)
		})
	}
}

// Greet asks for the greeting, and reads it and not a byte more, no longer than
// greetingTimeout. It returns the context, or PeerName, that a valid one names, and
// the key that it is signed with; the connection stays the caller's.
func (l *Listener) Greet(conn *net.TCPConn) (name string, key secret.Value, err error) {
	b, nonce, err := l.read(conn)
	if err != nil {
		return "", key, err
	}
	for _, key = range l.keys() {
		if name, err = ParseGreeting(b, key, nonce); err != ErrGreetingKey {
			break
		}
	}
	if err != nil {
		return "", secret.Value{}, err
	}
	return name, key, conn.SetDeadline(time.Time{})
}

// read asks for a greeting with a nonce, and reads as much as one has.
func (l *Listener) read(conn *net.TCPConn) (b []byte, nonce [greetingNonce]byte, err error) {
	if from := conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap(); from != l.peer {
		return nil, nonce, fmt.Errorf("link: connection from %v, the peer is %v", from, l.peer)
	}
	if err := conn.SetDeadline(time.Now().Add(greetingTimeout)); err != nil {
		return nil, nonce, fmt.Errorf("link: reading greeting: %w", err)
	}
	rand.Read(nonce[:]) // never fails
	if _, err := conn.Write(nonce[:]); err != nil {
		return nil, nonce, fmt.Errorf("link: asking for a greeting: %w", err)
	}
	var head [greetingHead]byte
	switch _, err := io.ReadFull(conn, head[:]); {
	case err == io.EOF:
		return nil, nonce, ErrNoGreeting
	case err != nil:
		return nil, nonce, fmt.Errorf("link: reading greeting: %w", err)
	}
	size, err := greetingSize(head[:])
	if err != nil {
		return nil, nonce, err
	}
	b = make([]byte, size)
	copy(b, head[:])
	if _, err := io.ReadFull(conn, b[greetingHead:]); err != nil {
		return nil, nonce, fmt.Errorf("link: reading greeting: %w", err)
	}
	return b, nonce, nil
}
