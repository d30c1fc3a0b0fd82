package spawn

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/netns"
	"github.com/warrenvpn/warren/context/pipe"
	"github.com/warrenvpn/warren/context/spec"
	"github.com/warrenvpn/warren/internal/fdstore"
	"github.com/warrenvpn/warren/internal/fdstore/fdstoretest"
	"github.com/warrenvpn/warren/internal/record"
	"github.com/warrenvpn/warren/internal/roottest"
	"github.com/warrenvpn/warren/internal/secret"
)

// steps counts what a supervisor does, and kills it at one of them.
type steps struct {
	mu    sync.Mutex // protects count
	count int
	kill  int // 0: never
}

func (s *steps) step() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count++; s.count == s.kill {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

// Each of the fakes makes a step of what is done with it.
type (
	stepKeeper struct {
		Keeper
		*steps
	}
	stepNetwork struct {
		*network
		*steps
	}
	stepGroup struct {
		*group
		*steps
	}
)

func (k stepKeeper) Keep(name string, f *os.File) error {
	k.step()
	defer k.step()
	return k.Keeper.Keep(name, f)
}

func (k stepKeeper) Drop(name string) error {
	k.step()
	defer k.step()
	return k.Keeper.Drop(name)
}

func (n stepNetwork) Endpoints() []netns.Endpoint {
	n.step()
	return n.network.Endpoints()
}

func (g stepGroup) Add(pid int) error {
	g.step()
	return g.group.Add(pid)
}

// supervisor is the main of a process that looks after one worker, which may be there
// already. It prints each state that the worker is ready in: the number of its process,
// and how often one has booted with its memory. What it does then it reads: "kill" (the
// worker, which is replaced), "wait" (for the end), "end" (everything).
func supervisor(kill string) error {
	s := &steps{}
	s.kill, _ = strconv.Atoi(kill)
	store, kept, err := fdstore.Open()
	if err != nil {
		return err
	}
	files := make(map[string]*fdstore.Descriptor)
	for _, k := range kept {
		files[k.Name] = k.Descriptor
	}
	keeper := stepKeeper{store, s}
	found := FindKept(keeper, files, func(as string, err error) { fmt.Println("of no use:", as, err) })["blue"]
	n := &network{}
	changed := make(chan struct{}, 1)
	cfg := &Config{
		Tenant: &spec.Tenant{Name: "good", Secrets: []secret.Value{secret.Copy([]byte("psk"))}},
		Binary: "/proc/self/exe", UID: testUID, Network: stepNetwork{n, s}, Group: stepGroup{&group{}, s},
		Stderr: os.Stderr, LogFormat: "text", LogLevel: "info", Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Keeper: keeper, KeepAs: "blue", Note: "note",
		Changed: func() {
			s.step()
			select {
			case changed <- struct{}{}:
			default:
			}
		},
	}
	if cfg.Binary, err = os.Executable(); err != nil {
		return err
	}
	var w *Worker
	if found != nil {
		n.ends = found.Endpoints()
		if found.UID() != testUID || found.Note() != "note" {
			return fmt.Errorf("it was kept with %d, %q", found.UID(), found.Note())
		}
		w, err = Adopt(cfg, found)
	} else {
		r, wr, pipeErr := os.Pipe()
		if pipeErr != nil {
			return pipeErr
		}
		defer r.Close()
		n.ends = []netns.Endpoint{{Descriptor: control.Descriptor{Kind: control.DescriptorTUN}, File: wr}}
		w, err = New(cfg)
	}
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error)
	go func() { ended <- w.Run(ctx) }()
	in := bufio.NewScanner(os.Stdin)
	for last := 0; ; {
		st := w.Status()
		for ; !st.Ready || st.PID == last; st = w.Status() {
			<-changed
		}
		last = st.PID
		keys, err := w.Keys(ctx)
		if err != nil {
			return err
		}
		fmt.Printf("ready pid=%d %s restarts=%d\n", st.PID, keys.ESP[0], st.Restarts)
		if !in.Scan() {
			return io.ErrUnexpectedEOF
		}
		switch in.Text() {
		case "kill":
			if err := syscall.Kill(st.PID, syscall.SIGKILL); err != nil {
				return err
			}
		case "swap": // somebody deletes the device
			n.mu.Lock()
			n.ends = []netns.Endpoint{{Descriptor: n.ends[0].Descriptor}}
			n.mu.Unlock()
			if err := syscall.Kill(st.PID, syscall.SIGKILL); err != nil {
				return err
			}
		case "wait":
			select {}
		case "end":
			cancel()
			err := <-ended
			w.Close()
			for _, e := range n.ends {
				e.Close()
			}
			return err
		}
	}
}

// life is one life of a supervisor.
type life struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Scanner
	log strings.Builder
}

// start starts a supervisor that is killed at a step; 0: it is not.
func startLife(t *testing.T, k *fdstoretest.Keeper, kill int) *life {
	t.Helper()
	l := &life{cmd: exec.Command("/proc/self/exe")}
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	l.cmd.Path = binary
	l.cmd.Env = append(os.Environ(), "SPAWN_SUPERVISOR="+strconv.Itoa(kill), "GORACE=atexit_sleep_ms=0")
	l.cmd.Stderr = &l.log
	release, err := k.Hand(l.cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	out, err := l.cmd.StdoutPipe()
	if err == nil {
		l.in, err = l.cmd.StdinPipe()
	}
	if err == nil {
		err = l.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	l.out = bufio.NewScanner(out)
	return l
}

// ready returns what is said of the next worker that is ready; false: the supervisor
// has ended.
func (l *life) ready(t *testing.T) (pid, starts, restarts int, ok bool) {
	t.Helper()
	if !l.out.Scan() {
		return 0, 0, 0, false
	}
	if _, err := fmt.Sscanf(l.out.Text(), "ready pid=%d start %d restarts=%d", &pid, &starts, &restarts); err != nil {
		t.Fatalf("it says %q\n%s", l.out.Text(), l.log.String())
	}
	return pid, starts, restarts, true
}

// end waits for the end of a supervisor, and returns what it says before that.
func (l *life) end(t *testing.T, do string) error {
	t.Helper()
	if do != "" {
		fmt.Fprintln(l.in, do)
	}
	for l.out.Scan() {
		t.Logf("it says: %s", l.out.Text())
	}
	l.in.Close()
	return l.cmd.Wait()
}

func newKeeper(t *testing.T) *fdstoretest.Keeper {
	t.Helper()
	roottest.Need(t)
	k, err := fdstoretest.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	return k
}

// TestAdopt: a worker goes on, the same process, under supervisors that end one after
// the other; what it has in memory stays when it is replaced in between.
func TestAdopt(t *testing.T) {
	k := newKeeper(t)
	first := startLife(t, k, 0)
	pid, starts, _, ok := first.ready(t)
	if !ok || starts != 1 {
		t.Fatalf("%d starts, %v\n%s", starts, ok, first.log.String())
	}
	for i := range 3 {
		first.cmd.Process.Kill()
		_ = first.end(t, "")
		first = startLife(t, k, 0)
		again, starts, restarts, ok := first.ready(t)
		if !ok || again != pid || starts != i+1 || restarts != i {
			t.Fatalf("life %d: process %d after %d, %d starts, %d restarts\n%s", i+2, again, pid, starts, restarts,
				first.log.String())
		}
		fmt.Fprintln(first.in, "kill")
		if pid, starts, restarts, ok = first.ready(t); !ok || starts != i+2 || restarts != i+1 {
			t.Fatalf("life %d: its successor: %d starts, %d restarts\n%s", i+2, starts, restarts, first.log.String())
		}
	}
	if err := first.end(t, "end"); err != nil {
		t.Errorf("%v\n%s", err, first.log.String())
	}
	checkNothingLeft(t, k, pid)
}

// TestDeathWithoutSupervisor: a worker that ends while there is no supervisor is
// replaced by the next one, with its memory.
func TestDeathWithoutSupervisor(t *testing.T) {
	k := newKeeper(t)
	l := startLife(t, k, 0)
	pid, _, _, _ := l.ready(t)
	l.cmd.Process.Kill()
	_ = l.end(t, "")
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	l = startLife(t, k, 0)
	if again, starts, restarts, ok := l.ready(t); !ok || again == pid || starts != 2 || restarts != 1 {
		t.Errorf("process %d after %d, %d starts, %d restarts\n%s", again, pid, starts, restarts, l.log.String())
	}
	if err := l.end(t, "end"); err != nil {
		t.Error(err)
	}
	checkNothingLeft(t, k, pid)
}

// TestKilledBetweenSteps kills a supervisor between any two steps of a life in which
// it starts a worker, replaces it, and ends: the next one goes on with what there is,
// or starts anew, and leaves nothing behind. No worker is left that nobody knows.
func TestKilledBetweenSteps(t *testing.T) {
	const lanes = 4 // most of a life is waiting
	for lane := range lanes {
		t.Run(strconv.Itoa(lane), func(t *testing.T) {
			t.Parallel()
			killBetweenSteps(t, 1+lane, lanes)
		})
	}
}

// killBetweenSteps kills supervisors at every so many steps, from the first one on.
func killBetweenSteps(t *testing.T, first, every int) {
	t.Helper()
	k := newKeeper(t)
	seen := make(map[int]bool) // processes of workers
	for step := first; ; step += every {
		l := startLife(t, k, step)
		starts := 0
		for _, do := range []string{"kill", "swap", "end"} {
			pid, n, _, ok := l.ready(t)
			if !ok {
				break
			}
			seen[pid], starts = true, n
			fmt.Fprintln(l.in, do)
		}
		err := l.end(t, "")
		var exit *exec.ExitError
		if err == nil {
			t.Logf("a life has less than %d steps", step)
			if step < 20 {
				t.Error("those are too few")
			}
			break
		}
		if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("step %d: %v\n%s", step, err, l.log.String())
		}
		next := startLife(t, k, 0)
		pid, n, _, ok := next.ready(t)
		if !ok {
			t.Fatalf("step %d: the next one: %v\n%s\nafter\n%s", step, next.end(t, ""), next.log.String(),
				l.log.String())
		}
		seen[pid] = true
		if n != 1 && n < starts { // 1: what there was had been dropped, or was not kept yet
			t.Errorf("step %d: the memory of %d starts says %d", step, starts, n)
		}
		if err := next.end(t, "end"); err != nil {
			t.Fatalf("step %d: the end of the next one: %v\n%s", step, err, next.log.String())
		}
		if err := k.Settle(); err != nil {
			t.Fatal(err)
		}
		if left := k.Names(); len(left) > 0 {
			t.Fatalf("step %d: there is kept %v\n%s", step, left, next.log.String())
		}
	}
	for pid := range seen {
		checkNothingLeft(t, k, pid)
	}
}

// checkNothingLeft waits for the end of a worker, and finds nothing kept.
func checkNothingLeft(t *testing.T, k *fdstoretest.Keeper, pid int) {
	t.Helper()
	if err := k.Settle(); err != nil {
		t.Fatal(err)
	}
	if left := k.Names(); len(left) > 0 {
		t.Errorf("there is kept %v", left)
	}
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(b), ") Z ") { // whoever has inherited it reaps it
			return
		}
		if time.Now().After(end) {
			t.Fatalf("process %d is left", pid)
		}
	}
}

// TestStateFile: what was written last is read, and a write that was cut short anywhere
// leaves what was there before.
func TestStateFile(t *testing.T) {
	f, err := newStateFile()
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	want := state{UID: 7, Note: "shape", Clock: 1 << 60, Memory: 3, Restarts: 2, Silences: 1, Processes: 9,
		Process: processState{Number: 9, PID: 1234, Inner: 1, Started: time.Unix(1, 2).UTC(),
			Box: control.Sandbox{Reached: []string{"a", "b"}, Missing: []string{"c"}}, Build: "v1"},
		Endpoints: []control.Descriptor{{Kind: control.DescriptorTUN, Interface: "ipsec0", MTU: 1400}},
	}
	read := func() state {
		t.Helper()
		got, err := (&stateFile{file: f.file}).read()
		if err != nil {
			t.Fatal(err)
		}
		return *got
	}
	ignore := cmp.Options{cmp.AllowUnexported(state{}, processState{}), cmp.Comparer(record.Unknown.Equal),
		cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })}
	for i := range 5 {
		want.Restarts = i
		if err := f.write(&want); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, read(), ignore); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
	place := int64((f.number+1)%2) * statePlace
	whole := make([]byte, 512)
	other := &stateFile{file: f.file, number: f.number}
	next := want
	next.Restarts = 99
	if err := other.write(&next); err != nil {
		t.Fatal(err)
	}
	if _, err := f.file.ReadAt(whole, place); err != nil {
		t.Fatal(err)
	}
	size := slices.Index(whole[stateHead:], 0) // not its end, but within
	for cut := range stateHead + max(size, 8) {
		broken := slices.Clone(whole)
		clear(broken[cut:])
		if _, err := f.file.WriteAt(broken, place); err != nil {
			t.Fatal(err)
		}
		if got := read(); got.Restarts != want.Restarts {
			t.Fatalf("cut after %d bytes: it says %d restarts", cut, got.Restarts)
		}
	}
}

// TestStateFileIsChecked: what is no state, or of another form, is refused.
func TestStateFileIsChecked(t *testing.T) {
	empty, err := newStateFile()
	if err != nil {
		t.Fatal(err)
	}
	defer empty.close()
	short, err := memoryFile("state", 100)
	if err != nil {
		t.Fatal(err)
	}
	defer short.Close()
	plain, err := os.CreateTemp(t.TempDir(), "state")
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if err := plain.Truncate(2 * statePlace); err != nil {
		t.Fatal(err)
	}
	for _, f := range []*os.File{empty.file, short, plain} {
		if _, err := (&stateFile{file: f}).read(); !errors.Is(err, errNoState) {
			t.Errorf("%s: %v", f.Name(), err)
		}
	}
}

// fullKeeper keeps as many descriptors as there is room for.
type fullKeeper struct {
	room int
	kept map[string]bool
}

func (k *fullKeeper) Keep(name string, _ *os.File) error {
	if k.room--; k.room < 0 {
		return errors.New("there is no room")
	}
	k.kept[name] = true
	return nil
}

func (k *fullKeeper) Drop(name string) error {
	delete(k.kept, name)
	return nil
}

// TestKeepHalf: wherever the keeping of a worker fails nothing of it stays with the keeper
// once the rest is dropped.
func TestKeepHalf(t *testing.T) {
	m, err := newMemory()
	if err != nil {
		t.Fatal(err)
	}
	defer m.close()
	for room := range 9 {
		keeper := &fullKeeper{room: room, kept: map[string]bool{}}
		err := keepAll(t, keeper, m)
		if all := 3 + 3 + 2; err == nil != (room >= all) {
			t.Errorf("with room for %d: %v", room, err)
		}
		if len(keeper.kept) > 0 {
			t.Errorf("with room for %d there stays %v", room, keeper.kept)
		}
	}
}

// keepAll keeps a worker, its process and other memory files, as far as that can be done,
// and drops it.
func keepAll(t *testing.T, keeper Keeper, m *memory) error {
	t.Helper()
	k, err := keepWorker(keeper, "blue", state{}, m, nil)
	if err != nil {
		return err
	}
	line, theirs, err := pipe.NewLine()
	if err != nil {
		t.Fatal(err)
	}
	defer line.Close()
	defer theirs.Close()
	from, w, err := newBurstPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	defer w.Close()
	p := &process{line: line, handle: m.journal, lines: &lines{from: from}}
	if err = k.begin(p, Status{}); err == nil {
		err = k.setMemory(m)
	}
	if dropErr := k.drop(); dropErr != nil {
		t.Error(dropErr)
	}
	return err
}
