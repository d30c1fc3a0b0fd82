package link

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warrenvpn/warren/failover"
	"github.com/warrenvpn/warren/failover/journal"
	"github.com/warrenvpn/warren/failover/link/linktest"
	"github.com/warrenvpn/warren/internal/secret"
)

func testConfig(unit failover.Unit) SessionConfig {
	return SessionConfig{Key: failover.TenantKey(testKey, "acme"), Unit: unit}
}

// sessions connects two configurations; an error stands for its session.
func sessions(a, b SessionConfig) (x, y *Session, errX, errY error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	cable := linktest.NewCable(nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		y, errY = NewSession(ctx, cable.Ends[1], b)
	}()
	x, errX = NewSession(ctx, cable.Ends[0], a)
	<-done
	return x, y, errX, errY
}

func TestSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, errA, errB := sessions(testConfig(failover.UnitPrimary), testConfig(failover.UnitSecondary))
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		for _, s := range []struct{ from, to *Session }{{a, b}, {b, a}} {
			for n := range 600 { // more than a queue
				for !s.from.Send([]byte(fmt.Sprint("message ", n))) {
					<-s.from.Room()
				}
				if got := string(<-s.to.Received()); got != fmt.Sprint("message ", n) {
					t.Fatalf("message %d is %q", n, got)
				}
			}
		}
		large := bytes.Repeat([]byte{7}, journal.MaxMessage)
		a.Send(bytes.Clone(large))
		if got := <-b.Received(); !bytes.Equal(got, large) {
			t.Error("the largest message came in damaged")
		}
		time.Sleep(time.Minute) // keepalives hold it
		if a.Err() != nil || b.Err() != nil {
			t.Errorf("ended while idle: %v, %v", a.Err(), b.Err())
		}
		a.Close()
		<-b.Done()
		if b.Err() == nil || !errors.Is(a.Err(), ErrClosed) {
			t.Errorf("reasons: %v, %v", a.Err(), b.Err())
		}
		if _, ok := <-b.Received(); ok {
			t.Error("a message after the end")
		}
		if a.Send([]byte("late")) {
			t.Error("Send after the end")
		}
		b.Close()
	})
}

// TestSessionRefuses: both sides say why, and neither has a session.
func TestSessionRefuses(t *testing.T) {
	tests := map[string]SessionConfig{
		"wrong key": {Key: failover.TenantKey(secret.Copy([]byte("another failover key")), "acme"),
			Unit: failover.UnitSecondary},
		"another context": {Key: failover.TenantKey(testKey, "blue"), Unit: failover.UnitSecondary},
		"the same unit":   testConfig(failover.UnitPrimary),
	}
	for name, other := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b, errA, errB := sessions(testConfig(failover.UnitPrimary), other)
				if a != nil || b != nil || errA == nil || errB == nil {
					t.Errorf("sessions %v %v, errors %v, %v", a != nil, b != nil, errA, errB)
				}
				if name != "the same unit" && !errors.Is(errB, ErrIdentity) { // two servers never get as far
					t.Errorf("got %v, want %v", errB, ErrIdentity)
				}
			})
		})
	}
}

// TestSessionOtherVersion: a peer that speaks another protocol is refused in the
// handshake.
func TestSessionOtherVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cable := linktest.NewCable(nil)
		left, right := cable.Ends[0], cable.Ends[1]
		done := make(chan error)
		go func() {
			_, err := NewSession(context.Background(), left, testConfig(failover.UnitPrimary))
			done <- err
		}()
		c, err := twinIdentity.config(testConfig(failover.UnitSecondary).Key, failover.UnitSecondary)
		if err != nil {
			t.Fatal(err)
		}
		c.NextProtos = []string{"warren-replication/99"}
		if err := tls.Client(right, c).Handshake(); err == nil {
			t.Error("the other version is accepted")
		}
		right.Close()
		if err := <-done; err == nil {
			t.Error("a session with another version")
		}
	})
}

// TestSessionFrames gives a session what no session sends.
func TestSessionFrames(t *testing.T) {
	head := func(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }
	tests := map[string]struct {
		send []byte
		want error
	}{
		"too large":              {head(journal.MaxMessage + 1), ErrFrame},
		"the largest number":     {head(1<<32 - 1), ErrFrame},
		"cut off in the head":    {head(5)[:2], nil},
		"cut off in the message": {append(head(5), "abc"...), nil},
		"good, then cut off":     {append(append(head(3), "abc"...), head(9)...), nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cable := linktest.NewCable(nil)
				left, right := cable.Ends[0], cable.Ends[1]
				ready := make(chan *Session)
				go func() {
					s, err := NewSession(context.Background(), left, testConfig(failover.UnitPrimary))
					if err != nil {
						t.Error(err)
					}
					ready <- s
				}()
				c, err := twinIdentity.config(testConfig(failover.UnitSecondary).Key, failover.UnitSecondary)
				if err != nil {
					t.Fatal(err)
				}
				peer := tls.Client(right, c)
				if err := peer.Handshake(); err != nil {
					t.Fatal(err)
				}
				s := <-ready
				go func() { // takes keepalives
					b := make([]byte, 100)
					for {
						if _, err := peer.Read(b); err != nil {
							return
						}
					}
				}()
				begin := time.Now()
				if _, err := peer.Write(tt.send); err != nil {
					t.Fatal(err)
				}
				<-s.Done()
				if tt.want != nil && !errors.Is(s.Err(), tt.want) {
					t.Errorf("got %v, want %v", s.Err(), tt.want)
				}
				if took := time.Since(begin); took > DefaultIdle+time.Millisecond {
					t.Errorf("ended after %v", took)
				}
				s.Close()
				right.Close()
			})
		})
	}
}

// TestSessionIdle: a twin whose machine is gone without a word is given up when
// it has been silent for Idle.
func TestSessionIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var gone atomic.Bool
		cable := linktest.NewCable(func(from int) bool { return gone.Load() && from == 1 })
		done := make(chan *Session)
		go func() {
			s, err := NewSession(context.Background(), cable.Ends[1], testConfig(failover.UnitSecondary))
			if err != nil {
				t.Error(err)
			}
			done <- s
		}()
		a, err := NewSession(context.Background(), cable.Ends[0], testConfig(failover.UnitPrimary))
		if err != nil {
			t.Fatal(err)
		}
		b := <-done
		time.Sleep(time.Second)
		gone.Store(true)
		begin := time.Now()
		<-a.Done()
		if took := time.Since(begin); took < DefaultIdle/2 || took > DefaultIdle {
			t.Errorf("ended after %v", took)
		}
		a.Close()
		b.Close()
	})
}

// TestSessionBusyTwin: a twin that takes no messages slows the other one down; a
// session over which nothing moves for Idle ends.
func TestSessionBusyTwin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b, errA, errB := sessions(testConfig(failover.UnitPrimary), testConfig(failover.UnitSecondary))
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		for range 200 { // they fit into the buffers
			a.Send(make([]byte, 100))
		}
		time.Sleep(10 * DefaultIdle)
		if a.Err() != nil || b.Err() != nil {
			t.Fatalf("a busy twin ended the session: %v, %v", a.Err(), b.Err())
		}
		begin := time.Now()
		for a.Err() == nil && time.Since(begin) < time.Minute {
			a.Send(make([]byte, 1<<16))
			time.Sleep(time.Millisecond)
		}
		if took := time.Since(begin); took > 3*DefaultIdle {
			t.Errorf("ended after %v", took)
		}
		a.Close()
		b.Close()
	})
}
