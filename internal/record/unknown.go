package record

import "github.com/warrenvpn/warren/internal/secret"

// Unknown is the fields of a record that this version does not know. Another
// version may have keys in them: nobody can print them.
type Unknown struct{ fields secret.Value }

func newUnknown(fields []byte) Unknown {
	if len(fields) == 0 {
		return Unknown{}
	}
	return Unknown{secret.New(fields)}
}

// Len returns how many octets the fields take.
func (u Unknown) Len() int { return u.fields.Len() }

// Equal reports whether the fields are the same.
func (u Unknown) Equal(w Unknown) bool { return u.fields.Equal(w.fields) }

// Secret returns the fields, so that they can be forgotten with the keys beside
// them.
func (u Unknown) Secret() secret.Value { return u.fields }

// Keep makes u what the record has of unknown fields, which are passed on with
// it. It comes before all fields. Without it they are passed over.
func (f *Fields) Keep(u *Unknown) {
	if f.asked != 0 || f.keep != nil {
		panic("record: internal error: Keep behind a field")
	}
	f.keep = u
	if !f.reading {
		f.kept = u.fields.Reveal()
	}
}

// unknown takes an unknown field.
func (f *Fields) unknown(field []byte) {
	if f.keep != nil {
		f.kept = append(f.kept, field...)
	}
}
