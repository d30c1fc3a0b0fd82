// Package api serves the supervisor's HTTP/JSON API on a unix socket: what the
// CLI and every other client can know and do. It does I/O, but knows nothing of
// contexts itself: all answers come from a Backend.
//
// There is one literal table of routes (routes.go), which the OpenAPI document
// (openapi.json) is generated from and tested against. The socket belongs to
// root; the kernel says who is calling, and each route names the role it needs.
package api
