//go:build e2e

package conformance

import (
	"errors"
	"fmt"
	"io"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

// patience is how long a step waits for what has to come by itself.
const patience = 60 * time.Second

// answerTime is how long a ping waits for its last answer, if that does not come
// before: guests are slow beside others.
const answerTime = 10 * time.Second

// eventually waits until check gives nil; otherwise it returns its last error.
func eventually(what string, check func() error) error {
	var err error
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); time.Now().Before(end); <-tick.C {
		if err = check(); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%s: not within %v: %w", what, patience, err)
}

// peer starts strongSwan.
func peer(name string, s settings) step {
	return func(w *world) error {
		w.host(name).swan = w.host(name).StrongSwan(s.config(w.kernel))
		return nil
	}
}

// up connects a child.
func up(name, child string) step {
	return func(w *world) error { return w.host(name).swan.Initiate(child, patience) }
}

// refused has strongSwan connect a child in vain: moon answers with a notify, which is
// given as strongSwan's log abbreviates it.
func refused(name, child, notify string) step {
	return func(w *world) error {
		s := w.host(name).swan
		if s.Initiate(child, patience) == nil {
			return fmt.Errorf("%s is connected", name)
		}
		if !regexp.MustCompile(`parsed .* response .*N\((` + notify + `)\)`).MatchString(s.Log()) {
			return fmt.Errorf("%s has got no %s", name, notify)
		}
		w.see("%s is refused: %s", name, notify)
		return nil
	}
}

// sas waits until moon has n IKE SAs, all of them established, with so many child SAs
// each.
func sas(n, children int) step {
	return func(w *world) error {
		var found []lab.IKESA
		err := eventually("SAs of moon", func() error {
			found = w.moon.IKESAs(tenant)
			for _, s := range found {
				if s.State != "ESTABLISHED" || len(s.ChildSAs) != children {
					return fmt.Errorf("one is %s with %d child SAs", s.State, len(s.ChildSAs))
				}
			}
			if len(found) != n {
				return fmt.Errorf("there are %d", len(found))
			}
			return nil
		})
		if err != nil {
			return err
		}
		text := fmt.Sprintf("%d IKE SAs", n)
		if n == 1 {
			text = "1 IKE SA"
		}
		if children != 1 && n > 0 {
			text += fmt.Sprintf(" with %d child SAs", children)
		}
		w.see("%s", text)
		return nil
	}
}

// selectors waits until moon has child SAs with these selectors, and no others.
func selectors(want ...string) step {
	return func(w *world) error {
		err := eventually("selectors", func() error {
			var got []string
			for _, s := range w.moon.IKESAs(tenant) {
				for _, c := range s.ChildSAs {
					got = append(got, strings.Join(c.LocalTS, " ")+" === "+strings.Join(c.RemoteTS, " "))
				}
			}
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				return fmt.Errorf("they are %q, not %q", got, want)
			}
			return nil
		})
		if err == nil {
			w.see("%s", strings.Join(want, ", "))
		}
		return err
	}
}

// suite says with which algorithms the SAs are: the cipher of all of them, and the key
// exchange.
func suite(id, encryption, exchange string) step {
	return func(w *world) error {
		for _, s := range w.moon.IKESAs(tenant) {
			if !strings.HasPrefix(s.RemoteID, id) {
				continue
			}
			if s.Encryption != encryption || s.ChildSAs[0].Encryption != encryption || s.KeyExchange != exchange {
				return fmt.Errorf("%s has %s, %s, and %s for the child", id, s.Encryption, s.KeyExchange,
					s.ChildSAs[0].Encryption)
			}
			w.see("%s: %s, %s", id, encryption, exchange)
			return nil
		}
		return fmt.Errorf("there is no IKE SA of %s", id)
	}
}

// ping pings from one host to another one, through a tunnel, over IPv4; ping6 does
// over IPv6.
func ping(from, to string) step  { return echo(from, to, false) }
func ping6(from, to string) step { return echo(from, to, true) }

func echo(from, to string, v6 bool) step {
	return func(w *world) error {
		p := lab.Ping{Interval: 20 * time.Millisecond, Timeout: answerTime}
		var err error
		if p.From, err = w.inner(from, v6); err != nil {
			return err
		}
		if p.To, err = w.inner(to, v6); err != nil {
			return err
		}
		w.host(from).MustPing(p)
		what := "ping"
		if v6 {
			what = "ping6"
		}
		w.see("%s %s to %s", what, from, to)
		return nil
	}
}

// tcp sends some bytes to a port of another host and has them back.
func tcp(from, to string, port int) step {
	return func(w *world) error {
		source, err := w.inner(from, false)
		if err != nil {
			return err
		}
		target, err := w.inner(to, false)
		if err != nil {
			return err
		}
		if err := converse(w, from, to, source, net.JoinHostPort(target, fmt.Sprint(port))); err != nil {
			return fmt.Errorf("TCP from %s to port %d of %s: %w", from, port, to, err)
		}
		w.see("TCP %s to port %d of %s", from, port, to)
		return nil
	}
}

func converse(w *world, from, to, source, target string) error {
	var l net.Listener
	if err := w.host(to).Do(func() (err error) { l, err = net.Listen("tcp", target); return err }); err != nil {
		return err
	}
	defer l.Close()
	echoed := make(chan struct{})
	go func() {
		defer close(echoed)
		if c, err := l.Accept(); err == nil {
			defer c.Close()
			_, _ = io.Copy(c, c) // the other end sees what comes back
		}
	}()
	defer func() { l.Close(); <-echoed }()
	d := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}}
	var c net.Conn
	if err := w.host(from).Do(func() (err error) { c, err = d.Dial("tcp", target); return err }); err != nil {
		return err
	}
	defer c.Close()
	text := []byte("some bytes for " + to)
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := c.Write(text); err != nil {
		return err
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != string(text) {
		return fmt.Errorf("%w: got %q", err, got)
	}
	return nil
}

// given says which addresses a client has from moon, in any order.
func given(name string, want ...string) step {
	return func(w *world) error {
		got := w.host(name).swan.VIPs()
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			return fmt.Errorf("%s has %v, not %v", name, got, want)
		}
		w.see("%s has %s", name, strings.Join(got, " and "))
		return nil
	}
}

// logged waits until strongSwan's log has a line that matches; what of it is in
// parentheses is for the table.
func logged(name, pattern string) step {
	re := regexp.MustCompile(pattern)
	return func(w *world) error {
		err := eventually(pattern+" in the log of "+name, func() error {
			if !re.MatchString(w.host(name).swan.Log()) {
				return errors.New("there is no such line")
			}
			return nil
		})
		if err == nil {
			found := re.FindStringSubmatch(w.host(name).swan.Log())
			w.see("%s logs %q", name, found[len(found)-1])
		}
		return err
	}
}

// inOrder says that strongSwan has logged one text before another one.
func inOrder(name, first, second string) step {
	return func(w *world) error {
		before, after, ok := strings.Cut(w.host(name).swan.Log(), first)
		if !ok || strings.Contains(before, second) || !strings.Contains(after, second) {
			return fmt.Errorf("%s has not logged %q and then %q", name, first, second)
		}
		w.see("%s logs %q before %q", name, first, second)
		return nil
	}
}

// carried says how ESP has been on moon's outside wire: "esp", or "esp-in-udp".
func carried(protocol string) step {
	return func(w *world) error {
		n := 0
		for _, p := range w.wire.Packets(func(p lab.Packet) bool { return p.SPI != 0 }) {
			if n++; p.Protocol != protocol {
				return fmt.Errorf("on the wire is %s, not %s", p.Protocol, protocol)
			}
		}
		if n == 0 {
			return errors.New("there is no ESP on the wire")
		}
		w.see("all ESP is %s", protocol)
		return nil
	}
}

// terminated ends the IKE SA of a client, and waits until moon has none of it.
func terminated(name, conn string) step {
	return func(w *world) error { return w.host(name).swan.Terminate(conn) }
}

// killed ends strongSwan without a word.
func killed(name string) step {
	return func(w *world) error { w.host(name).swan.Kill(); return nil }
}

// reconfigured has moon apply another file.
func reconfigured(hcl string) step {
	return func(w *world) error {
		w.moon.Write("moon.hcl", hcl+w.backend)
		w.moon.MustCLI("apply")
		return nil
	}
}

// same does some steps, and says that the SAs of a peer stay; sameIKE says it of the
// IKE SA alone, as strongSwan's ESP in userspace is rekeyed to move.
func same(id string, steps ...step) step    { return unchanged(id, "SAs", steps) }
func sameIKE(id string, steps ...step) step { return unchanged(id, "IKE SA", steps) }

func unchanged(id, what string, steps []step) step {
	return func(w *world) error {
		find := func() (found []string) {
			for _, s := range w.moon.IKESAs(tenant) {
				if !strings.HasPrefix(s.RemoteID, id) {
					continue
				}
				found = append(found, s.SPIi)
				for _, c := range s.ChildSAs {
					if what == "SAs" {
						found = append(found, c.SPIIn)
					}
				}
			}
			return found
		}
		before := find()
		for _, s := range steps {
			if err := s(w); err != nil {
				return err
			}
		}
		if after := find(); !slices.Equal(before, after) || len(before) == 0 {
			return fmt.Errorf("the %s of %s were %v, and are %v", what, id, before, after)
		}
		w.see("the same %s of %s", what, id)
		return nil
	}
}

// underPing does some steps while a ping goes through a tunnel, of which nothing may
// be lost, and waits for answers after them.
func underPing(from, to string, steps ...step) step {
	return func(w *world) error {
		ping := lab.Ping{Interval: 20 * time.Millisecond, Timeout: answerTime}
		var err error
		if ping.From, err = w.inner(from, false); err != nil {
			return err
		}
		if ping.To, err = w.inner(to, false); err != nil {
			return err
		}
		w.host(from).MustPing(ping)
		p := w.host(from).StartPing(ping)
		for _, s := range steps {
			if err := s(w); err != nil {
				return err
			}
		}
		more := p.Received() + 20
		err = eventually("answers to the ping", func() error {
			if got := p.Received(); got < more {
				return fmt.Errorf("%d are missing", more-got)
			}
			return nil
		})
		if r := p.Stop(); err == nil && r.Lost() > 0 {
			err = fmt.Errorf("ping from %s to %s: %v", from, to, r)
		}
		if err == nil {
			w.see("no ping %s to %s is lost meanwhile", from, to)
		}
		return err
	}
}
