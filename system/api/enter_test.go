package api

import (
	"net/http"
	"strings"
	"testing"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/system/fault"
)

// TestShared: what the contexts share is told with all of them, not with one.
func TestShared(t *testing.T) {
	s := newServer(t, &backend{names: []string{"blue"}})
	s.cfg.Shared = func() []control.Resource {
		return []control.Resource{{Context: "system", Resource: "vpn_burst_other"}}
	}
	for target, want := range map[string]int{"/v1/resources": 1, "/v1/resources?context=blue": 0} {
		if _, text := do(t, s, 0, http.MethodGet, target, ""); strings.Count(text, `"system"`) != want {
			t.Errorf("%s: %s", target, text)
		}
	}
}

// TestEnter: a request is let in for each context that it is about, and counted
// out however it ends.
func TestEnter(t *testing.T) {
	var entered []string
	open := 0
	s := newServer(t, &backend{names: []string{"blue", "red"}})
	s.cfg.Enter = func(name string) (func(), error) {
		if name == "full" {
			return nil, &fault.Error{Code: fault.CodeRefused, Reason: "no more"}
		}
		entered = append(entered, name)
		open++
		return func() { open-- }, nil
	}
	for _, tt := range []struct {
		verb, path, body string
		status           int
		want             string
	}{
		{http.MethodGet, "/v1/ike-sas?context=blue", "", http.StatusOK, "blue"},
		{http.MethodGet, "/v1/ike-sas?context=nobody", "", http.StatusNotFound, "nobody"},
		{http.MethodGet, "/v1/ike-sas?context=full", "", http.StatusConflict, ""},
		{http.MethodGet, "/v1/ike-sas", "", http.StatusOK, ""},
		{http.MethodGet, "/v1/status", "", http.StatusOK, ""},
		{http.MethodPost, "/v1/contexts/red/logoff", `{"all":true}`, http.StatusOK, "red"},
		{http.MethodPost, "/v1/files/copy", `{"from":"shared:/a","to":"full:disk0:/b"}`, http.StatusConflict, ""},
		{http.MethodPost, "/v1/files/copy", `{"from":"blue:disk0:/a","to":"full:disk0:/b"}`, http.StatusConflict,
			"blue"},
	} {
		t.Run(tt.verb+" "+tt.path, func(t *testing.T) {
			entered = nil
			if status, text := do(t, s, 0, tt.verb, tt.path, tt.body); status != tt.status {
				t.Errorf("status %d, want %d: %s", status, tt.status, text)
			}
			if got := strings.Join(entered, " "); got != tt.want || open != 0 {
				t.Errorf("let in for %q, want %q; %d are still in", got, tt.want, open)
			}
		})
	}
}
