package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/warrenvpn/warren/ike/pki"
)

// The files of an authority, in its folder.
const (
	caCertificate = "ca.pem"
	caKey         = "ca.key"
)

const (
	// caYears and certificateDays are for how long certificates are valid where nothing
	// else is said. Apple's devices refuse a gateway's that is valid for more than 825 days.
	caYears         = 10
	certificateDays = 825
	// earlier is by how much they are valid before they are made: clocks differ.
	earlier = time.Hour
)

// newPKI is `warren pki`.
func newPKI(e *env) *cobra.Command {
	return group(&cobra.Command{
		Use:   "pki",
		Short: "Make certificates: an authority, gateways, clients",
		Long: "Make certificates for a VPN of one's own: an authority, whose key stays where it is made, and\n" +
			"certificates of gateways and clients, which it signs. Files are PEM; those with a private key are\n" +
			"readable for their owner alone. No file that is there is replaced, but for a certificate that is renewed.",
	}, newPKICA(e), newPKIGateway(e), newPKIClient(e), newPKIRenew(e))
}

// newPKICA is `warren pki ca`.
func newPKICA(e *env) *cobra.Command {
	var name, kind string
	c := &cobra.Command{
		Use:   "ca --name NAME DIR",
		Short: "Make an authority",
		Long: "Make an authority: ca.pem, which gateways and clients trust, and ca.key, which signs.\n\n" +
			"Keep the folder off the gateway, or at least out of disk0:.",
		Example: `  warren pki ca --name "Example VPN" ~/pki`,
		Args:    oneFile,
		RunE: does(func(_ context.Context, args []string) error {
			key, err := newKey(kind)
			if err != nil {
				return err
			}
			now := e.now()
			ca, err := pki.NewCA(rand.Reader, name, key, now.Add(-earlier), now.AddDate(caYears, 0, 0))
			if err != nil {
				return unprefixed(err)
			}
			if err := os.MkdirAll(args[0], 0o700); err != nil {
				return bare(err)
			}
			return e.writePair(filepath.Join(args[0], caCertificate), filepath.Join(args[0], caKey), key,
				ca.Certificate)
		}),
	}
	c.Flags().StringVar(&name, "name", "", "`name` of the authority, which users may see")
	keyFlag(c, &kind)
	return c
}

// newPKIGateway is `warren pki gateway`.
func newPKIGateway(e *env) *cobra.Command {
	return newPKIEnd(e, pki.Gateway, &cobra.Command{
		Use:   "gateway --ca DIR --name NAME... FILE",
		Short: "Make the certificate of a gateway",
		Long: "Make the certificate of a gateway: FILE.pem, with its authority behind it, and FILE.key.\n\n" +
			"Its names are those that clients connect to: domains, and addresses where clients use them. Its usage\n" +
			"is the one that Windows and Apple ask for.",
		Example: "  warren pki gateway --ca ~/pki --name vpn.example.com --name 203.0.113.2 /etc/warren/gw",
	})
}

// newPKIClient is `warren pki client`.
func newPKIClient(e *env) *cobra.Command {
	return newPKIEnd(e, pki.Client, &cobra.Command{
		Use:   "client --ca DIR --name NAME... FILE",
		Short: "Make the certificate of a client",
		Long: "Make the certificate of a client: FILE.pem, with its authority behind it, and FILE.key.\n\n" +
			"Its name is what remote_identity of a tunnel group takes: a mail address of a person, the domain of a\n" +
			"device. Phones take both files as one:\n" +
			"`openssl pkcs12 -export -in FILE.pem -inkey FILE.key -out FILE.p12`.",
		Example: "  warren pki client --ca ~/pki --name alice@example.com alice",
	})
}

// newPKIEnd makes the command c the one that makes certificates of that end.
func newPKIEnd(e *env, end pki.End, c *cobra.Command) *cobra.Command {
	var ca, kind string
	var names []string
	var days int
	c.Args = oneFile
	c.RunE = does(func(_ context.Context, args []string) error {
		issuer, err := readIssuer(ca)
		if err != nil {
			return err
		}
		key, err := newKey(kind)
		if err != nil {
			return err
		}
		from, until, err := e.validity(days)
		if err != nil {
			return err
		}
		made, err := issuer.Issue(rand.Reader, key.Public(), end, names, from, until)
		if err != nil {
			return unprefixed(err)
		}
		return e.writePair(args[0]+".pem", args[0]+".key", key, made, issuer.Certificate)
	})
	c.Flags().StringVar(&ca, "ca", "", "`folder` of the authority, which `warren pki ca` has made")
	c.Flags().StringArrayVar(&names, "name", nil, "`name`: a domain, an address or a mail address; may be repeated")
	c.Flags().IntVar(&days, "days", certificateDays, "for how many `days` it is valid")
	keyFlag(c, &kind)
	return c
}

// newPKIRenew is `warren pki renew`.
func newPKIRenew(e *env) *cobra.Command {
	var ca string
	var days int
	c := &cobra.Command{
		Use:   "renew --ca DIR FILE.pem",
		Short: "Renew a certificate",
		Long: "Renew a certificate: the one in FILE.pem is replaced by another one with the same names for the\n" +
			"same key.\n\n" +
			"A gateway takes it with `warren apply`; nobody is disconnected.",
		Example: "  warren pki renew --ca ~/pki /etc/warren/gw.pem",
		Args:    oneFile,
		RunE: does(func(_ context.Context, args []string) error {
			issuer, err := readIssuer(ca)
			if err != nil {
				return err
			}
			b, err := readBounded(args[0], pki.MaxChain*pki.MaxCertificate)
			if err != nil {
				return fmt.Errorf("reading %s: %w", args[0], bare(err))
			}
			old, err := pki.ParseCertificates(b, pki.MaxChain)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], unprefixed(err))
			}
			from, until, err := e.validity(days)
			if err != nil {
				return err
			}
			made, err := issuer.Renew(rand.Reader, old[0], from, until)
			if err != nil {
				return fmt.Errorf("%s: %w", args[0], unprefixed(err))
			}
			info, err := os.Stat(args[0])
			if err != nil {
				return bare(err)
			}
			if _, err := replaceFile(args[0], bytes.NewReader(certificatesPEM(made, issuer.Certificate)),
				info.Mode().Perm()); err != nil {
				return err
			}
			fmt.Fprintln(e.stdout, args[0])
			return nil
		}),
	}
	c.Flags().StringVar(&ca, "ca", "", "`folder` of the authority, which `warren pki ca` has made")
	c.Flags().IntVar(&days, "days", certificateDays, "for how many `days` it is valid from now on")
	return c
}

// keyFlag lets the user choose the kind of key.
func keyFlag(c *cobra.Command, kind *string) {
	c.Flags().StringVar(kind, "key", "rsa", "`kind` of key: rsa, which all clients take, ecdsa or ed25519")
}

// rsaBits is the size of an RSA key: what is held to be safe beyond 2030.
const rsaBits = 3072

// newKey makes a key.
func newKey(kind string) (crypto.Signer, error) {
	switch kind {
	case "rsa":
		return rsa.GenerateKey(rand.Reader, rsaBits)
	case "ecdsa":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ed25519":
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return nil, fmt.Errorf("%q is no kind of key: rsa, ecdsa or ed25519", kind)
}

// maxDays bounds for how long a certificate is valid.
const maxDays = 36_500

// validity returns from when until when a certificate is valid.
func (e *env) validity(days int) (from, until time.Time, err error) {
	if days < 1 || days > maxDays {
		return from, until, fmt.Errorf("a certificate is valid for 1 to %d days, and not for %d", maxDays, days)
	}
	now := e.now()
	return now.Add(-earlier), now.AddDate(0, 0, days), nil
}

// readIssuer reads an authority from its folder.
func readIssuer(dir string) (*pki.CA, error) {
	if dir == "" {
		return nil, errors.New("--ca names the folder of the authority, which `warren pki ca` makes")
	}
	var files [2][]byte
	for i, name := range []string{caCertificate, caKey} {
		b, err := readBounded(filepath.Join(dir, name), pki.MaxKey)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", filepath.Join(dir, name), bare(err))
		}
		files[i] = b
	}
	defer clear(files[1])
	issuer, err := pki.ParseCA(files[0], files[1])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, unprefixed(err))
	}
	return issuer, nil
}

// unprefixed is what is wrong with a certificate, in the words for an operator.
func unprefixed(err error) error {
	var p *pki.Error
	if errors.As(err, &p) {
		return errors.New(p.Line())
	}
	return err
}

// certificatesPEM are certificates as a file.
func certificatesPEM(list ...*x509.Certificate) (out []byte) {
	for _, c := range list {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

// writePair writes a key and its certificates into files that are not there yet, and prints
// their names. Where the second cannot be written, the first is taken away.
func (e *env) writePair(certificate, key string, own crypto.Signer, chain ...*x509.Certificate) error {
	der, err := pki.MarshalKey(own)
	if err != nil {
		return unprefixed(err)
	}
	b := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der.Reveal()})
	defer clear(b)
	if err := writeNew(key, b, 0o600); err != nil {
		return err
	}
	if err := writeNew(certificate, certificatesPEM(chain...), 0o644); err != nil {
		return errors.Join(err, os.Remove(key))
	}
	_, err = fmt.Fprintln(e.stdout, strings.Join([]string{certificate, key}, "\n"))
	return err
}

// writeNew writes a file that is not there yet.
func writeNew(path string, b []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already, and is not changed", path)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, bare(err))
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, bare(errors.Join(err, os.Remove(path))))
	}
	return nil
}
