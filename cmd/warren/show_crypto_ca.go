package main

import (
	"fmt"
	"io"
	"time"

	"github.com/warrenvpn/warren/system/api"
	"github.com/warrenvpn/warren/system/client"
)

// showCertificates is `warren show crypto ca certificates`.
var showCertificates = query[api.CertificateList]{
	use:   "certificates",
	short: "Show the certificates of contexts, and how many days they are still valid",
	long: "Show the certificates of all contexts: those that prove a gateway, with who vouches for them, and the\n" +
		"authorities that vouch for peers.",
	ask: unnamed((*client.Client).Certificates),
	text: func(e *env, w io.Writer, l *api.CertificateList) {
		if len(l.Certificates) == 0 {
			fmt.Fprintln(w, "No context has a certificate")
			return
		}
		certificateTable.write(e, w, l.Certificates)
	},
}

var certificateTable = table[api.Certificate]{columns: []column[api.Certificate]{
	{"CONTEXT", func(_ *env, c *api.Certificate) string { return c.Context }},
	{"TRUSTPOINT", func(_ *env, c *api.Certificate) string { return c.Trustpoint }},
	{"USE", func(_ *env, c *api.Certificate) string { return c.Use }},
	{"DAYS LEFT", func(e *env, c *api.Certificate) string { return e.daysLeft(c.NotAfter) }},
	{"VALID UNTIL", func(_ *env, c *api.Certificate) string { return moment(c.NotAfter) }},
	{"SUBJECT", func(_ *env, c *api.Certificate) string { return c.Subject }},
}}

// daysLeft prints how many whole days are left until t.
func (e *env) daysLeft(t time.Time) string {
	left := t.Sub(e.now())
	if left < 0 {
		return "expired"
	}
	return fmt.Sprint(int64(left / (24 * time.Hour)))
}
