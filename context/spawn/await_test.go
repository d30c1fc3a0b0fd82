package spawn

import (
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// TestAwaitEnd: it returns after the end of the process, and leaves it to Wait.
func TestAwaitEnd(t *testing.T) {
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		awaitEnd(cmd.Process)
	}()
	select {
	case <-ended:
		t.Error("it returned before the end")
	default:
	}
	in.Close()
	<-ended
	err = cmd.Process.WithHandle(func(fd uintptr) {
		if flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK != 0 {
			t.Errorf("Wait would not wait for the end: flags %#x, %v", flags, err)
		}
	})
	if err != nil {
		t.Error(err)
	}
	if err := cmd.Wait(); err != nil || !cmd.ProcessState.Exited() {
		t.Errorf("got %v, %v", err, cmd.ProcessState)
	}
}

// TestPollEndOfNoProcess: what cannot be polled, or is no process, is not waited for.
func TestPollEndOfNoProcess(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	pollEnd(r) // it does not become readable
	r.Close()
	pollEnd(r)
}
