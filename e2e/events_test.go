//go:build e2e

package e2e

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/warrenvpn/warren/internal/lab"
)

// TestEvents follows what happens to a context: a client that comes and goes, a worker that
// dies, a reload. Nothing of the other context is among it.
func TestEvents(t *testing.T) {
	_, n, w := start(t, nil)
	events := w.Events("blue")
	_, _ = client(t, n.Red)
	_, address := client(t, n.Blue)
	up := events.Await("ike_up", lab.Patience)
	if got := fmt.Sprint(up.Context, " ", up.Fields["identity"], " ", up.Fields["assigned"]); got !=
		"blue alice@blue.example ["+address+"]" {
		t.Errorf("the first IKE SA: %+v", up)
	}
	if s := events.Await("session_up", lab.Patience); s.Fields["sa"] != up.Fields["sa"] {
		t.Errorf("its session: %+v", s)
	}
	child := events.Await("child_up", lab.Patience)

	before := w.Context("blue").PID
	if err := syscall.Kill(before, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if e := events.Await("worker_lost", lab.Patience); e.Level != "error" {
		t.Errorf("a worker that was killed: %+v", e)
	}
	if e := events.Await("restored", lab.Patience); fmt.Sprint(e.Fields["count"]) != "1" {
		t.Errorf("its successor: %+v", e)
	}
	for { // it may be told only now that the first one is ready
		if e := events.Await("worker_ready", lab.Patience); fmt.Sprint(e.Fields["pid"]) != fmt.Sprint(before) {
			break
		}
	}

	w.MustCLI("logoff", "--context", "blue", "--all")
	if e := events.Await("ike_down", lab.Patience); e.Fields["sa"] != up.Fields["sa"] || e.Fields["reason"] !=
		"logged off by the operator" {
		t.Errorf("the end of the IKE SA: %+v", e)
	}
	if e := events.Await("session_down", lab.Patience); e.Fields["duration"] == "0" || e.Message != "" {
		t.Errorf("the end of the session: %+v", e)
	}
	wantLog(t, w, "child SA established", "tenant=blue", fmt.Sprint("spi_in=", child.Fields["spi_in"]))
	wantLog(t, w, "IKE SA ended", "tenant=blue", "alice@blue.example", "logged off by the operator")
}
