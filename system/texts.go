package system

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

// schemeEnv marks a variable of the environment among the texts.
const schemeEnv configs.Scheme = "env"

// text is one thing that a configuration was read from: a file of the language,
// a file with a secret, or a variable.
type text struct {
	At   configs.Location
	Body []byte
	// Config: it is the system file or a context's, not a secret.
	Config bool
	// Contexts are those that it was read for; empty: the system.
	Contexts []string
}

// texts are all that a configuration was read from, complete enough to read it
// again. It is a configs.Loader of just that, and is not changed once loaded.
type texts struct {
	Path string // of the system file
	List []text
}

// find returns what was read from a place.
func (t *texts) find(at configs.Location) (text, bool) {
	for _, one := range t.List {
		if one.At == at {
			return one, true
		}
	}
	return text{}, false
}

// ReadFile implements configs.Loader.
func (t *texts) ReadFile(at configs.Location) ([]byte, error) {
	one, ok := t.find(at)
	if !ok {
		return nil, fmt.Errorf("it is not part of this version")
	}
	return bytes.Clone(one.Body), nil
}

// LookupEnv implements configs.Loader.
func (t *texts) LookupEnv(name string) (string, bool) {
	one, ok := t.find(configs.Location{Scheme: schemeEnv, Path: name})
	return string(one.Body), ok
}

// digest is equal for the same texts. It must not leave the supervisor: secrets
// are in it.
func (t *texts) digest() string {
	list := slices.Clone(t.List)
	slices.SortFunc(list, func(a, b text) int { return bytes.Compare(sortKey(a), sortKey(b)) })
	h := sha256.New()
	e := json.NewEncoder(h)
	for _, one := range list {
		if err := e.Encode([]any{one.At, one.Body}); err != nil {
			panic("system: internal error: no JSON: " + err.Error())
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

func sortKey(t text) []byte { return []byte(string(t.At.Scheme) + "\x00" + t.At.String()) }

// recorder is a configs.Loader that keeps what it reads. What is read twice is
// the same both times.
type recorder struct {
	from  configs.Loader
	kept  map[configs.Location][]byte
	order []configs.Location // of reading; with repetitions
}

func newRecorder(from configs.Loader) *recorder {
	return &recorder{from: from, kept: map[configs.Location][]byte{}}
}

// ReadFile implements configs.Loader.
func (r *recorder) ReadFile(at configs.Location) ([]byte, error) {
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

// Mode implements configs.ModeReader.
func (r *recorder) Mode(at configs.Location) (fs.FileMode, error) {
	from, ok := r.from.(configs.ModeReader)
	if !ok {
		return 0, fs.ErrNotExist
	}
	return from.Mode(at)
}

// LookupEnv implements configs.Loader.
func (r *recorder) LookupEnv(name string) (string, bool) {
	value, ok := r.from.LookupEnv(name)
	if ok {
		at := configs.Location{Scheme: schemeEnv, Path: name}
		r.kept[at] = []byte(value)
		r.order = append(r.order, at)
	}
	return value, ok
}

// texts returns what was read. Without a configuration, which is nil where there
// are errors, nothing is known of contexts but the system file.
func (r *recorder) texts(path string, conf *configs.System) *texts {
	t := &texts{Path: path}
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
			t.List = append(t.List, text{At: at, Body: r.kept[at]})
		}
		one := &t.List[k]
		one.Config = one.Config || config
		if current != "" && !slices.Contains(one.Contexts, current) {
			one.Contexts = append(one.Contexts, current)
		}
	}
	return t
}
