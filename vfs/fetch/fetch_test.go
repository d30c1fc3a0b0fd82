package fetch

import (
	"context"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve runs a TLS server until the test ends, and returns a request for its
// root.
func serve(t *testing.T, handle http.HandlerFunc) Request {
	t.Helper()
	s := httptest.NewUnstartedServer(handle)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	return Request{URL: s.URL, CA: ca, Timeout: 5 * time.Second, Limit: 1000}
}

// text answers with a text.
func text(s string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		w.Write([]byte(s))
	}
}

func TestGet(t *testing.T) {
	r := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/old" {
			http.Redirect(w, r, "/new", http.StatusFound)
			return
		}
		text(strings.Repeat("x", 1000))(w, r)
	})
	for _, path := range []string{"/", "/old"} {
		again := r
		again.URL += path
		if got, err := Get(t.Context(), again); err != nil || string(got) != strings.Repeat("x", 1000) {
			t.Errorf("%s: got %q, %v", path, got, err)
		}
	}
}

// TestGetRefuses: each way in which a server can fail is one line, soon.
func TestGetRefuses(t *testing.T) {
	elsewhere := serve(t, text("interface {}"))
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	drip := func(pause time.Duration) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			for tick := time.NewTicker(pause); ; {
				if _, err := w.Write([]byte("# more\n")); err != nil {
					return
				}
				w.(http.Flusher).Flush()
				select {
				case <-tick.C:
				case <-r.Context().Done():
					return
				}
			}
		}
	}
	tests := []struct {
		name   string
		handle http.HandlerFunc
		change func(*Request)
		want   string
	}{
		{"away", nil, func(r *Request) { r.URL = "https://" + closed.Addr().String() },
			"the server is away: connection refused"},
		{"silent", nil, func(r *Request) { r.URL, r.Timeout = "https://"+silent.Addr().String(), 100*time.Millisecond },
			"the server has not sent all of it within 100ms"},
		{"slow", drip(10 * time.Millisecond), func(r *Request) { r.Timeout = 100 * time.Millisecond },
			"the server has not sent all of it within 100ms"},
		{"endless", drip(time.Microsecond), nil, "the server sends more than 1000 bytes"},
		{"too large", text(strings.Repeat("x", 1001)), nil, "the server sends more than 1000 bytes"},
		{"empty", text(" \n"), nil, "the server sends nothing"},
		{"HTML", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Write([]byte("please log in"))
		}, nil, "the server sends a web page (HTML)"},
		{"HTML in disguise", text("\n<!DOCTYPE html><html>"), nil, "the server sends a web page (HTML)"},
		{"missing", http.NotFound, nil, "the server answers 404 Not Found"},
		{"cut off", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			w.Write([]byte("a = 1"))
		}, nil, "the server has not sent all of it: unexpected EOF"},
		{"wrong CA", text("x"), func(r *Request) { r.CA = otherCA(t) },
			"the server is not trusted: x509: certificate signed by unknown authority"},
		{"host's trust", text("x"), func(r *Request) { r.CA = nil },
			"the server is not trusted: x509: certificate signed by unknown authority"},
		{"wrong name", text("x"), func(r *Request) { r.URL = strings.Replace(r.URL, "127.0.0.1", "localhost", 1) },
			"the server is not trusted: x509: certificate is valid for"},
		{"redirect elsewhere", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusFound)
		}, nil,
			"the server redirects elsewhere, to " + elsewhere.URL},
		{"redirect to http", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://"+r.Host, http.StatusFound)
		}, nil, "the server redirects elsewhere, to http://"},
		{"redirect in circles", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/x", http.StatusFound)
		}, nil,
			"the server redirects more than 3 times"},
		{"not https", nil, func(r *Request) { r.URL = "http://127.0.0.1" }, "the URL does not begin with https://"},
	}
	for _, tt := range tests {
		t.Run(strings.ReplaceAll(tt.name, " ", "_"), func(t *testing.T) {
			r := elsewhere
			if tt.handle != nil {
				r = serve(t, tt.handle)
			}
			if tt.change != nil {
				tt.change(&r)
			}
			got, err := Get(t.Context(), r)
			if err == nil || got != nil || !strings.HasPrefix(err.Error(), tt.want) ||
				strings.ContainsAny(err.Error(), "\r\n") {
				t.Errorf("got %q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

// otherCA returns the certificate of somebody else.
func otherCA(t *testing.T) []byte {
	t.Helper()
	const other = `-----BEGIN CERTIFICATE-----
MIIBRjCB+aADAgECAhRgmC738PXAvUR6z3vtp4H5qiYmbjAFBgMrZXAwGDEWMBQG
A1UEAwwNc29tZWJvZHkgZWxzZTAgFw0yNjExMjcxNDUyMDdaGA8yMTI2MTEwMzE0
NTIwN1owGDEWMBQGA1UEAwwNc29tZWJvZHkgZWxzZTAqMAUGAytlcAMhAPvn8O0X
CFTNpH74slP76uQnFMwVN8aYjLBQtb5L1TnGo1MwUTAdBgNVHQ4EFgQUOUR+KVHg
wXY8M6yb5/jnAhyN2oswHwYDVR0jBBgwFoAUOUR+KVHgwXY8M6yb5/jnAhyN2osw
DwYDVR0TAQH/BAUwAwEB/zAFBgMrZXADQQDm+YoCFZ9bbnBB5bSifbWeEc8BgELO
IV/OHrsZIwHrbDHQ7Pl3m7amlT7VyAYbIbPODumXLbBaWAH02mNU5RkN
-----END CERTIFICATE-----
`
	return []byte(other)
}

// TestAll: many servers at once, the results in order, and one that hangs holds
// nobody up.
func TestAll(t *testing.T) {
	entered := make(chan struct{}, atOnce)
	good := serve(t, func(w http.ResponseWriter, r *http.Request) { text(r.URL.Path)(w, r) })
	hangs := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		entered <- struct{}{}
		<-r.Context().Done()
	})
	hangs.Timeout = 200 * time.Millisecond
	var list []Request
	for _, path := range []string{"/a", "", "/b", ""} {
		r := good
		if r.URL += path; path == "" {
			r = hangs
		}
		list = append(list, r)
	}
	got := All(t.Context(), list)
	if string(got[0].Content) != "/a" || string(got[2].Content) != "/b" || got[1].Err == nil || got[3].Err == nil ||
		len(entered) != 2 {
		t.Errorf("got %v", got)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if got := All(ended, list[:1]); got[0].Err == nil {
		t.Error("a context that has ended: no error")
	}
}
