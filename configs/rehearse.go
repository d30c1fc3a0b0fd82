package configs

import "errors"

// Rehearse does with the text of a context's file what Load, CheckSyntax, Redact and
// Compare would do with it, and forgets what they find. It returns when a process
// that calls them with this text goes on, too: whoever does not trust the text
// rehearses it in a process that nothing depends on. The secrets that the text names
// are others in a rehearsal.
func Rehearse(text []byte) {
	Load(rehearsal(text), rehearsedSystem, Machine{Cores: 1, Memory: 1 << 30})
	mask(text, rehearsedContext) // which Load does only where it has to tell something
	Redact(text, rehearsedContext)
	Compare(nil, text)
}

// The files of a rehearsal.
const (
	rehearsedSystem  = "/system.hcl"
	rehearsedContext = "/context.hcl"
)

// rehearsal is a Loader of one context's text.
type rehearsal []byte

// ReadFile implements Loader. Every file with a secret has the same one.
func (r rehearsal) ReadFile(at Location) ([]byte, error) {
	switch {
	case at.Scheme != SchemeFile:
		return nil, errors.New("there are no other files")
	case at.Path == rehearsedSystem:
		return []byte("context \"rehearsed\" {\n  config_url = \"file:" + rehearsedContext + "\"\n}\n"), nil
	case at.Path == rehearsedContext:
		return r, nil
	}
	return []byte("the secret of a rehearsal is long enough"), nil
}

// LookupEnv implements Loader.
func (r rehearsal) LookupEnv(string) (string, bool) {
	return "the secret of a rehearsal is long enough", true
}
