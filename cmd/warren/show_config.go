package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/client"
)

// showRunningConfig is `warren show running-config`.
var showRunningConfig = query[api.ConfigTexts]{
	use:     "running-config",
	short:   "Show the configuration that runs",
	long:    "Show the configuration that runs, file by file. Secrets are stars.",
	context: "only the file of this context",
	ask:     (*client.Client).RunningConfig,
	text:    configTexts,
}

// showStartupConfig is `warren show startup-config`.
var showStartupConfig = query[api.ConfigTexts]{
	use:     "startup-config",
	short:   "Show the configuration that the next start loads",
	long:    "Show the configuration that the next start loads, file by file. Secrets are stars.",
	context: "only the file of this context",
	ask:     (*client.Client).StartupConfig,
	text:    configTexts,
}

func configTexts(_ *env, w io.Writer, t *api.ConfigTexts) {
	for i, f := range t.Files {
		if i > 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "// %s\n%s\n", plain(f.Name), strings.TrimRight(plainLines(f.Text), "\n"))
	}
}
