//go:build e2e

package conformance

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/warrenvpn/warren/internal/lab"
)

// scenarios are all that are played.
var scenarios = slices.Concat(connecting, dying, toSites, throughNAT, byPorts, byAlgorithms, byFailover,
	byCertificate)

// resultMark begins the line by which a guest tells what came of a scenario.
const resultMark = "result: "

// numberVariable is the scenario for a guest.
const numberVariable = "WARREN_SCENARIO"

// guestModules are what strongSwan needs of a guest's kernel.
var guestModules = []string{"ipv6", "veth", "bridge", "tun", "xfrm_user", "esp4", "esp6", "gcm", "ghash-generic",
	"drbg", "jitterentropy_rng", "seqiv", "echainiv", "authenc", "ctr", "cbc", "hmac", "sha512_generic"}

// TestMain tells in one line each what is missing.
func TestMain(m *testing.M) {
	if lab.InGuest() {
		lab.ServeGuest(m.Run)
		return
	}
	missing := 0
	complain := func(what string) { fmt.Fprintln(os.Stderr, "conformance: missing:", what); missing++ }
	if os.Geteuid() != 0 {
		complain("root: these tests make network namespaces")
	}
	for _, program := range []string{"charon-systemd", "swanctl", "nft", "ping", "openssl", lab.GuestKernel} {
		if _, err := exec.LookPath(program); err != nil {
			complain(program + " (make deps installs it)")
		}
	}
	for _, program := range []string{"warrend", "warren-context", "warren"} {
		if _, err := os.Stat(filepath.Join(lab.Bin(), program)); err != nil {
			complain(fmt.Sprintf("%s in %s (make build puts it there)", program, lab.Bin()))
		}
	}
	if missing > 0 {
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// TestScenarios plays every scenario with every back end. A scenario that is right in
// the committed table must be right now. When all were played, and none of those has
// become wrong, the table is written anew. `-run TestScenarios/25` plays one.
func TestScenarios(t *testing.T) {
	committed, err := readTable()
	if err != nil {
		t.Fatal(err)
	}
	rows := map[int]outcome{}
	for n := 1; n < len(catalogue); n++ {
		if catalogue[n].fate != played {
			rows[n] = notPlayed(catalogue[n].fate)
		}
	}
	var mu sync.Mutex // guards rows
	t.Run("all", func(t *testing.T) {
		for _, s := range scenarios {
			t.Run(strconv.Itoa(s.number), func(t *testing.T) {
				t.Parallel()
				o := s.judge(t, committed[s.number])
				mu.Lock()
				defer mu.Unlock()
				rows[s.number] = o
			})
		}
	})
	if t.Failed() || len(rows) != len(catalogue)-1 {
		t.Logf("%d of %d scenarios were played or are not to be; the table stays as it is", len(rows), len(catalogue)-1)
		return
	}
	if err := writeTable(about(), rows); err != nil {
		t.Error(err)
	}
}

// judge plays a scenario with every back end, and fails the test where it was right.
func (s scenario) judge(t *testing.T, before outcome) outcome {
	var o outcome
	for i, b := range backends {
		seen, err := s.anywhere(t, b.hcl)
		result := right
		if err != nil {
			first, _, _ := strings.Cut(err.Error(), "\n")
			seen, result = strings.TrimPrefix(seen+"; then: "+first, "; "), wrong
			t.Logf("scenario %d, %s, %s: %v", s.number, catalogue[s.number].name, b.name, err)
			if len(before.results) > i && before.results[i] == right {
				t.Errorf("scenario %d, %s, was right with %s", s.number, catalogue[s.number].name, b.name)
			}
		}
		if o.results = append(o.results, result); i == 0 {
			o.seen = seen
		}
	}
	return o
}

// anywhere plays the scenario here, or in a guest.
func (s scenario) anywhere(t *testing.T, backend string) (seen string, err error) {
	if !s.kernel {
		return s.run(t, backend)
	}
	var out string
	err = lab.Run(t.Logf, func(l *lab.Lab) (err error) {
		out, err = l.RunGuest(lab.Guest{Test: "TestInGuest", Modules: guestModules, Timeout: 5 * time.Minute,
			Env: []string{numberVariable + "=" + strconv.Itoa(s.number)}})
		return err
	})
	told := false
	for line := range strings.Lines(out) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), resultMark); ok {
			seen, told = text, true
		}
	}
	if err != nil || !told {
		t.Log(out)
		reason := ""
		for line := range strings.Lines(out) {
			if _, text, ok := strings.Cut(line, "not as it should be: "); ok {
				reason = strings.TrimSpace(text)
			}
		}
		return seen, fmt.Errorf("%s (in a guest: %v)", reason, err)
	}
	return seen + "; strongSwan has the ESP of its kernel", nil
}

// TestInGuest is what a guest plays.
func TestInGuest(t *testing.T) {
	if !lab.InGuest() {
		return
	}
	for _, s := range scenarios {
		if strconv.Itoa(s.number) == os.Getenv(numberVariable) {
			seen, err := s.run(t, backends[0].hcl)
			if err != nil {
				t.Fatalf("not as it should be: %v", err)
			}
			fmt.Println(resultMark + seen)
			return
		}
	}
	t.Fatalf("there is no scenario %s", os.Getenv(numberVariable))
}

// TestSample plays two scenarios, so that those who do not play all of them see that
// it can be done.
func TestSample(t *testing.T) {
	for _, s := range scenarios {
		if s.number != 89 && s.number != 25 {
			continue
		}
		t.Run(catalogue[s.number].name, func(t *testing.T) {
			t.Parallel()
			if _, err := s.run(t, backends[0].hcl); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestWrong plays what must not count as right: a step that fails, and a packet of a
// protected network that passes moon's outside wire in clear.
func TestWrong(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		steps      []step
	}{
		{"a wrong key", "establishing CHILD_SA 'home' failed", []step{
			peer("carol", client("carol", `secrets.ike.secret = "somebody else's key"`)), up("carol", "home")}},
		{"in clear", "packets in clear on moon of outside", []step{
			func(w *world) error {
				carol := w.host("carol")
				carol.Route("10.1.0.0/16", "192.168.0.1")
				carol.Ping(lab.Ping{From: "192.168.0.100", To: "10.1.0.10", Interval: time.Millisecond,
					Timeout: 100 * time.Millisecond})
				return nil
			}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := scenario{moon: gateway(roadWarriors), steps: tt.steps}.run(t, backends[0].hcl)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

// TestCatalogue holds the tables of scenarios to the catalogue.
func TestCatalogue(t *testing.T) {
	count := map[int]int{}
	for _, s := range scenarios {
		count[s.number]++
	}
	for n := 1; n < len(catalogue); n++ {
		if want := map[bool]int{true: 1}[catalogue[n].fate == played]; count[n] != want {
			t.Errorf("scenario %d, %s: is in the tables %d times, want %d", n, catalogue[n].name, count[n], want)
		}
	}
}

// about tells when this was, and what took part.
func about() []string {
	first := func(program string, args ...string) string {
		out, err := exec.Command(program, args...).CombinedOutput()
		if err != nil {
			return err.Error()
		}
		line, _, _ := strings.Cut(string(out), "\n")
		return strings.TrimSpace(line)
	}
	return []string{
		"Run of " + time.Now().UTC().Format(time.DateOnly),
		"Peer: " + strings.TrimSuffix(first("swanctl", "--help"), " swanctl") + " of " +
			first("sh", "-c", ". /etc/os-release; echo $PRETTY_NAME"),
		"Gateway: " + first(filepath.Join(lab.Bin(), "warren"), "version"),
		"Kernel: Linux " + first("uname", "-r") + "; where it says so user-mode Linux " +
			first("sh", "-c", "ls -d /usr/lib/uml/modules/* | xargs -n 1 basename"),
	}
}
