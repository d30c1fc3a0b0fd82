package lifecycle

import (
	"github.com/warrenvpn/warren/configs"
	"github.com/warrenvpn/warren/configs/host"
	"github.com/warrenvpn/warren/system/texts"
)

// Checker says which texts of contexts, whoever has written them, may be parsed in this
// process: a *checker.Checker.
type Checker interface {
	// Check returns why a text may not; nil: it may, whatever its mistakes are. It may
	// block for as long as it takes to find out.
	Check(text []byte) error
	// RequireSandbox says whether a text may be checked only where everything is there that
	// confines who does it. It holds for the next text.
	RequireSandbox(required bool)
}

// unchecked is a Checker without objections, for who has no sandbox.
type unchecked struct{}

// Check implements Checker.
func (unchecked) Check([]byte) error { return nil }

// RequireSandbox implements Checker.
func (unchecked) RequireSandbox(bool) {}

// orUnchecked returns c; where that is nil, what has no objections.
func orUnchecked(c Checker) Checker {
	if c == nil {
		return unchecked{}
	}
	return c
}

// checkedSet is a configs.Loader of a version in which every text is checked first.
type checkedSet struct {
	*texts.Set
	Checker
}

// checkedFiles is the same for the files of the host.
type checkedFiles struct {
	host.Files
	Checker
}

var (
	_ configs.Checker    = checkedSet{}
	_ configs.Selective  = checkedSet{}
	_ configs.Checker    = checkedFiles{}
	_ configs.ModeReader = checkedFiles{}
	_ configs.Checker    = &source{}
	_ configs.Checker    = &overlay{}
	_ configs.Checker    = &fallback{}
)

// redacted returns a text of a configuration without secrets. What may not be parsed is
// not shown: where its secrets are, nobody can say.
func (l *Lifecycle) redacted(one texts.Text) []byte {
	if one.At.Path != l.path || one.At.Scheme != configs.SchemeFile {
		if err := l.cfg.Check.Check(one.Body); err != nil {
			return []byte("# this file is not shown: " + err.Error() + "\n")
		}
	}
	return configs.Redact(one.Body, one.At.String())
}
