package texts

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/warrenvpn/warren/configs"
)

// MaxJSON is the longest Set that Parse takes, as JSON, in bytes: as much as one unit of a pair
// takes of the other one.
const MaxJSON = 64 << 20

// Bounds of a Set that is parsed. They are looked at before there is room made for what it
// claims to have.
const (
	// maxTexts is how many texts it has: those of a thousand contexts with thirty secrets each.
	maxTexts = 32_000
	// maxContexts is how many contexts a system has, and a text is read for.
	maxContexts = 1000
)

// errTooMany ends the reading of a list.
var errTooMany = errors.New("it has too many elements")

// Parse parses the JSON of a Set. It is not trusted: what is longer than MaxJSON, or would take
// much more room than it has itself, is an error, and so is a body of more than
// configs.MaxFileSize.
func Parse(b []byte) (*Set, error) {
	if len(b) > MaxJSON {
		return nil, fmt.Errorf("texts: it has more than %d bytes", MaxJSON)
	}
	var raw struct {
		Path string
		List each[boundedText]
		Left each[string]
	}
	raw.List.most, raw.Left.most = maxTexts, maxContexts
	if err := json.Unmarshal(b, &raw); err != nil {
		return nil, fmt.Errorf("texts: %w", err)
	}
	out := &Set{Path: raw.Path, List: make([]Text, len(raw.List.list)), Left: raw.Left.list}
	for i, one := range raw.List.list {
		out.List[i] = Text(one)
	}
	return out, nil
}

// boundedText is a Text that is read within bounds.
type boundedText Text

// UnmarshalJSON implements json.Unmarshaler.
func (t *boundedText) UnmarshalJSON(b []byte) error {
	var raw struct {
		At       configs.Location
		Body     []byte
		Config   bool
		Contexts each[string]
	}
	raw.Contexts.most = maxContexts
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	if len(raw.Body) > configs.MaxFileSize {
		return fmt.Errorf("%.200q has more than %d bytes", raw.At.Path, configs.MaxFileSize)
	}
	*t = boundedText{At: raw.At, Body: raw.Body, Config: raw.Config, Contexts: raw.Contexts.list}
	return nil
}

// each is a list of at most so many elements, which are read one by one.
type each[T any] struct {
	most int
	list []T
}

// UnmarshalJSON implements json.Unmarshaler.
func (e *each[T]) UnmarshalJSON(b []byte) error {
	e.list = nil
	d := json.NewDecoder(bytes.NewReader(b))
	switch begin, err := d.Token(); {
	case err != nil:
		return err
	case begin == nil: // null
		return nil
	case begin != json.Delim('['):
		return errors.New("it is no list")
	}
	for d.More() {
		if len(e.list) >= e.most {
			return errTooMany
		}
		var one T
		if err := d.Decode(&one); err != nil {
			return err
		}
		e.list = append(e.list, one)
	}
	return nil
}
