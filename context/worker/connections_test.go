package worker

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/pipe"
)

// TestConnections: a question that a supervisor leaves without an answer is asked of
// the next one, and one for which there is no supervisor waits.
func TestConnections(t *testing.T) {
	ours, file, err := pipe.NewLine()
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := pipe.LineFromFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := newConnections()
	var owned sync.WaitGroup
	defer owned.Wait()
	defer ours.Close()
	refuse := func(context.Context, *pipe.Request) (any, error) { return nil, errors.New("not now") }
	owned.Go(func() {
		if err := s.serve(t.Context(), theirs, refuse, func() {}); err != nil {
			t.Error(err)
		}
	})
	answer := make(chan error, 1)
	owned.Go(func() {
		_, err := s.call(t.Context(), control.KindClaim, control.Claim{Resource: "a"})
		answer <- err
	})
	for i := range 3 { // two leave it without an answer
		conn, err := ours.Connect()
		if err != nil {
			t.Fatal(err)
		}
		asked := make(chan struct{})
		hold, cancel := context.WithCancel(t.Context())
		var served sync.WaitGroup
		served.Go(func() {
			conn.Serve(t.Context(), func(context.Context, *pipe.Request) (any, error) {
				close(asked)
				if i < 2 {
					<-hold.Done()
				}
				return control.Grant{}, nil
			})
		})
		<-asked
		if i == 2 {
			if err := <-answer; err != nil {
				t.Errorf("the answer of the last one: %v", err)
			}
		}
		conn.Close()
		cancel()
		served.Wait()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := s.call(ctx, control.KindClaim, control.Claim{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("without a supervisor: %v", err)
	}
}
