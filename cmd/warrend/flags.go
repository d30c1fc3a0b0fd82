package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/warrenvpn/warren/internal/backlog"
	"github.com/warrenvpn/warren/internal/build"
	"github.com/warrenvpn/warren/system"
)

const usage = `Usage: warrend --config FILE [flags]

  --config FILE        the system configuration
  --log-format FORMAT  text or json (default text)
  --log-level LEVEL    debug, info, warn or error (default info)
  --version            print the version and exit
`

// parse reads the command line. Without a Config the program ends with code; else the
// log is to be closed in the end.
func parse(args []string) (cfg *system.Config, log *backlog.Writer, code int) {
	cfg = &system.Config{Stderr: os.Stderr}
	flags := flag.NewFlagSet("warrend", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&cfg.Path, "config", "", "")
	flags.StringVar(&cfg.LogFormat, "log-format", "text", "")
	flags.StringVar(&cfg.LogLevel, "log-level", "info", "")
	version := flags.Bool("version", false, "")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Print(usage)
		return nil, nil, 0
	case err == nil && *version:
		fmt.Println("warrend", build.Version())
		return nil, nil, 0
	case err == nil && flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case err == nil && cfg.Path == "":
		err = errors.New("--config is missing")
	}
	if err == nil {
		cfg.Log, log, err = newLogger(os.Stderr, cfg.LogFormat, cfg.LogLevel)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "warrend: %v\n\n%s", err, usage)
		return nil, nil, 2
	}
	return cfg, log, 0
}
