// Package texts keeps what a configuration was read from: the system file, those of the
// contexts, secrets and variables, complete enough to read the configuration again
// without the host. It does no I/O of its own: a Recorder stands in front of a Loader.
package texts

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"

	"github.com/warrenvpn/warren/configs"
)

// SchemeEnv marks a variable of the environment among the texts.
const SchemeEnv configs.Scheme = "env"

// Text is one thing that a configuration was read from: a file of the language,
// a file with a secret, or a variable.
type Text struct {
	At   configs.Location
	Body []byte
	// Config: it is the system file or a context's, not a secret.
	Config bool
	// Contexts are those that it was read for; empty: the system.
	Contexts []string
}

// Name is what an operator calls a source.
func (t Text) Name() string {
	if t.At.Scheme == SchemeEnv {
		return "environment variable " + t.At.Path
	}
	return t.At.String()
}

// Set is all that one configuration was read from, complete enough to read it
// again. It is a configs.Loader of just that, and is not changed once loaded.
type Set struct {
	Path string // of the system file
	List []Text
	// Left are the contexts that the system file names and that are left out.
	Left []string `json:",omitempty"`
}

// Find returns what was read from a place.
func (t *Set) Find(at configs.Location) (Text, bool) {
	for _, one := range t.List {
		if one.At == at {
			return one, true
		}
	}
	return Text{}, false
}

// ReadFile implements configs.Loader.
func (t *Set) ReadFile(at configs.Location) ([]byte, error) {
	one, ok := t.Find(at)
	if !ok {
		return nil, fmt.Errorf("it is not part of this version")
	}
	return bytes.Clone(one.Body), nil
}

// LookupEnv implements configs.Loader.
func (t *Set) LookupEnv(name string) (string, bool) {
	one, ok := t.Find(configs.Location{Scheme: SchemeEnv, Path: name})
	return string(one.Body), ok
}

// LeaveOut implements configs.Selective.
func (t *Set) LeaveOut(context string) bool { return slices.Contains(t.Left, context) }

// Has reports whether a text is one of a context.
func (t *Set) Has(context string) bool {
	return slices.ContainsFunc(t.List, func(one Text) bool { return slices.Contains(one.Contexts, context) })
}

// Body returns the text of a place; nothing where there is none.
func (t *Set) Body(at configs.Location) []byte {
	one, _ := t.Find(at)
	return one.Body
}

// Digest is equal for the same texts. It must not leave the supervisor: secrets
// are in it.
func (t *Set) Digest() string {
	list := slices.Clone(t.List)
	slices.SortFunc(list, func(a, b Text) int { return bytes.Compare(sortKey(a), sortKey(b)) })
	h := sha256.New()
	e := json.NewEncoder(h)
	for _, one := range list {
		if err := e.Encode([]any{one.At, one.Body}); err != nil {
			panic("texts: internal error: no JSON: " + err.Error())
		}
	}
	if len(t.Left) > 0 {
		if err := e.Encode(t.Left); err != nil {
			panic("texts: internal error: no JSON: " + err.Error())
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

func sortKey(t Text) []byte { return []byte(string(t.At.Scheme) + "\x00" + t.At.String()) }

// Recorder is a configs.Loader that keeps what it reads. What is read twice is
// the same both times.
type Recorder struct {
	from  configs.Loader
	kept  map[configs.Location][]byte
	order []configs.Location // of reading; with repetitions
	left  []string           // contexts that are left out
}

// NewRecorder returns a Recorder that has read nothing yet.
func NewRecorder(from configs.Loader) *Recorder {
	return &Recorder{from: from, kept: map[configs.Location][]byte{}}
}

// ReadFile implements configs.Loader.
func (r *Recorder) ReadFile(at configs.Location) ([]byte, error) {
	b, ok := r.kept[at]
	if !ok {
		var err error
		if b, err = r.from.ReadFile(at); err != nil {
			return nil, err
		}
		r.kept[at] = b
	}
	r.order = append(r.order, at)
	return bytes.Clone(b), nil // a secret's bytes are cleared one day
}

// Check implements configs.Checker.
func (r *Recorder) Check(text []byte) error {
	from, ok := r.from.(configs.Checker)
	if !ok {
		return nil
	}
	return from.Check(text)
}

// Mode implements configs.ModeReader.
func (r *Recorder) Mode(at configs.Location) (fs.FileMode, error) {
	from, ok := r.from.(configs.ModeReader)
	if !ok {
		return 0, fs.ErrNotExist
	}
	return from.Mode(at)
}

// LookupEnv implements configs.Loader.
func (r *Recorder) LookupEnv(name string) (string, bool) {
	value, ok := r.from.LookupEnv(name)
	if ok {
		at := configs.Location{Scheme: SchemeEnv, Path: name}
		r.kept[at] = []byte(value)
		r.order = append(r.order, at)
	}
	return value, ok
}

// LeaveOut implements configs.Selective.
func (r *Recorder) LeaveOut(context string) bool {
	from, ok := r.from.(configs.Selective)
	if !ok || !from.LeaveOut(context) {
		return false
	}
	r.left = append(r.left, context)
	return true
}

// Texts returns what was read. Without a configuration, which is nil where there
// are errors, nothing is known of contexts but the system file.
func (r *Recorder) Texts(path string, conf *configs.System) *Set {
	t := &Set{Path: path, Left: r.left}
	place := map[configs.Location]int{}
	next, current := 0, ""
	for i, at := range r.order {
		config := i == 0
		if conf != nil && next < len(conf.Contexts) && at == conf.Contexts[next].Config {
			config, current = true, conf.Contexts[next].Name
			next++
		}
		k, ok := place[at]
		if !ok {
			k = len(t.List)
			place[at] = k
			t.List = append(t.List, Text{At: at, Body: r.kept[at]})
		}
		one := &t.List[k]
		one.Config = one.Config || config
		if current != "" && !slices.Contains(one.Contexts, current) {
			one.Contexts = append(one.Contexts, current)
		}
	}
	return t
}
