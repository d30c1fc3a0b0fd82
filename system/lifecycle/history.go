package lifecycle

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/warrenvpn/warren/internal/durable"
	"github.com/warrenvpn/warren/system/fault"
	"github.com/warrenvpn/warren/system/texts"
)

// maxVersions is how many versions are kept: half a year of weekly changes, twice.
const maxVersions = 50

const (
	historyDir    = "history" // in state_dir
	versionSuffix = ".version"
	pendingName   = "pending"
	localName     = "local"
)

// version is what is noted of one running configuration.
type version struct {
	Number  int
	Time    time.Time
	Author  string
	UID     int
	Origin  string
	Comment string
	Digest  string // of the texts
}

// pending is a version that goes unless it is confirmed.
type pending struct {
	Version  int
	Previous int
	Deadline time.Time
	// Given: the other unit of the pair has given Version to this one, and has not said yet
	// what becomes of it.
	Given bool `json:",omitempty"`
	// Confirm is how many seconds an operator has to confirm what is Given; 0: nobody is
	// to confirm it once the other unit runs it.
	Confirm int `json:",omitempty"`
	// Rejected: the deadline has passed, and Previous was taken again. It is kept
	// so that the next start does not take the version again.
	Rejected bool
	// Kept: the deadline has passed, and this is why Previous could not be taken
	// again. Version goes on, waits no longer, and is what the next start takes.
	Kept string `json:",omitempty"`
	// Answered: the operator has chosen since then what runs, so the rejection is
	// no problem that somebody has to be told of.
	Answered bool
	// Rejection is what stands beside a rollback that waits to be confirmed, because
	// the files still say what was rejected; nil: nothing was. It is what remains,
	// whether the rollback is confirmed or not.
	Rejection *pending `json:",omitempty"`
}

// versions are those that must not go.
func (p *pending) versions() []int {
	if p == nil {
		return nil
	}
	return append([]int{p.Version, p.Previous}, p.Rejection.versions()...)
}

// rejected is what an operator gives up by going to another version: what the files say
// and no start is to take; nil: nothing.
func (p *pending) rejected() *pending {
	switch {
	case p == nil:
		return nil
	case p.Rejection != nil: // the version that waits is in no file
		return p.Rejection.withPrevious(p.Previous)
	}
	return &pending{Version: p.Version, Deadline: p.Deadline, Rejected: true, Answered: p.Answered}
}

// withPrevious returns a rejection with the version that runs instead. p may be nil.
func (p *pending) withPrevious(instead int) *pending {
	if p == nil {
		return nil
	}
	q := *p
	q.Previous = instead
	return &q
}

// answered returns a rejection with the version that the operator has chosen to run
// instead. p may be nil.
func (p *pending) answered(instead int) *pending {
	q := p.withPrevious(instead)
	if q != nil {
		q.Answered = true
	}
	return q
}

// open tells whether a version waits to be confirmed.
func (p *pending) open() bool { return p != nil && !p.Rejected && p.Kept == "" }

// gaveUp tells whether a version is one that no start takes: it was not confirmed
// in time.
func (p *pending) gaveUp(number int, now time.Time) bool {
	switch {
	case p == nil:
		return false
	case number == p.Version:
		return p.Kept == "" && (p.Rejected || !now.Before(p.Deadline))
	}
	return p.Rejection.gaveUp(number, now)
}

// history is the versions of the running configuration on the disk, one file
// each: a line with what is noted, a line with the texts. They hold secrets, so
// they are root's alone. A file is there as a whole or not at all. It is not safe
// for concurrent use.
type history struct {
	dir  string
	list []version // oldest first
}

// openHistory reads what is noted. Files that cannot be used are told to report,
// and stay.
func openHistory(stateDir string, report func(msg string, args ...any)) (*history, error) {
	h := &history{dir: filepath.Join(stateDir, historyDir)}
	if err := os.MkdirAll(stateDir, 0o755); err != nil {
		return nil, fmt.Errorf("system: making state_dir: %w", err)
	}
	if err := os.MkdirAll(h.dir, 0o700); err != nil {
		return nil, fmt.Errorf("system: making history: %w", err)
	}
	if err := os.Chmod(h.dir, 0o700); err != nil {
		return nil, fmt.Errorf("system: protecting history: %w", err)
	}
	files, err := os.ReadDir(h.dir)
	if err != nil {
		return nil, fmt.Errorf("system: reading history: %w", err)
	}
	for _, f := range files {
		path := filepath.Join(h.dir, f.Name())
		if strings.HasSuffix(f.Name(), durable.Unfinished) {
			if err := os.Remove(path); err != nil {
				report("unfinished file of the history not removed", "path", path, "reason", err)
			}
			continue
		}
		number, err := strconv.Atoi(strings.TrimSuffix(f.Name(), versionSuffix))
		if !strings.HasSuffix(f.Name(), versionSuffix) || err != nil {
			continue
		}
		v, err := readVersion(path)
		if err == nil && v.Number != number {
			err = fmt.Errorf("it says that it is version %d", v.Number)
		}
		if err != nil {
			report("version of the history cannot be used", "path", path, "reason", err)
			continue
		}
		h.list = append(h.list, v)
	}
	slices.SortFunc(h.list, func(a, b version) int { return a.Number - b.Number })
	return h, nil
}

// readVersion reads the first line of a file.
func readVersion(path string) (version, error) {
	var v version
	f, err := os.Open(path)
	if err != nil {
		return v, bare(err)
	}
	defer f.Close()
	line, err := bufio.NewReader(io.LimitReader(f, 64<<10)).ReadBytes('\n')
	if err != nil {
		return v, bare(err)
	}
	return v, json.Unmarshal(line, &v)
}

func (h *history) path(number int) string {
	return filepath.Join(h.dir, fmt.Sprintf("%06d%s", number, versionSuffix))
}

// find returns what is noted of a version.
func (h *history) find(number int) (version, bool) {
	i := slices.IndexFunc(h.list, func(v version) bool { return v.Number == number })
	if i < 0 {
		return version{}, false
	}
	return h.list[i], true
}

// texts reads a version.
func (h *history) texts(number int) (*texts.Set, error) {
	v, ok := h.find(number)
	if !ok {
		return nil, h.missing(number)
	}
	b, err := os.ReadFile(h.path(number))
	if err != nil {
		return nil, fmt.Errorf("system: reading version %d: %w", number, err)
	}
	_, body, _ := bytes.Cut(b, []byte("\n"))
	t := &texts.Set{}
	if err := json.Unmarshal(body, t); err != nil {
		return nil, fmt.Errorf("system: reading version %d: %w", number, err)
	}
	if t.Digest() != v.Digest {
		return nil, fmt.Errorf("system: version %d in %s was changed by somebody", number, h.dir)
	}
	return t, nil
}

// missing is the error for a version that is not there.
func (h *history) missing(number int) error {
	hint := "no version is kept yet"
	if len(h.list) > 0 {
		hint = fmt.Sprintf("versions %d to %d are kept; `warren show history` lists them", h.list[0].Number,
			h.list[len(h.list)-1].Number)
	}
	return &fault.Error{Code: fault.CodeRefused, Reason: fmt.Sprintf("there is no version %d: nothing was changed",
		number), Hint: hint}
}

// add keeps one more version and returns its number. Old ones go, but not those
// of keep.
func (h *history) add(v version, t *texts.Set, kept ...int) (version, error) {
	v.Number = 1
	if n := len(h.list); n > 0 {
		v.Number = h.list[n-1].Number + 1
	}
	v.Digest = t.Digest()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	if err := errors.Join(e.Encode(v), e.Encode(t)); err != nil {
		return v, fmt.Errorf("system: keeping version %d: %w", v.Number, err)
	}
	if err := durable.Write(h.path(v.Number), b.Bytes(), 0o600); err != nil {
		return v, fmt.Errorf("system: keeping version %d: %w", v.Number, err)
	}
	h.list = append(h.list, v)
	for i := 0; len(h.list) > maxVersions && i < len(h.list)-1; {
		if slices.Contains(kept, h.list[i].Number) {
			i++
			continue
		}
		if err := os.Remove(h.path(h.list[i].Number)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return v, fmt.Errorf("system: forgetting version %d: %w", h.list[i].Number, err)
		}
		h.list = slices.Delete(h.list, i, i+1)
	}
	return v, nil
}

// record adds a version unless it is the newest already, and returns its number; 0 where it
// cannot be kept, which is no reason not to run.
func (h *history) record(note version, t *texts.Set, p *pending, log *slog.Logger) int {
	if n := len(h.list); n > 0 && h.list[n-1].Digest == t.Digest() {
		return h.list[n-1].Number
	}
	v, err := h.add(note, t, p.versions()...)
	if err != nil {
		log.Error("configuration not kept in the history", "reason", err)
		return 0
	}
	return v.Number
}

// all returns what is noted of every version, oldest first.
func (h *history) all() []version { return slices.Clone(h.list) }

// drop takes the newest version away again: it has never run.
func (h *history) drop(number int) error {
	h.list = slices.DeleteFunc(h.list, func(v version) bool { return v.Number == number })
	if err := os.Remove(h.path(number)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("system: forgetting version %d: %w", number, err)
	}
	return nil
}

// pending returns the note of a version that waits to be confirmed, or was
// rejected; nil: there is none.
func (h *history) pending() (*pending, error) {
	b, err := os.ReadFile(filepath.Join(h.dir, pendingName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	p := &pending{}
	if err == nil {
		err = json.Unmarshal(b, p)
	}
	if err != nil {
		return nil, fmt.Errorf("system: reading what waits to be confirmed: %w", err)
	}
	return p, nil
}

// setPending changes the note; nil removes it.
func (h *history) setPending(p *pending) error {
	path := filepath.Join(h.dir, pendingName)
	if p == nil {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("system: forgetting what waits to be confirmed: %w", err)
		}
		return durable.SyncDir(h.dir)
	}
	b, err := json.Marshal(p)
	if err == nil {
		err = durable.Write(path, b, 0o600)
	}
	if err != nil {
		return fmt.Errorf("system: noting what waits to be confirmed: %w", err)
	}
	return nil
}

// local tells whether this unit of a pair has a configuration of its own on purpose.
func (h *history) local() bool {
	_, err := os.Stat(filepath.Join(h.dir, localName))
	return err == nil
}

// setLocal changes that.
func (h *history) setLocal(on bool, log *slog.Logger) {
	path := filepath.Join(h.dir, localName)
	err := error(nil)
	switch {
	case on:
		err = durable.Write(path, nil, 0o600)
	case h.local():
		err = os.Remove(path)
	}
	if err != nil {
		log.Error("configuration not noted", "reason", err)
	}
}
