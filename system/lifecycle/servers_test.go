package lifecycle

import (
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/warrenvpn/warren/system/fault"
)

// confServer is a server of configurations that can be made to fail.
type confServer struct {
	*httptest.Server
	answer atomic.Pointer[http.HandlerFunc]
}

func (c *confServer) does(h http.HandlerFunc) { c.answer.Store(&h) }

func (c *confServer) sends(text string) {
	c.does(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, text) })
}

// newConfServer returns a server and the path of a system file with a context
// green whose configuration it has.
func newConfServer(t *testing.T) (c *confServer, path string) {
	t.Helper()
	c = &confServer{}
	c.sends("")
	c.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter,
		r *http.Request) {
		(*c.answer.Load())(w, r)
	}))
	c.Config.ErrorLog = log.New(io.Discard, "", 0)
	c.StartTLS()
	t.Cleanup(c.Close)
	dir := t.TempDir()
	path = filepath.Join(dir, "system.hcl")
	write(t, filepath.Join(dir, "ca.pem"),
		string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate().Raw})))
	write(t, path, fmt.Sprintf(`
system { state_dir = %q }
interface "Ethernet1/1" { device = "eth1" }
context "green" {
  config_url     = "%s/green.hcl"
  config_ca      = "ca.pem"
  config_timeout = "1s"
  allocate_interface "Ethernet1/1" { name = "outside" }
}
`, filepath.Join(dir, "state"), c.URL))
	return c, path
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// green is a configuration with one address.
func green(address string) string {
	return fmt.Sprintf("interface \"outside\" { address = %q }\n", address)
}

// addressOf is what load makes of green.
func addressOf(t *testing.T, path string) (address string, warnings []string, err error) {
	t.Helper()
	l, err := load(t.Context(), path, unchecked{}, reading{allowStale: true})
	if err != nil {
		return "", nil, err
	}
	return l.conf.Contexts[0].Spec.Interfaces[0].Addresses[0].String(), l.warnings, nil
}

// failures are the ways in which a server of configurations fails, and what the
// operator reads.
var failures = []struct {
	name string
	is   http.HandlerFunc
	want string
}{
	{"slow", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"the server has not sent all of it within 1s"},
	{"endless", func(w http.ResponseWriter, _ *http.Request) {
		for line := []byte(strings.Repeat("# more\n", 1000)); ; {
			if _, err := w.Write(line); err != nil {
				return
			}
		}
	}, "the server sends more than 1048576 bytes"},
	{"too large", func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte(strings.Repeat("# more\n", 200_000)))
	}, "the server sends more than 1048576 bytes"},
	{"HTML", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html><body>Log in") },
		"the server sends a web page (HTML)"},
	{"garbage", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "Service is down, sorry.\n") },
		"the server sends no HCL: "},
	{"binary", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte{0xff, 0xfe, 0}) },
		"the server sends no HCL: "},
	{"error", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) },
		"the server answers 503 Service Unavailable"},
	{"redirect", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "https://elsewhere.example/", http.StatusFound)
	},
		"the server redirects elsewhere, to https://elsewhere.example"},
}

// TestServerFails: without an earlier copy a bad server is one clear line, and
// with one it is a warning; a server that is good again is used again.
func TestServerFails(t *testing.T) {
	for _, f := range failures {
		t.Run(strings.ReplaceAll(f.name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			server, path := newConfServer(t)
			server.does(f.is)
			_, _, err := addressOf(t, path)
			wantRefusal(t, err, "system.hcl:5: error: File cannot be read", f.want, "there is no earlier copy")

			server.sends(green("192.0.2.1/24"))
			if got, warnings, err := addressOf(t, path); err != nil || got != "192.0.2.1/24" || len(warnings) != 0 {
				t.Fatalf("a good server: got %s, %q, %v", got, warnings, err)
			}
			server.does(f.is)
			got, warnings, err := addressOf(t, path)
			if err != nil || got != "192.0.2.1/24" || len(warnings) != 1 ||
				!strings.Contains(warnings[0], `context "green": https://`) ||
				!strings.Contains(warnings[0], f.want) || !strings.HasSuffix(warnings[0], " UTC is used") ||
				strings.Contains(warnings[0], "\n") {
				t.Errorf("the earlier copy: got %s, %q, %v", got, warnings, err)
			}
			server.sends(green("192.0.2.2/24"))
			if got, warnings, err := addressOf(t, path); err != nil || got != "192.0.2.2/24" || len(warnings) != 0 {
				t.Errorf("good again: got %s, %q, %v", got, warnings, err)
			}
		})
	}
}

// TestServerAway: as TestServerFails, with nobody there, and with somebody else.
func TestServerAway(t *testing.T) {
	server, path := newConfServer(t)
	server.sends(green("192.0.2.1/24"))
	if _, _, err := addressOf(t, path); err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(filepath.Dir(path), "ca.pem")
	good, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	write(t, ca, otherCA)
	server.sends(green("192.0.2.66/24"))
	if got, warnings, err := addressOf(t, path); err != nil || got != "192.0.2.1/24" || len(warnings) != 1 ||
		!strings.Contains(warnings[0], "the server is not trusted: x509: certificate signed by unknown authority") {
		t.Errorf("wrong CA: got %s, %q, %v", got, warnings, err)
	}
	write(t, ca, string(good))
	server.Close()
	if got, warnings, err := addressOf(t, path); err != nil || got != "192.0.2.1/24" || len(warnings) != 1 ||
		!strings.Contains(warnings[0], "the server is away: connection refused") {
		t.Errorf("away: got %s, %q, %v", got, warnings, err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, strings.Replace(string(text), "/green.hcl", "/other.hcl", 1))
	_, _, err = addressOf(t, path)
	wantRefusal(t, err, "the server is away: connection refused; there is no earlier copy")
}

// TestServerNotValid: what a server has that is HCL and wrong is refused while a
// system runs; at the start the earlier copy is used.
func TestServerNotValid(t *testing.T) {
	server, path := newConfServer(t)
	wrong := green("192.0.2.0/24")
	server.sends(wrong)
	_, err := loadFirst(t.Context(), path, "", unchecked{}, slog.New(slog.DiscardHandler))
	wantRefusal(t, err, "green.hcl:1: error: Unusable address")

	server.sends(green("192.0.2.1/24"))
	if _, err := loadFirst(t.Context(), path, "", unchecked{}, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	server.sends(wrong)
	_, err = load(t.Context(), path, unchecked{}, reading{allowStale: true})
	wantRefusal(t, err, "green.hcl:1: error: Unusable address")
	l, err := loadFirst(t.Context(), path, "", unchecked{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if got := l.conf.Contexts[0].Spec.Interfaces[0].Addresses[0].String(); got != "192.0.2.1/24" {
		t.Errorf("got %s", got)
	}
	if len(l.warnings) != 1 || !strings.Contains(l.warnings[0], "what the server has is not valid: ") ||
		!strings.Contains(l.warnings[0], "Unusable address") {
		t.Errorf("warnings: %q", l.warnings)
	}
}

// TestCopyIsPrivate: copies may hold secrets, and nothing else is left.
func TestCopyIsPrivate(t *testing.T) {
	server, path := newConfServer(t)
	for _, address := range []string{"192.0.2.1/24", "192.0.2.2/24"} {
		server.sends(green(address))
		if _, _, err := addressOf(t, path); err != nil {
			t.Fatal(err)
		}
	}
	var files []string
	err := filepath.Walk(filepath.Join(filepath.Dir(path), "state"), func(_ string, info os.FileInfo, err error) error {
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has the mode %v", info.Name(), info.Mode())
		}
		if !info.IsDir() {
			files = append(files, info.Name())
		}
		return nil
	})
	if err != nil || len(files) != 1 {
		t.Errorf("got %q, %v, want one copy", files, err)
	}
}

// wantRefusal checks that an error is one for the operator, and holds all words.
func wantRefusal(t *testing.T, err error, words ...string) {
	t.Helper()
	var e *fault.Error
	if !errors.As(err, &e) || e.Code != fault.CodeRefused {
		t.Errorf("got %v, want a refusal", err)
		return
	}
	for _, word := range words {
		if !strings.Contains(e.Detail, word) {
			t.Errorf("got\n%s\nwant %q", e.Detail, word)
		}
	}
}

// otherCA is the certificate of somebody who vouches for nothing here.
const otherCA = `-----BEGIN CERTIFICATE-----
MIIBRjCB+aADAgECAhRaLWpyf8O3SwxeP4qcmDWjRfr7LTAFBgMrZXAwGDEWMBQG
A1UEAwwNc29tZWJvZHkgZWxzZTAgFw0yNjExMjcxNDU0NThaGA8yMTI2MTEwMzE0
NTQ1OFowGDEWMBQGA1UEAwwNc29tZWJvZHkgZWxzZTAqMAUGAytlcAMhAF/nFqJa
Kg29yOkg3HKgtM9OlQoN1H5JZVF1BhOVeY15o1MwUTAdBgNVHQ4EFgQU1EBCekI1
5LCClu+7YWLqHoJyR8kwHwYDVR0jBBgwFoAU1EBCekI15LCClu+7YWLqHoJyR8kw
DwYDVR0TAQH/BAUwAwEB/zAFBgMrZXADQQA4lBf+1UmScDoKc10LIMxUi20X0kg2
xCW/Dxa5E/0n8GNjDR/8LRBCxPp0jonisbj2LrsRfZawM+r3SHjojGsB
-----END CERTIFICATE-----
`
