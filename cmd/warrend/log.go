package main

import (
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/warrenvpn/warren/internal/backlog"
)

const (
	// logRoom is what may wait to be written to the log, in bytes: as much as of one
	// worker.
	logRoom = 512 << 10
	// logTime is what the last lines get to be written.
	logTime = time.Second
)

// newLogger returns a logger, and the Writer that it writes through to a log. The log may
// stall, as a pipe does that nobody reads: that holds up nobody who logs.
func newLogger(to io.Writer, format, level string) (*slog.Logger, *backlog.Writer, error) {
	var at slog.Level
	if err := at.UnmarshalText([]byte(level)); err != nil {
		return nil, nil, fmt.Errorf("--log-level is debug, info, warn or error, not %q", level)
	}
	opts := &slog.HandlerOptions{Level: at}
	var handler func(io.Writer) slog.Handler
	switch format {
	case "text":
		handler = func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, opts) }
	case "json":
		handler = func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, opts) }
	default:
		return nil, nil, fmt.Errorf("--log-format is text or json, not %q", format)
	}
	log := slog.New(handler(to)) // in turn with the lines that wait
	w := backlog.Start(&backlog.Config{To: to, Room: logRoom,
		Tell: func(dropped int64) { log.Warn("lines of the log are lost", "count", dropped) }})
	return slog.New(handler(w)), w, nil
}
