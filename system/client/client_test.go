package client

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve answers every request on a socket with h, and returns its path.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	t.Cleanup(func() { srv.Close(); <-done })
	return path
}

func TestRequests(t *testing.T) {
	var got string
	path := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = strings.TrimSpace(r.Method + " " + r.URL.RequestURI() + " " + string(body))
		io.WriteString(w, `{}`)
	})
	c := New(&Config{Socket: path})
	defer c.Close()
	ctx := t.Context()
	tests := []struct {
		want string
		call func() error
	}{
		{"GET /v1/status", func() error { _, err := c.Status(ctx); return err }},
		{"GET /v1/contexts", func() error { _, err := c.Contexts(ctx, ""); return err }},
		{"GET /v1/contexts?context=blue", func() error { _, err := c.Contexts(ctx, "blue"); return err }},
		{"GET /v1/ike-sas?context=a%26b", func() error { _, err := c.IKESAs(ctx, "a&b"); return err }},
		{"GET /v1/child-sas", func() error { _, err := c.ChildSAs(ctx, ""); return err }},
		{"GET /v1/contexts/blue/policy?group=g&interface=dmz&user=a+b", func() error {
			_, err := c.Policy(ctx, "blue", api.PolicyQuery{User: "a b", Group: "g", Interface: "dmz"})
			return err
		}},
		{"GET /v1/certificates", func() error { _, err := c.Certificates(ctx); return err }},
		{"GET /v1/sessions", func() error { _, err := c.Sessions(ctx, ""); return err }},
		{"GET /v1/resources?context=red", func() error { _, err := c.Resources(ctx, "red"); return err }},
		{`POST /v1/contexts/blue/logoff {"user":"alice"}`, func() error {
			_, err := c.Logoff(ctx, "blue", control.Logoff{User: "alice"})
			return err
		}},
		{`POST /v1/contexts/blue/rekey {"user":"alice"}`, func() error {
			_, err := c.Rekey(ctx, "blue", control.Logoff{User: "alice"})
			return err
		}},
		{"POST /v1/contexts/blue/restart", func() error { _, err := c.Restart(ctx, "blue"); return err }},
		{"POST /v1/shutdown", func() error { _, err := c.Shutdown(ctx); return err }},
		{"GET /v1/contexts/a%2Fb/keys", func() error { _, err := c.Keys(ctx, "a/b"); return err }},
		{"POST /v1/reload", func() error { _, err := c.Reload(ctx, api.Leniency{}); return err }},
	}
	for _, tt := range tests {
		if err := tt.call(); err != nil || got != tt.want {
			t.Errorf("got %q, %v, want %q", got, err, tt.want)
		}
	}
}

func TestErrors(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, "stale")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	answers := func(status int, body string) string {
		return serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			io.WriteString(w, body)
		})
	}
	tests := []struct {
		name, socket string
		code         fault.Code
		reason, hint string
	}{
		{name: "no socket", socket: filepath.Join(dir, "none"), code: fault.CodeUnreachable,
			reason: "there is no socket", hint: "is warrend running?"},
		{name: "dead server", socket: stale, code: fault.CodeUnreachable, reason: "nobody serves",
			hint: "--socket PATH"},
		{name: "path too long", socket: "/" + strings.Repeat("x", 200), code: fault.CodeUnreachable,
			reason: "invalid argument", hint: "--socket PATH"},
		{name: "refusal", socket: answers(409, `{"code":"refused","error":"no","hint":"yes"}`), code: fault.CodeRefused,
			reason: "no", hint: "yes"},
		{name: "refusal without reason", socket: answers(500, `{}`), code: fault.CodeUnreachable,
			reason: "HTTP status 500"},
		{name: "not JSON", socket: answers(200, `<html>`), code: fault.CodeUnreachable, reason: "reading its answer",
			hint: "warren version"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := New(&Config{Socket: tt.socket})
			defer c.Close()
			_, err := c.Status(t.Context())
			var e *fault.Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want an *fault.Error", err)
			}
			if e.Code != tt.code || !strings.Contains(e.Reason, tt.reason) || !strings.Contains(e.Hint, tt.hint) {
				t.Errorf("got %+v, want %s, %q, %q", e, tt.code, tt.reason, tt.hint)
			}
		})
	}
}

// TestWaitReady: it outlasts a warrend that is not there yet, one that is not ready yet, and
// one that would refuse a change.
func TestWaitReady(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	c := New(&Config{Socket: path})
	defer c.Close()
	type result struct {
		st  api.Status
		err error
	}
	got := make(chan result, 1)
	go func() {
		st, err := c.WaitReady(t.Context())
		got <- result{st, err}
	}()
	var asked atomic.Int32
	late := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		switch asked.Add(1) {
		case 1:
			io.WriteString(w, `{"ready":false,"total":2}`)
		case 2:
			io.WriteString(w, `{"ready":true,"total":2,"changing":"an apply by root since 18:23:09 UTC"}`)
		default:
			io.WriteString(w, `{"ready":true,"total":2}`)
		}
	})
	if err := os.Symlink(late, path); err != nil {
		t.Fatal(err)
	}
	if r := <-got; r.err != nil || !r.st.Ready || r.st.Total != 2 || asked.Load() != 3 {
		t.Errorf("got %+v after %d questions, want ready after 3", r, asked.Load())
	}
}

// TestWaitReadyEnds: it ends with its context, and says what it knows.
func TestWaitReadyEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(&Config{Socket: "/nonexistent/warren.sock"})
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		_, err := c.WaitReady(ctx)
		var e *fault.Error
		if !errors.As(err, &e) || !strings.Contains(e.Reason, "there is no socket") {
			t.Errorf("got %v, want the last reason", err)
		}
	})
}
