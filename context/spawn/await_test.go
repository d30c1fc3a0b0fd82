package spawn

import (
	"os/exec"
	"testing"
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
	if err := cmd.Wait(); err != nil || !cmd.ProcessState.Exited() {
		t.Errorf("got %v, %v", err, cmd.ProcessState)
	}
}
