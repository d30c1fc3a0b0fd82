package api

import (
	"strings"

	"github.com/warrenvpn/warren/system/fault"
)

// packages are the names that errors begin with inside the program: they tell a
// programmer where an error comes from, and an operator nothing.
var packages = map[string]bool{
	"api": true, "cgroup": true, "configs": true, "control": true, "failover": true, "fetch": true,
	"ike": true, "ikev2": true, "netns": true, "pipe": true, "plane": true, "pool": true, "sa": true, "spawn": true,
	"system": true, "vfs": true, "worker": true,
}

// plain returns the text of an error for an operator: without the names of
// packages that its parts begin with.
func plain(text string) string {
	parts := strings.Split(text, ": ")
	out := parts[:0]
	for i, p := range parts {
		if i == len(parts)-1 {
			out = append(out, p)
			break
		}
		head, last := "", p
		if k := strings.LastIndex(p, "; "); k >= 0 { // of several errors in one line
			head, last = p[:k+2], p[k+2:]
		}
		switch {
		case !packages[last]:
			out = append(out, p)
		case head != "": // the rest goes on behind the semicolon
			parts[i+1] = head + parts[i+1]
		}
	}
	return strings.Join(out, ": ")
}

// plainErrors does the same for a list.
func plainErrors(list []fault.ContextError) []fault.ContextError {
	out := make([]fault.ContextError, 0, len(list))
	for _, e := range list {
		e.Error = plain(e.Error)
		out = append(out, e)
	}
	return out
}
