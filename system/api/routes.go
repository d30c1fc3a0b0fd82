package api

import (
	"net/http"
	"time"

	"github.com/warrenvpn/warren/context/control"
)

// The time that a route may take in all. A reload starts and stops workers, so
// it may take long; everything else is bounded by the workers' time-out.
const (
	quickTimeout  = 30 * time.Second
	reloadTimeout = 5 * time.Minute
)

// contextParam limits an answer to one context.
const contextParam = "context"

// route is one line of the table.
type route struct {
	verb, path string
	role       Role
	timeout    time.Duration
	params     []string // query parameters that the route knows
	body       any      // example of the request's body; nil: it has none
	answer     any      // example of the answer's body
	summary    string
	handle     func(*Server, *http.Request) (any, error)
}

// routes is everything that the API can do.
var routes = []route{
	{
		verb: http.MethodGet, path: "/v1/status", role: RoleRead, timeout: quickTimeout,
		answer:  Status{},
		summary: "Tells whether every context is ready.",
		handle:  (*Server).status,
	},
	{
		verb: http.MethodGet, path: "/v1/contexts", role: RoleRead, timeout: quickTimeout,
		params: []string{contextParam}, answer: Contexts{},
		summary: "Lists contexts: class, interfaces, state, role, worker.",
		handle:  (*Server).contexts,
	},
	{
		verb: http.MethodGet, path: "/v1/ike-sas", role: RoleRead, timeout: quickTimeout,
		params: []string{contextParam}, answer: IKESAs{},
		summary: "Lists IKE SAs with their child SAs.",
		handle:  (*Server).ikeSAs,
	},
	{
		verb: http.MethodGet, path: "/v1/child-sas", role: RoleRead, timeout: quickTimeout,
		params: []string{contextParam}, answer: ChildSAs{},
		summary: "Lists child SAs: selectors, SPIs, counters, lifetimes.",
		handle:  (*Server).childSAs,
	},
	{
		verb: http.MethodGet, path: "/v1/sessions", role: RoleRead, timeout: quickTimeout,
		params: []string{contextParam}, answer: Sessions{},
		summary: "Lists VPN sessions: user, group, addresses, bytes, duration.",
		handle:  (*Server).sessions,
	},
	{
		verb: http.MethodGet, path: "/v1/resources", role: RoleRead, timeout: quickTimeout,
		params: []string{contextParam}, answer: Resources{},
		summary: "Lists resources: current, peak, limit, denied.",
		handle:  (*Server).resources,
	},
	{
		verb: http.MethodPost, path: "/v1/contexts/{context}/logoff", role: RoleAdmin, timeout: quickTimeout,
		body: control.Logoff{}, answer: control.LogoffDone{},
		summary: "Ends sessions of a context with a proper DELETE.",
		handle:  (*Server).logoff,
	},
	{
		verb: http.MethodGet, path: "/v1/contexts/{context}/keys", role: RoleAdmin, timeout: quickTimeout,
		answer:  control.Keys{},
		summary: "Exports the keys of a context's SAs for Wireshark: for debugging only.",
		handle:  (*Server).keys,
	},
	{
		verb: http.MethodPost, path: "/v1/reload", role: RoleAdmin, timeout: reloadTimeout,
		answer:  Reload{},
		summary: "Reads the configuration again and touches only what changed.",
		handle:  (*Server).reload,
	},
	{
		verb: http.MethodGet, path: "/v1/openapi.json", role: RoleRead, timeout: quickTimeout,
		answer:  map[string]any{},
		summary: "Serves this document.",
		handle:  (*Server).openAPI,
	},
}
