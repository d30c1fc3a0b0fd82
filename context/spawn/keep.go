package spawn

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/context/netns"
	"github.com/warrenvpn/warren/internal/fdstore"
)

// Keeper keeps descriptors for the next life of the supervisor: an fdstore.Store. What
// is kept stays so, whatever becomes of this process, until it is dropped.
type Keeper interface {
	Keep(name string, f *os.File) error
	Drop(name string) error
}

// The names of what is kept of one worker, behind Config.KeepAs and a slash. Where
// there is a number behind the name the state says which one counts: what it does not
// name is of no use any more, or was not of use yet.
const (
	keptState    = "state"
	keptEndpoint = "endpoint" // in the order of the state's list
	keptJournal  = "journal"
	keptCounters = "counters"
	keptLine     = "line"
	keptLog      = "log"
	keptProcess  = "process"
)

// keep is what is kept of a worker. Every step of it leaves behind what the next
// supervisor can take up, or take away:
//
//	a worker is kept when its state is, which comes last and goes first;
//	what a change of the state will name is kept before, what it names no longer
//	is dropped after; but of a TUN device that was made again there is none
//	meanwhile, which the next supervisor can make, too;
//	the state changes at once (stateFile).
//
// A worker whose line is not named by a state is not known to anybody: the line is
// closed, and it ends.
type keep struct {
	keeper Keeper
	as     string
	file   *stateFile
	state  state
	ends   []netns.Endpoint // as they are kept
}

// name is what the keeper calls a descriptor.
func (k *keep) name(what string, number uint64) string {
	return fmt.Sprintf("%s/%s-%d", k.as, what, number)
}

// keepWorker keeps a worker without a process.
func keepWorker(keeper Keeper, as string, s state, m *memory, ends []netns.Endpoint) (*keep, error) {
	file, err := newStateFile()
	if err != nil {
		return nil, err
	}
	k := &keep{keeper: keeper, as: as, file: file, state: s}
	for _, e := range ends {
		k.state.Endpoints = append(k.state.Endpoints, e.Descriptor)
	}
	if err := k.endpoints(ends); err != nil {
		return nil, errors.Join(err, k.drop())
	}
	k.state.Memory = 1
	if err := errors.Join(k.memory(1, m), file.write(&k.state)); err != nil {
		return nil, errors.Join(err, k.drop())
	}
	if err := keeper.Keep(as+"/"+keptState, file.file); err != nil {
		return nil, errors.Join(err, k.drop())
	}
	return k, nil
}

// endpoints keeps what the worker is given, each in the place of what it had there
// before, where that was another one.
func (k *keep) endpoints(ends []netns.Endpoint) error {
	if k == nil {
		return nil
	}
	for i, e := range ends {
		name := k.name(keptEndpoint, uint64(i))
		if i < len(k.ends) {
			if k.ends[i] == e {
				continue
			}
			if err := k.keeper.Drop(name); err != nil {
				return err
			}
		}
		f, err := e.Dup()
		if err != nil {
			return err
		}
		err = k.keeper.Keep(name, f)
		f.Close()
		if err != nil {
			return err
		}
	}
	k.ends = ends
	return nil
}

// memory keeps memory files.
func (k *keep) memory(number uint64, m *memory) error {
	return errors.Join(k.keeper.Keep(k.name(keptJournal, number), m.journal),
		k.keeper.Keep(k.name(keptCounters, number), m.counters))
}

// setMemory makes the worker go on with other memory files.
func (k *keep) setMemory(m *memory) error {
	if k == nil {
		return nil
	}
	old := k.state.Memory
	if err := k.memory(old+1, m); err != nil {
		return errors.Join(err, k.dropMemory(old+1))
	}
	k.state.Memory = old + 1
	return errors.Join(k.file.write(&k.state), k.dropMemory(old))
}

func (k *keep) dropMemory(number uint64) error {
	return errors.Join(k.keeper.Drop(k.name(keptJournal, number)), k.keeper.Drop(k.name(keptCounters, number)))
}

// begin keeps a process, which has not got its boot message yet.
func (k *keep) begin(p *process, status Status) error {
	if k == nil {
		return nil
	}
	if p.handle == nil {
		return errors.New("spawn: the kernel has no handles of processes")
	}
	line, err := p.line.File()
	if err != nil {
		return err
	}
	defer line.Close()
	n := k.state.Processes + 1
	err = errors.Join(k.keeper.Keep(k.name(keptLine, n), line), k.keeper.Keep(k.name(keptProcess, n), p.handle),
		p.lines.from.keep(func(f *os.File) error { return k.keeper.Keep(k.name(keptLog, n), f) }))
	if err != nil { // a part of them may be kept: nothing else names it
		return errors.Join(err, k.dropProcess(n))
	}
	k.state.Processes, k.state.Restarts, k.state.Silences = n, status.Restarts, status.Silences
	k.state.Process = processState{Number: n, PID: p.number, Inner: p.inner, Started: p.started, Box: p.box}
	return k.file.write(&k.state)
}

// booted notes what a process is.
func (k *keep) booted(p *process) error {
	if k == nil {
		return nil
	}
	k.state.Process.Box, k.state.Process.Build = p.box, p.build
	return k.file.write(&k.state)
}

// end forgets the process, which has ended.
func (k *keep) end() error {
	if k == nil || k.state.Process.Number == 0 {
		return nil
	}
	n := k.state.Process.Number
	k.state.Process = processState{}
	return errors.Join(k.file.write(&k.state), k.dropProcess(n))
}

func (k *keep) dropProcess(n uint64) error {
	return errors.Join(k.keeper.Drop(k.name(keptLine, n)), k.keeper.Drop(k.name(keptLog, n)),
		k.keeper.Drop(k.name(keptProcess, n)))
}

// drop ends the keeping of everything.
func (k *keep) drop() error {
	if k == nil {
		return nil
	}
	errs := []error{k.keeper.Drop(k.as + "/" + keptState)}
	for i := range k.state.Endpoints {
		errs = append(errs, k.keeper.Drop(k.name(keptEndpoint, uint64(i))))
	}
	errs = append(errs, k.dropMemory(k.state.Memory))
	if n := k.state.Process.Number; n != 0 {
		errs = append(errs, k.dropProcess(n))
	}
	k.file.close()
	return errors.Join(errs...)
}

// Kept is a worker of an earlier supervisor, as its keeper has it.
type Kept struct {
	keep   *keep
	memory *memory
	ends   []netns.Endpoint
	// Of its process; nil: there was none.
	line, log, process *fdstore.Descriptor
}

// FindKept returns the workers among what a keeper has kept, by what they were kept
// as. It takes the files over, and drops what is of no use: half of a worker that was
// being built or taken apart, and what this version cannot read. Problems are told to
// report, each with what it was kept as.
func FindKept(keeper Keeper, files map[string]*fdstore.Descriptor, report func(as string, err error)) map[string]*Kept {
	groups := make(map[string]map[string]*fdstore.Descriptor)
	for name, f := range files {
		as, what, ok := cutLast(name)
		if !ok {
			f.Close()
			if err := keeper.Drop(name); err != nil {
				report(name, err)
			}
			continue
		}
		if groups[as] == nil {
			groups[as] = make(map[string]*fdstore.Descriptor)
		}
		groups[as][what] = f
	}
	found := make(map[string]*Kept)
	for as, group := range groups {
		k, err := readKept(keeper, as, group)
		if err != nil {
			report(as, err)
		} else if k != nil {
			found[as] = k
		}
		for what, f := range group { // what readKept has left
			f.Close()
			if err := keeper.Drop(as + "/" + what); err != nil {
				report(as, err)
			}
		}
	}
	return found
}

func cutLast(name string) (as, what string, ok bool) {
	i := strings.LastIndexByte(name, '/')
	if i < 0 {
		return "", "", false
	}
	return name[:i], name[i+1:], true
}

// readKept takes from a group of files what makes a worker, nil for none.
func readKept(keeper Keeper, as string, group map[string]*fdstore.Descriptor) (*Kept, error) {
	if group[keptState] == nil {
		return nil, nil
	}
	f, err := group[keptState].Dup(keptState)
	if err != nil {
		return nil, err
	}
	file := &stateFile{file: f}
	s, err := file.read()
	if err != nil {
		file.close()
		return nil, err
	}
	out := &Kept{keep: &keep{keeper: keeper, as: as, file: file, state: *s}}
	wanted := map[string]bool{keptState: true}
	need := func(what string, n uint64) *fdstore.Descriptor {
		key := what + "-" + strconv.FormatUint(n, 10)
		wanted[key] = true
		return group[key]
	}
	journal, counters := need(keptJournal, s.Memory), need(keptCounters, s.Memory)
	for i, d := range s.Endpoints {
		e := netns.Endpoint{Descriptor: d, Kept: need(keptEndpoint, uint64(i))}
		if e.Kept == nil && d.Kind == control.DescriptorTUN { // it was about to be replaced
			delete(wanted, keptEndpoint+"-"+strconv.Itoa(i))
		}
		out.ends = append(out.ends, e)
	}
	out.keep.ends = out.ends
	if n := s.Process.Number; n != 0 {
		out.line, out.log, out.process = need(keptLine, n), need(keptLog, n), need(keptProcess, n)
	}
	for key := range wanted {
		if group[key] == nil {
			file.close()
			return nil, fmt.Errorf("spawn: of a worker that was kept there is no %s", key)
		}
	}
	out.memory = &memory{journal.File(keptJournal), counters.File(keptCounters)}
	group[keptState].Close()
	for key := range wanted {
		delete(group, key)
	}
	return out, nil
}

// UID is the user of the worker.
func (k *Kept) UID() uint32 { return k.keep.state.UID }

// Note is Config.Note of the supervisor before.
func (k *Kept) Note() string { return k.keep.state.Note }

// Endpoints are the descriptors that the worker has. The files are the Kept's, until
// Adopt or Close.
func (k *Kept) Endpoints() []netns.Endpoint { return k.ends }

// Close drops a worker: its line is closed, and it ends.
func (k *Kept) Close() error {
	for _, d := range []*fdstore.Descriptor{k.line, k.log, k.process} {
		d.Close()
	}
	for _, e := range k.ends {
		e.Close()
	}
	k.memory.close()
	return k.keep.drop()
}
