package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/configs/host"
	"github.com/warrenvpn/warren/vfs/fetch"
)

// newValidate is `warren validate`.
func newValidate(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "validate FILE",
		Short: "Check a system file and the contexts that it names",
		Long: "Check a system file and the contexts that it names, without a running warrend.\n" +
			"What servers have is fetched from them, and never from the copies of warrend.\n\n" +
			"Every problem is printed with its place and a remedy; with errors the exit code is 1.",
		Example: "  warren validate /etc/warren/system.hcl",
		Args:    oneFile,
		RunE: does(func(ctx context.Context, args []string) error {
			sys, diags := configs.Load(fetched(ctx, args[0]), args[0], host.Machine())
			if err := diags.Write(e.stderr, 0, e.colour); err != nil {
				return err
			}
			if diags.HasErrors() {
				return errSaid
			}
			if _, err := host.APIGroup(sys); err != nil {
				fmt.Fprintf(e.stderr, "%s: warning: %v: nobody but root can use it on this host\n", args[0], err)
			}
			_, err := fmt.Fprintf(e.stdout, "%s: %s, %s\n", args[0],
				count(len(sys.Contexts), "context", "contexts"), count(len(diags.Warnings()), "warning", "warnings"))
			return err
		}),
	}
}

// withServers is a configs.Loader of what the host and servers have.
type withServers struct {
	host.Files
	got map[configs.Location]fetch.Result
}

// fetched asks every server that a configuration names.
func fetched(ctx context.Context, path string) withServers {
	_, list := configs.Remotes(host.Files{}, path)
	var requests []fetch.Request
	for _, r := range list {
		requests = append(requests, fetch.Request{URL: r.Path, CA: r.CA, Timeout: r.Timeout,
			Limit: configs.MaxFileSize})
	}
	w := withServers{got: map[configs.Location]fetch.Result{}}
	for i, got := range fetch.All(ctx, requests) {
		w.got[list[i].Location] = got
	}
	return w
}

// ReadFile implements configs.Loader.
func (w withServers) ReadFile(at configs.Location) ([]byte, error) {
	if at.Scheme != configs.SchemeHTTPS {
		return w.Files.ReadFile(at)
	}
	return w.got[at].Content, w.got[at].Err
}
