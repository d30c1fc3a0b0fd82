// Package fetch gets small files from web servers that may be away, slow,
// endless, somebody else or talking of something else. Whatever a server does
// costs a bounded time and a bounded memory, and is an error of one line. It does
// I/O on the network, keeps nothing, and knows nothing of what it gets.
package fetch

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// atOnce is how many servers All asks at a time: enough that those who answer
	// need not wait for those who do not.
	atOnce = 1000
	// maxHeader bounds the header of an answer.
	maxHeader = 64 << 10
	// maxRedirects is how often a server may send us to another of its paths.
	maxRedirects = 3
)

// Request says what to get.
type Request struct {
	URL string // https
	// CA is in PEM: one of these must vouch for the server; nil: whom the host
	// trusts.
	CA      []byte
	Timeout time.Duration // of everything
	Limit   int64         // of the content, in bytes
}

// Result is what came of a Request.
type Result struct {
	Content []byte
	Err     error
}

// All gets all at once, each within its own time-out, and returns the results
// in the same order. It blocks until the last has ended.
func All(ctx context.Context, list []Request) []Result {
	out := make([]Result, len(list))
	slots := make(chan struct{}, atOnce)
	var waiting sync.WaitGroup
	for i, r := range list {
		slots <- struct{}{}
		waiting.Go(func() {
			defer func() { <-slots }()
			out[i].Content, out[i].Err = Get(ctx, r)
		})
	}
	waiting.Wait()
	return out
}

// Get returns all of the content, or an error.
func Get(ctx context.Context, r Request) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	content, err := r.get(ctx)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		err = fmt.Errorf("the server has not sent all of it within %s", r.Timeout)
	}
	return content, err
}

func (r Request) get(ctx context.Context) ([]byte, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if r.CA != nil {
		conf.RootCAs = x509.NewCertPool()
		conf.RootCAs.AppendCertsFromPEM(r.CA)
	}
	transport := &http.Transport{TLSClientConfig: conf, DisableKeepAlives: true, DisableCompression: true,
		MaxResponseHeaderBytes: maxHeader}
	client := &http.Client{Transport: transport, CheckRedirect: sameServer}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.URL, nil)
	if err != nil {
		return nil, err
	}
	if req.URL.Scheme != "https" {
		return nil, errors.New("the URL does not begin with https://")
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, explain(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answers %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if media == "text/html" || media == "application/xhtml+xml" {
		return nil, errWebPage
	}
	content, err := io.ReadAll(io.LimitReader(resp.Body, r.Limit+1))
	switch {
	case ctx.Err() != nil: // also where it seems complete: a server may end it when we hang up
		return nil, ctx.Err()
	case err != nil:
		return nil, fmt.Errorf("the server has not sent all of it: %w", err)
	case int64(len(content)) > r.Limit:
		return nil, fmt.Errorf("the server sends more than %d bytes", r.Limit)
	case len(bytes.TrimSpace(content)) == 0:
		return nil, errors.New("the server sends nothing")
	case isWebPage(content):
		return nil, errWebPage
	}
	return content, nil
}

var errWebPage = errors.New("the server sends a web page (HTML)")

// isWebPage tells of HTML that is not announced as such.
func isWebPage(content []byte) bool {
	head := strings.ToLower(string(bytes.TrimSpace(content[:min(len(content), 512)])))
	return strings.HasPrefix(head, "<!doctype") || strings.HasPrefix(head, "<html")
}

// sameServer allows a redirection to another path only: whoever is named in a
// configuration is who is asked.
func sameServer(req *http.Request, via []*http.Request) error {
	if first := via[0].URL; req.URL.Scheme != first.Scheme || req.URL.Host != first.Host {
		return fmt.Errorf("the server redirects elsewhere, to %s://%s", req.URL.Scheme, req.URL.Host)
	}
	if len(via) > maxRedirects {
		return fmt.Errorf("the server redirects more than %d times", maxRedirects)
	}
	return nil
}

// explain says in the operator's words why there is no answer.
func explain(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err // the URL is known
	}
	var dns *net.DNSError
	var op *net.OpError
	var cert *tls.CertificateVerificationError
	switch {
	case errors.As(err, &cert):
		return fmt.Errorf("the server is not trusted: %w", cert.Err)
	case errors.As(err, &dns) && !dns.IsTimeout:
		return fmt.Errorf("the server has no address: %s", dns.Err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("the server is away: connection refused")
	case errors.As(err, &op) && op.Op == "dial":
		return fmt.Errorf("the server is away: %w", op.Err)
	}
	return err
}
