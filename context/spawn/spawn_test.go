package spawn

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/netns"
	"github.com/warrenvpn/warren/context/pipe"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/internal/roottest"
	"github.com/warrenvpn/warren/internal/secret"
)

// patience is how long a state is waited for that comes within moments on an idle
// machine. Only a test that fails waits so long.
const patience = 2 * time.Minute

// TestMain is also the main of the fake workers that the tests start.
func TestMain(m *testing.M) {
	if os.Args[0] == "warren-context" {
		syscall.Exit(fakeWorker(os.Args[1])) // os.Exit waits for a second under the race detector
	}
	if kill := os.Getenv("SPAWN_SUPERVISOR"); kill != "" {
		if err := supervisor(kill); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// fakeWorker is a worker whose manners are its tenant's name.
func fakeWorker(manner string) int {
	line, err := pipe.LineFromFile(os.NewFile(3, "line"))
	if err != nil {
		return 9
	}
	var boot control.Boot
	var conn *pipe.Conn
	stopped := false
	handle := func(ctx context.Context, req *pipe.Request) (any, error) {
		switch req.Kind {
		case control.KindAdopt:
			if boot.Tenant == nil {
				return nil, errors.New("adopt before boot")
			}
			return control.Booted{Build: "v1"}, nil
		case control.KindBoot:
			switch manner {
			case "crash":
				os.Exit(3)
			case "refuse":
				return nil, errors.New("no common language")
			case "hang":
				select {}
			case "parent": // a worker that was taken over, and lives on in another process
				if pid, _, errno := syscall.RawSyscall(syscall.SYS_CLONE, uintptr(syscall.SIGCHLD), 0, 0); errno != 0 {
					return nil, errno
				} else if pid == 0 {
					for {
						syscall.RawSyscall6(syscall.SYS_PPOLL, 0, 0, 0, 0, 0, 0)
					}
				}
			}
			if err := json.Unmarshal(req.Body, &boot); err != nil {
				return nil, err
			}
			return control.Booted{}, fakeBoot(manner, &boot, req.Files)
		case control.KindConfigure:
			return nil, json.Unmarshal(req.Body, &boot)
		case control.KindKeys:
			return fakeKeys(ctx, conn, &boot), nil
		case control.KindStop:
			if manner == "rude" {
				select {}
			}
			stopped = true
			conn.Close()
			return nil, nil
		}
		return nil, fmt.Errorf("unknown %s", req.Kind)
	}
	for !stopped {
		if conn, err = line.Accept(); err != nil {
			break
		}
		conn.Serve(context.Background(), handle)
	}
	if manner == "rude" {
		select {}
	}
	return 0
}

// fakeBoot counts the starts in the journal. Its second start with the same one
// fails where that is its manner.
func fakeBoot(manner string, boot *control.Boot, files []*os.File) error {
	if len(files) != len(boot.Descriptors) || string(boot.Secrets[0]) != "psk" {
		return errors.New("boot message is wrong")
	}
	var b [8]byte
	if _, err := files[0].ReadAt(b[:], 0); err != nil {
		return err
	}
	binary.LittleEndian.PutUint64(b[:], binary.LittleEndian.Uint64(b[:])+1)
	if _, err := files[0].WriteAt(b[:], 0); err != nil {
		return err
	}
	if binary.LittleEndian.Uint64(b[:]) > 1 {
		switch manner {
		case "illiterate":
			return &control.Error{Cause: control.CauseMemory, Err: errors.New("not a journal")}
		case "poisoned":
			os.Exit(3)
		}
	}
	boot.LogLevel = fmt.Sprint("start ", binary.LittleEndian.Uint64(b[:]))
	for i, d := range boot.Descriptors {
		if d.Kind == control.DescriptorTUN {
			fmt.Fprintf(files[i], "hello %s\n", boot.Tenant.Name)
		}
	}
	return nil
}

// fakeKeys tells what the worker is: in IKE its environment, in ESP what it knows
// and what the supervisor answered to its requests.
func fakeKeys(ctx context.Context, conn *pipe.Conn, boot *control.Boot) control.Keys {
	keys := control.Keys{ESP: []string{boot.LogLevel, "class " + boot.Tenant.Class}}
	keys.IKE = append(keys.IKE, os.Environ()...)
	prefix := netip.MustParsePrefix("10.0.0.1/32")
	for kind, body := range map[control.Kind]any{
		control.KindAddress: control.Address{Add: true, Prefix: prefix},
		control.KindRoutes:  control.Routes{Add: []control.Route{{Destination: prefix}}},
		control.KindClaim:   control.Claim{Resource: "vpn_burst_other", More: 7},
		control.KindKeys:    nil, control.KindBoot: nil,
	} {
		answer, err := conn.Call(ctx, kind, body)
		keys.ESP = append(keys.ESP, fmt.Sprintf("%s: %v", kind, err))
		if kind == control.KindClaim {
			keys.ESP = append(keys.ESP, "granted "+string(answer.Body))
		}
	}
	return keys
}

// network is a Network without one.
type network struct {
	mu    sync.Mutex
	asked []string
	ends  []netns.Endpoint
	boots func() // called while a boot message is written; nil: nothing
}

func (n *network) Do(fn func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		done <- fn()
	}()
	return <-done
}

func (n *network) Endpoints() []netns.Endpoint {
	n.mu.Lock()
	boots := n.boots
	n.mu.Unlock()
	if boots != nil {
		boots()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, e := range n.ends {
		if e.File == nil && e.Kept == nil { // which a Gateway makes again
			f, err := os.Open(os.DevNull)
			if err != nil {
				panic(err)
			}
			n.ends = slices.Clone(n.ends)
			n.ends[i].File = f
		}
	}
	return n.ends
}

func (n *network) Address(a control.Address) error { return n.note("address " + a.Prefix.String()) }
func (n *network) Routes(r control.Routes) error   { return n.note(fmt.Sprint("routes ", r.Add)) }

func (n *network) Connect(c control.Connect) ([]*os.File, error) {
	return nil, n.note("connect " + c.Server.String())
}

func (n *network) Sniff(string) (*os.File, error) { return os.Open(os.DevNull) }

func (n *network) note(what string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked = append(n.asked, what)
	return nil
}

// group is a Group that notes who was added.
type group struct {
	mu    sync.Mutex
	pids  []int
	kills int
}

func (g *group) Add(pid int) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pids = append(g.pids, pid)
	return nil
}

func (g *group) Kill(context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.kills++
	return nil
}

func (g *group) OOMKills() int64 { return 0 }

const testUID = 0x7fff1234

// world is a Worker with its surroundings.
type world struct {
	*Worker
	network *network
	group   *group
	tun     *os.File // what the workers write to their TUN
	changed chan struct{}
}

// run starts a Worker of the given manner and stops it when the test ends.
func run(t *testing.T, manner string) *world {
	t.Helper()
	roottest.Need(t)
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r, wr, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	n := &network{ends: []netns.Endpoint{{Descriptor: control.Descriptor{Kind: control.DescriptorTUN}, File: wr}}}
	out := &world{network: n, group: &group{}, tun: r, changed: make(chan struct{}, 1)}
	out.Worker, err = New(&Config{
		Tenant: &spec.Tenant{Name: manner, Class: "gold", Secrets: []secret.Value{secret.Copy([]byte("psk"))}},
		Binary: binary, UID: testUID, Network: n, Group: out.group, MemoryLimit: 100 << 20, Stderr: devNull(t),
		LogFormat: "text", LogLevel: "info", Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Claim: func(c control.Claim) (control.Grant, error) { return control.Grant{Most: c.More - 3}, nil },
		Changed: func() {
			select {
			case out.changed <- struct{}{}:
			default:
			}
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- out.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		out.Close()
		for _, pid := range out.group.pids {
			if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
				t.Errorf("process %d is left: %v", pid, err)
			}
		}
		for _, f := range []*os.File{r, wr} {
			f.Close()
		}
	})
	return out
}

// devNull is open for the time of a test.
func devNull(t *testing.T) *os.File {
	t.Helper()
	f, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// until waits for a status.
func (w *world) until(t *testing.T, what string, ok func(Status) bool) Status {
	t.Helper()
	limit := time.After(patience)
	for {
		if s := w.Status(); ok(s) {
			return s
		}
		select {
		case <-w.changed:
		case <-limit:
			t.Fatalf("no status with %s; it is %+v", what, w.Status())
		}
	}
}

func ready(s Status) bool { return s.Ready }

func TestWorker(t *testing.T) {
	w := run(t, "good")
	s := w.until(t, "ready", ready)
	if !slices.Contains(w.group.pids, s.PID) || s.Restarts != 0 || s.Started.IsZero() {
		t.Errorf("status %+v, group %v", s, w.group.pids)
	}
	<-w.Worker.Ready()
	keys, err := w.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(append(keys.IKE, keys.ESP...), "\n") + "\n" + processText(t, s.PID)
	for _, want := range []string{
		fmt.Sprintf("Uid: %d %[1]d %[1]d %[1]d\n", testUID), fmt.Sprintf("Gid: %d %[1]d %[1]d %[1]d\n", testUID),
		"Groups:  \n",
		"CapInh: 0000000000000000\n", "CapPrm: 0000000000000000\n", "CapEff: 0000000000000000\n",
		"CapBnd: 0000000000000000\n",
		"CapAmb: 0000000000000000\n", "NoNewPrivs: 1\n", "GOMEMLIMIT=94371840\n", "start 1\n", "class gold\n",
		"oom " + ownScore(t) + "\n",
		"address: <nil>\n", "routes: <nil>\n", "claim: <nil>\n", `granted {"most":4}`,
		"keys: pipe: keys refused: spawn: a worker may not ask for that\n",
		"boot: pipe: boot refused: spawn: a worker may not ask for that\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if strings.Contains(text, "PATH=") {
		t.Error("our environment has leaked")
	}
	if _, err := w.IKESAs(t.Context()); err == nil {
		t.Error("an answer that was refused is no error")
	}
}

// processText is what the kernel says of a process: its status and OOM score.
func processText(t *testing.T, pid int) string {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	score, err := os.ReadFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(status), "\t", " ") + "oom " + string(score)
}

// ownScore is what a worker inherits of us, where that makes it no safer than
// others.
func ownScore(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		t.Fatal(err)
	}
	score, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	return strconv.Itoa(max(score, 0))
}

func TestKilledWorkerIsReplaced(t *testing.T) {
	w := run(t, "good")
	first := w.until(t, "ready", ready)
	line := make([]byte, 100)
	for restarts := 1; restarts <= 2; restarts++ {
		syscall.Kill(w.Status().PID, syscall.SIGKILL)
		s := w.until(t, "a restart", func(s Status) bool { return s.Ready && s.Restarts == restarts })
		if s.PID == first.PID {
			t.Error("the dead process is shown")
		}
		keys, err := w.Keys(t.Context())
		if want := fmt.Sprint("start ", restarts+1); err != nil || keys.ESP[0] != want {
			t.Errorf("got %v, %v, want %q: the journal must survive", keys.ESP, err, want)
		}
	}
	n, _ := w.tun.Read(line)
	if got := string(line[:n]); got != "hello good\nhello good\nhello good\n" {
		t.Errorf("the TUN device has got %q", got)
	}
}

// TestStraysEndWithTheirWorker: a process that a worker has begun is gone before
// the next worker starts, even without control groups.
func TestStraysEndWithTheirWorker(t *testing.T) {
	w := run(t, "parent")
	first := w.until(t, "ready", ready)
	strays := childrenOf(t, first.PID)
	if len(strays) != 1 {
		t.Fatalf("the worker has begun %v", strays)
	}
	if err := w.Worker.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(strays[0], 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d outlives its worker: %v", strays[0], err)
	}
	w.until(t, "another", func(s Status) bool { return s.Ready && s.PID != first.PID })
	w.group.mu.Lock()
	defer w.group.mu.Unlock()
	if w.group.kills != 2 {
		t.Errorf("the group was emptied %d times, want before each of 2 workers", w.group.kills)
	}
}

// childrenOf returns the processes that pid has begun.
func childrenOf(t *testing.T, pid int) (list []int) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range stats {
		b, _ := os.ReadFile(file) // it may have ended meanwhile
		_, rest, _ := strings.Cut(string(b), ") ")
		if f := strings.Fields(rest); len(f) > 1 && f[1] == strconv.Itoa(pid) {
			child, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, child)
		}
	}
	return list
}

func TestConfigure(t *testing.T) {
	w := run(t, "good")
	w.until(t, "ready", ready)
	changed := *w.tenant
	changed.Class = "silver"
	if err := w.Configure(t.Context(), &changed); err != nil {
		t.Fatal(err)
	}
	class := func() string {
		keys, err := w.Keys(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return keys.ESP[1]
	}
	if got := class(); got != "class silver" {
		t.Errorf("after Configure: %s", got)
	}
	syscall.Kill(w.Status().PID, syscall.SIGKILL)
	w.until(t, "a restart", func(s Status) bool { return s.Ready && s.Restarts == 1 })
	if got := class(); got != "class silver" {
		t.Errorf("after a restart: %s", got)
	}
}

// TestConfigureDuringTheStart: a worker has what was configured after its boot message
// was written, and before it was ready.
func TestConfigureDuringTheStart(t *testing.T) {
	w := run(t, "good")
	w.until(t, "ready", ready)
	changed := *w.tenant
	changed.Class = "silver"
	w.network.mu.Lock()
	w.network.boots = func() {
		if err := w.Configure(t.Context(), &changed); err != nil {
			t.Error(err)
		}
	}
	w.network.mu.Unlock()
	syscall.Kill(w.Status().PID, syscall.SIGKILL)
	w.until(t, "a restart", func(s Status) bool { return s.Ready && s.Restarts == 1 })
	keys, err := w.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if keys.ESP[1] != "class silver" {
		t.Errorf("it has %s", keys.ESP[1])
	}
}

func TestBadWorkers(t *testing.T) {
	for manner, want := range map[string]string{
		"crash":  "spawn: starting: spawn: the worker has died: exit status 3",
		"refuse": "spawn: starting: pipe: boot refused: no common language",
	} {
		t.Run(manner, func(t *testing.T) {
			w := run(t, manner)
			s := w.until(t, "restarts", func(s Status) bool { return s.Restarts >= 2 && s.PID == 0 })
			if s.Reason != want || s.Ready {
				t.Errorf("got %+v, want reason %q", s, want)
			}
			if _, err := w.IKESAs(t.Context()); !errors.Is(err, ErrNotReady) {
				t.Errorf("IKESAs: %v", err)
			}
			if err := w.Configure(t.Context(), w.tenant); err != nil {
				t.Errorf("Configure: %v", err)
			}
		})
	}
}

// TestStubbornWorkers are stopped by the cleanup of run, which checks that they
// are gone: one that never boots, one that ignores every request to stop.
func TestStubbornWorkers(t *testing.T) {
	w := run(t, "hang")
	w.until(t, "a process", func(s Status) bool { return s.PID != 0 })
	w = run(t, "rude")
	w.until(t, "ready", ready)
}

func TestBackoff(t *testing.T) {
	var b backoff
	var got []time.Duration
	for range 10 {
		got = append(got, b.next(0))
	}
	got = append(got, b.next(stableAfter), b.next(0))
	want := "[0s 100ms 200ms 400ms 800ms 1.6s 3.2s 6.4s 10s 10s 0s 100ms]"
	if fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
	b.losses = 1000
	if got := b.next(0); got != backoffMost {
		t.Errorf("after many: %v", got)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for _, cfg := range []*Config{{}, {Tenant: &spec.Tenant{Name: "x"}}} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%+v was accepted", cfg)
		}
	}
}
