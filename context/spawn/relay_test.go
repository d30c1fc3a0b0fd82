package spawn

import (
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/warrenvpn/warren/context/control"
)

// relayed returns a Worker that relays frames of a socket, the socket's other
// end, and the worker's end of the relay.
func relayed(t *testing.T) (w *Worker, wire, worker *os.File, stop func()) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	w = &Worker{}
	worker, stop, err = w.relay(os.NewFile(uintptr(fds[0]), "packet socket"))
	if err != nil {
		t.Fatal(err)
	}
	wire = os.NewFile(uintptr(fds[1]), "wire")
	t.Cleanup(func() {
		wire.Close()
		worker.Close()
		w.relays.Wait()
	})
	return w, wire, worker, stop
}

// TestRelay: frames arrive whole and in order; those that a slow worker misses are
// counted.
func TestRelay(t *testing.T) {
	_, wire, worker, _ := relayed(t)
	b := make([]byte, relayRoom)
	next := func() (control.Frame, string) {
		t.Helper()
		n, err := worker.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		head, frame, err := control.ParseFrame(b[:n])
		if err != nil || head.Nanos == 0 {
			t.Fatalf("%x: %+v, %v", b[:n], head, err)
		}
		return head, string(frame)
	}
	for i := range 3 {
		want := fmt.Sprint("frame ", i)
		if _, err := wire.WriteString(want); err != nil {
			t.Fatal(err)
		}
		if head, got := next(); got != want || head.Dropped != 0 {
			t.Errorf("got %q, %+v, want %q", got, head, want)
		}
	}
	large := make([]byte, 60<<10)
	const sent = 1000 // far more than the buffer holds
	for range sent {
		if _, err := wire.Write(large); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := wire.WriteString("end"); err != nil {
		t.Fatal(err)
	}
	// The last one may be lost as well: another follows once there is room.
	got, dropped := 0, uint64(0)
	for got+int(dropped) < sent {
		head, frame := next()
		if frame == "end" || frame == "more" {
			got--
		}
		if dropped = head.Dropped; len(frame) > 0 {
			got++
		}
		if _, err := wire.WriteString("more"); err != nil {
			t.Fatal(err)
		}
	}
	if dropped == 0 {
		t.Error("nothing was lost")
	}
}

// TestRelayEnds with the worker's end, or when it is told to.
func TestRelayEnds(t *testing.T) {
	w, _, worker, _ := relayed(t)
	worker.Close()
	w.relays.Wait()
	w, _, worker, stop := relayed(t)
	stop()
	w.relays.Wait()
	if n, err := worker.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("after the end: %d, %v", n, err)
	}
}
