// Command warrend is the supervisor: it reads system.hcl, gives every context
// its namespace, devices and worker, watches them, and serves the API.
//
// SIGHUP reloads; SIGTERM and SIGINT stop everything and leave the host as it
// was found. Where systemd keeps descriptors they end this program alone, and the
// next one goes on with the workers; `warren shutdown` stops everything. Exit codes: 0
// stopped, 1 failed, 2 wrong usage, 3 shut down and not to be started again.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/warrenvpn/warren/internal/fdstore"
	"github.com/warrenvpn/warren/internal/guard"
	"github.com/warrenvpn/warren/system"
	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/checker"
	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/system/task"
	"github.com/warrenvpn/warren/system/users"
)

// exitShutdown tells a service manager not to start the program again.
const exitShutdown = 3

func main() {
	if checker.Started(os.Args) {
		os.Exit(checker.Main())
	}
	os.Exit(run(os.Args[1:]))
}

func run(args []string) int {
	cfg, log, code := parse(args)
	if cfg == nil {
		return code
	}
	defer log.Close(logTime)
	guard.Enable()
	err := harden()
	if err == nil {
		err = serve(cfg)
	}
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errShutdown):
		return exitShutdown
	case cfg.LogFormat == "json":
		record(cfg.Log, err)
	default:
		complain(log, err)
	}
	return 1
}

// record is complain for a machine that reads the log.
func record(log *slog.Logger, err error) {
	var e *fault.Error
	if !errors.As(err, &e) {
		log.Error("not started, or ended", "reason", err)
		return
	}
	log.Error("not started, or ended", "reason", e.Reason, "detail", e.Detail, "hint", e.Hint)
}

// serve constructs the supervisor and its API, and runs them until a signal.
func serve(cfg *system.Config) error {
	if os.Getuid() != 0 {
		return errors.New("warrend moves devices between namespaces: run it as root")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	cfg.Hangup, cfg.Stop = hangup, stop
	renew := make(chan os.Signal, 1)
	signal.Notify(renew, syscall.SIGHUP)
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding warren-context: %w", err)
	}
	cfg.Worker = filepath.Join(filepath.Dir(self), "warren-context")
	if cfg.Store, cfg.Kept, err = fdstore.Open(); err != nil {
		return err
	}
	defer cfg.Store.Close()
	check, err := checker.New(&checker.Config{UID: users.Checker(cfg.Path), Log: cfg.Log})
	if err != nil {
		return err
	}
	defer check.Close()
	cfg.Check = check
	sys, err := system.New(cfg)
	if err != nil {
		return err
	}
	server, err := api.New(&api.Config{
		Socket: sys.Socket(), Group: sys.Group, Renew: renew, Log: cfg.Log,
		Backend: sys.Backend(), Peers: sys.Peers(), Enter: sys.Enter, Shared: sys.Shared,
	})
	if err != nil {
		sys.Close()
		return err
	}
	err = task.Run(ctx, cfg.Log, nil, sys, server)
	if err == nil && cfg.Store != nil && sys.Ended() {
		return errShutdown
	}
	return err
}

// errShutdown is the end that an operator has asked for, where the program would be
// started again after any other one.
var errShutdown = errors.New("shut down")

// complain writes an error with what is known about it.
func complain(w io.Writer, err error) {
	var e *fault.Error
	if !errors.As(err, &e) {
		fmt.Fprintln(w, "warrend:", err)
		return
	}
	fmt.Fprint(w, e.Detail)
	fmt.Fprintln(w, "warrend:", e.Reason)
	if e.Hint != "" {
		fmt.Fprintln(w, "hint:", e.Hint)
	}
}
