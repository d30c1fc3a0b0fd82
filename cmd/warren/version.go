package main

import (
	"context"
	"fmt"
	"io"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/warrenvpn/warren/internal/build"
)

// newVersion is `warren version`.
func newVersion(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version of this program",
		Args:  noArgs,
		RunE: does(func(context.Context, []string) error {
			v := versionInfo{Version: build.Version(), Go: runtime.Version(), Platform: runtime.GOOS + "/" +
				runtime.GOARCH}
			return e.print(v, func(w io.Writer) { fmt.Fprintf(w, "warren %s %s %s\n", v.Version, v.Go, v.Platform) })
		}),
	}
	e.jsonFlag(c)
	return c
}

// versionInfo is what `warren version --json` prints.
type versionInfo struct {
	Version  string `json:"version"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}
