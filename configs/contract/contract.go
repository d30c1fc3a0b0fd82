// Package contract holds the configurations that users rely on: what stands in
// them is accepted by every later version, and means the same. Tests and the lab
// read them from here, so that there is one of each. It does no I/O.
package contract

import "embed"

// Files are the configurations, by path: system.hcl with the contexts blue.hcl and
// red.hcl; below pair/ the two nodes of a failover pair and their context acme.hcl;
// below next/ what later versions added.
//
//go:embed *.hcl pair/*.hcl next/*.hcl
var Files embed.FS
