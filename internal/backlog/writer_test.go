package backlog

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/warrenvpn/warren/internal/backlog/backlogtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestWriter: a log that takes nothing holds up neither who writes nor who closes; what
// has no room is counted, and told when the log goes on; nothing is lost otherwise.
func TestWriter(t *testing.T) {
	log := backlogtest.Stall(t)
	var told int64
	const room = 512 << 10 // more than a pipe holds by itself
	w := Start(&Config{To: log, Room: room, Tell: func(n int64) {
		told += n
		fmt.Fprintf(log, "%d are lost\n", n)
	}})
	line := strings.Repeat("x", 99) + "\n"
	const n = 4 * room / 100
	for range n {
		if k, err := w.Write([]byte(line)); k != len(line) || err != nil {
			t.Fatal(k, err)
		}
	}
	text := log.Flow(t, w.Close)
	if got := strings.Count(text, line); int64(got)+told != n || got < room/2/len(line) || told == 0 {
		t.Errorf("%d lines of %d are written, and %d are said to be lost", got, n, told)
	}
	if !strings.Contains(text, " are lost\n") {
		t.Error("the log does not say so")
	}
}

// TestWriterKeepsOrder: several goroutines write, and what each wrote comes in its
// order, whole.
func TestWriterKeepsOrder(t *testing.T) {
	var out bytes.Buffer
	w := Start(&Config{To: &out, Room: 1 << 20, Tell: func(n int64) { t.Errorf("%d lines are lost", n) }})
	var writers sync.WaitGroup
	for i := range 4 {
		writers.Go(func() {
			b := make([]byte, 0, 20)
			for k := range 1000 {
				b = fmt.Appendf(b[:0], "%d %d\n", i, k)
				w.Write(b)
			}
		})
	}
	writers.Wait()
	if !w.Close(time.Minute) {
		t.Fatal("not all is written")
	}
	var next [4]int
	for line := range strings.Lines(out.String()) {
		var i, k int
		if _, err := fmt.Sscanf(line, "%d %d\n", &i, &k); err != nil || k != next[i] {
			t.Fatalf("%q: want number %d, %v", line, next[i], err)
		}
		next[i]++
	}
	if next != [4]int{1000, 1000, 1000, 1000} {
		t.Errorf("lines of each: %v", next)
	}
}

// TestLastDropsAreTold: what is dropped within the rest after a notice is told when
// nothing more comes.
func TestLastDropsAreTold(t *testing.T) {
	q, now := NewQueue[string](0), time.Now()
	told := int64(0)
	for i := range 3 {
		q.Add("x", 1, 1)
		if i == 2 {
			q.End()
		}
		_, _, dropped, more := q.Next(now)
		told += dropped
		if !more {
			t.Error("nothing more comes, and nobody was told")
		}
	}
	if _, ok, dropped, more := q.Next(now); told != 3 || ok || dropped != 0 || more {
		t.Errorf("%d of 3 drops were told, then %d more, %v", told, dropped, more)
	}
}
