package worker

import (
	"io"
	"log/slog"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/eventlog"
)

// tellTo returns what writes the lines of facts to out.
func tellTo(out io.Writer) func(control.Fact) {
	h := slog.NewTextHandler(out, nil)
	return func(f control.Fact) { _, _ = eventlog.Write(h, &control.Event{Time: time.Now(), Fact: f}) }
}
