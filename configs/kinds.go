package configs

import (
	"fmt"
	"time"
)

// kind is what the value of an attribute is: one of the types below. Each says its
// default, which holds where the attribute is not written, and its bounds.
type kind interface{ kind() }

type (
	// number is a whole number from low to high.
	number struct{ def, low, high int64 }

	// fraction is a number from low to high.
	fraction struct{ def, low, high float64 }

	// span is a time with a unit, from low to high. Where zero says what that means, 0
	// is allowed as well.
	span struct {
		def, low, high time.Duration
		zero           string
	}

	// boolean is true or false; its value is the default.
	boolean bool

	// oneOf is one of these words; the first is the default.
	oneOf []string

	// listOf is a word or a list of words; these are the default.
	listOf []string

	// line is one line of text of so many bytes at most, 0: any number.
	line struct {
		def     string
		longest int
	}

	// form is in words what a value is that a reader of its own takes apart. It has no
	// default, or a comment says it.
	form string
)

func (number) kind()   {}
func (fraction) kind() {}
func (span) kind()     {}
func (boolean) kind()  {}
func (oneOf) kind()    {}
func (listOf) kind()   {}
func (line) kind()     {}
func (form) kind()     {}

// kindOf returns what the schema says of an attribute of n.
func kindOf[K kind](n *node, name string) K {
	for _, a := range n.schema.attrs {
		if k, ok := a.is.(K); ok && a.name == name {
			return k
		}
	}
	var k K
	panic(fmt.Sprintf("configs: internal error: %s has no attribute %s that is a %T", n.schema, name, k))
}
