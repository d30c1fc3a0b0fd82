package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// isStored reports whether a name is one of warrend's, such as
// "blue:disk0:/x", and not that of a local file: as with scp, a colon before the
// first slash makes the difference, and "./a:b" is local.
func isStored(name string) bool {
	head, _, _ := strings.Cut(name, "/")
	return strings.Contains(head, ":")
}

// intoDirectory is where a copy of a file goes: where to is a directory, below
// it with the same name.
func intoDirectory(to, from string) string {
	if !strings.HasSuffix(to, "/") && !strings.HasSuffix(to, ":") {
		return to
	}
	base := strings.TrimRight(from, "/")
	base = base[strings.LastIndexByte(base, '/')+1:]
	if strings.HasSuffix(to, ":") {
		to += "/"
	}
	return to + base
}

// storedNames takes names of warrend's files: low to high of them.
func storedNames(low, high int) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) < low:
			return fmt.Errorf("which file? Names look like blue:disk0:/certs/ca.pem")
		case len(args) > high:
			return fmt.Errorf("it takes %s, and got %d", count(high, "name", "names"), len(args))
		}
		for _, name := range args {
			if !isStored(name) {
				return fmt.Errorf("%q is no name of a context's file: those look like blue:disk0:/certs/ca.pem", name)
			}
		}
		return nil
	}
}

// completeFiles offers names of warrend's files for the first few arguments, and
// local ones beside them where a command takes those, too.
func (e *env) completeFiles(few int, local bool) func(*cobra.Command, []string, string) ([]string,
	cobra.ShellCompDirective) {
	return func(cmd *cobra.Command, args []string, part string) ([]string, cobra.ShellCompDirective) {
		if len(args) >= few {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
		defer cancel()
		names := e.filesBelow(ctx, part)
		if len(names) == 0 && local && !isStored(part) {
			return nil, cobra.ShellCompDirectiveDefault
		}
		return names, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
	}
}

// filesBelow returns the names that begin with part: volumes, until part has a
// path, and then what is in the directory.
func (e *env) filesBelow(ctx context.Context, part string) []string {
	dir := ""
	if isStored(part) && strings.Contains(part, "/") {
		dir = part[:strings.LastIndexByte(part, '/')+1]
	}
	list, err := e.client().Files(ctx, dir)
	if err != nil {
		return nil
	}
	var names []string
	for _, f := range list.Files {
		name := dir + f.Name
		if f.Dir && dir != "" {
			name += "/"
		}
		if strings.HasPrefix(name, part) {
			names = append(names, name)
		}
	}
	return names
}
