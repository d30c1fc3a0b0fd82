package api

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

func TestCapture(t *testing.T) {
	for _, tt := range []struct {
		name, query string
		uid         int
		status      int
		want        string // of the answer
		asked       string
	}{
		{"all of it", "interface=outside&count=7&duration=1m30s", 0, 200, "a capture of outside",
			"blue {Interface:outside Count:7 Duration:1m30s}"},
		{"without bounds", "interface=decrypted", 0, 200, "a capture of decrypted",
			"blue {Interface:decrypted Count:0 Duration:0s}"},
		{"no interface", "count=7", 0, 400, "capture needs an interface", ""},
		{"no packets", "interface=x&count=0", 0, 400, "is not a number of packets", ""},
		{"less than none", "interface=x&count=-1", 0, 400, "is not a number of packets", ""},
		{"no time", "interface=x&duration=0s", 0, 400, "is not a time", ""},
		{"too long", "interface=x&duration=25h", 0, 400, "is not a time", ""},
		{"unknown parameter", "interface=x&filter=tcp", 0, 400, "it takes interface, count, duration", ""},
		{"stranger", "interface=x", stranger, 403, `needs the role`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := &backend{names: []string{"blue"}}
			s := newServer(t, b)
			r := httptest.NewRequest("GET", "/v1/contexts/blue/capture?"+tt.query, nil)
			r = r.WithContext(context.WithValue(r.Context(), callerKey{}, caller{uid: tt.uid, pid: 1}))
			w := httptest.NewRecorder()
			s.handler.ServeHTTP(w, r)
			if got := strings.Join(b.logoffs, ";"); w.Code != tt.status || !strings.Contains(w.Body.String(),
				tt.want) || got != tt.asked {
				t.Errorf("%d %s, asked %q; want %d %s, %q", w.Code, w.Body, got, tt.status, tt.want, tt.asked)
			}
		})
	}
}

// TestCaptureEndsWithCaller: a capture that never ends, of a caller who hangs
// up, and one of a server that stops.
func TestCaptureEndsWithCaller(t *testing.T) {
	b := &backend{names: []string{"blue"}, asked: make(chan string, 1)}
	s, err := New(&Config{Socket: filepath.Join(t.TempDir(), "s"), Backend: b})
	if err != nil {
		t.Fatal(err)
	}
	stop := start(t, s)
	for _, hangUp := range []bool{true, false} {
		c, err := net.Dial("unix", s.cfg.Socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprint(c, "GET /v1/contexts/blue/capture?interface=busy HTTP/1.1\r\nHost: warrend\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatal(resp, err)
		}
		if _, err := io.ReadFull(resp.Body, make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		if hangUp {
			c.Close()
		} else if err := stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
		if got := <-b.asked; got != "closed" {
			t.Errorf("got %q", got)
		}
	}
}
