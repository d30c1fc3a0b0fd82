package worker

import (
	"context"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/ike/exchange"
)

// task is Work of a test.
type task func()

// Do implements exchange.Work.
func (t task) Do(time.Time) { t() }

// startCrew runs a crew of so many; every job that is done is a call of done, in a loop of
// its own.
func startCrew(t *testing.T, many int, done func(job)) (c *crew, told *[]control.Fact, stop func()) {
	t.Helper()
	told = &[]control.Fact{}
	var mu sync.Mutex
	teller := newTeller(&Config{Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Tell: func(e control.Event) {
		mu.Lock()
		defer mu.Unlock()
		*told = append(*told, e.Fact)
	}}, &syslogs{})
	c = newCrew(true, teller, newInbox(), func(_ time.Time, j job) { done(j) })
	ctx, cancel := context.WithCancel(t.Context())
	var owned sync.WaitGroup
	for range many {
		owned.Go(func() { c.run(ctx) })
	}
	owned.Go(func() {
		for {
			select {
			case f := <-c.inbox.calls:
				_ = f(time.Now())
			case <-ctx.Done():
				return
			}
		}
	})
	return c, told, func() { cancel(); owned.Wait() }
}

// TestCrew: all jobs are done, in the order in which they were put; several at once where
// there are several hands; what waits when all ends is left.
func TestCrew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var order []int
		c, _, stop := startCrew(t, 1, func(j job) { order = append(order, int(j.Question)) })
		for i := range 100 {
			c.put(job{nil, exchange.AskWork{Question: exchange.QuestionID(i), Work: task(func() {})}})
		}
		synctest.Wait()
		if len(order) != 100 || !slices.IsSorted(order) {
			t.Errorf("%v", order)
		}
		stop()

		done := 0
		c, _, stop = startCrew(t, 3, func(job) { done++ })
		begin := time.Now()
		for range 6 {
			c.put(job{nil, exchange.AskWork{Work: task(func() { time.Sleep(time.Second) })}})
		}
		time.Sleep(2*time.Second + time.Millisecond)
		synctest.Wait()
		if done != 6 {
			t.Errorf("%d of 6 jobs are done by three after %v", done, time.Since(begin))
		}
		c.put(job{nil, exchange.AskWork{Work: task(func() { time.Sleep(time.Second) })}})
		synctest.Wait()
		stop()
		if done != 6 {
			t.Error("a job was taken after the end")
		}
	})
}

// TestCrewSurvives: a panic in the arithmetic of one peer is told, and costs nobody else.
func TestCrewSurvives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		done := 0
		c, told, stop := startCrew(t, 1, func(job) { done++ })
		peer := exchange.Peer{SPI: 7, Remote: netip.MustParseAddrPort("192.0.2.1:500")}
		c.put(job{nil, exchange.AskWork{Peer: peer, Work: task(func() { panic("pki: internal error: a test") })}})
		c.put(job{nil, exchange.AskWork{Work: task(func() {})}})
		synctest.Wait()
		stop()
		if done != 1 || len(*told) != 1 {
			t.Fatalf("%d done, %v told", done, *told)
		}
		f, ok := (*told)[0].(*control.IKEFault)
		if !ok || f.SA != 7 || f.Reason != "pki: internal error: a test" ||
			!strings.Contains(f.Detail, "TestCrewSurvives") {
			t.Errorf("%+v", (*told)[0])
		}
	})
}
