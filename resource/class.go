package resource

import (
	"fmt"
	"maps"
	"math"
)

// DefaultClass is the name of the class that every context without another is
// a member of, and from which every class inherits.
const DefaultClass = "default"

// Limit is a cap for each member of a class: a percentage of the total, or an
// absolute amount. The zero Limit is unlimited.
type Limit struct {
	Amount  float64 // of the resource's unit, or percent; 0: unlimited
	Percent bool
}

// Unlimited reports whether l caps nothing.
func (l Limit) Unlimited() bool { return l.Amount == 0 }

// Class is a named set of limits.
type Class struct {
	Name string
	// All is for every resource that Limits does not name; nil: those are
	// inherited from the class "default". It is a percentage or unlimited. A
	// percentage says nothing of resources whose total is unknown.
	All    *Limit
	Limits map[Name]Limit
}

// Totals are what there is of each resource: what percentages refer to. A
// missing or zero total is unknown.
type Totals map[Name]float64

// Limits are the caps of one context in absolute numbers. A missing one is
// unlimited; a share of the rest may be None.
type Limits map[Name]float64

// of returns the limit of a member of c, and whether it was named rather than
// meant by All. base is the class "default".
func (c Class) of(name Name, base Class, totals Totals) (l Limit, named bool) {
	for _, class := range []Class{c, base} {
		if l, ok := class.Limits[name]; ok {
			return l, true
		}
		if class.All != nil && !(class.All.Percent && totals[name] == 0) {
			return *class.All, false
		}
	}
	return Limit{}, false
}

// Resolve returns the caps of a member of class c, where base is the class
// "default". A percentage of an unknown total is an error.
func Resolve(c, base Class, totals Totals) (Limits, error) {
	out := Limits{}
	for _, k := range Kinds() {
		limit, named := c.of(k.Name, base, totals)
		if k.Of != "" && !named {
			out[k.Name] = None
			continue
		}
		amount, err := limit.absolute(k, totals)
		if err != nil {
			return nil, fmt.Errorf("resource: class %q: %w", c.Name, err)
		}
		if amount != 0 {
			out[k.Name] = amount
		}
	}
	out.share()
	return out, nil
}

// share gives a context that is promised nothing, and of whose share of the
// rest nothing is said, all that is left: its guarantee is unlimited.
func (l Limits) share() {
	for _, k := range Kinds() {
		if k.Of != "" && l[k.Of] == 0 && l[k.Name] == None {
			delete(l, k.Name)
		}
	}
}

// absolute returns the limit in the unit of k, 0 for unlimited. A share of a
// countable thing is rounded down, but never to 0, which would lift the limit.
func (l Limit) absolute(k Kind, totals Totals) (float64, error) {
	if !l.Percent || l.Unlimited() {
		return l.Amount, nil
	}
	total := totals[k.Name]
	if total == 0 {
		return 0, fmt.Errorf("%v%% of %s: the total is unknown", l.Amount, k.Name)
	}
	amount := total * l.Amount / 100
	if k.Unit != Cores {
		amount = max(1, math.Floor(amount))
	}
	return amount, nil
}

// Oversubscribed returns the guaranteed resources whose limits sum to more
// than the total, each with the sum. A context without a limit was promised
// nothing and counts as zero.
func Oversubscribed(members []Limits, totals Totals) Limits {
	sums := Limits{}
	for _, m := range members {
		for _, k := range Kinds() {
			if k.Guarantee {
				sums[k.Name] += m[k.Name]
			}
		}
	}
	maps.DeleteFunc(sums, func(n Name, sum float64) bool { return totals[n] == 0 || sum <= totals[n] })
	return sums
}

// Remainder returns what the guarantees of all members leave of a total, for
// those who may have more than they were promised.
func Remainder(name Name, members []Limits, totals Totals) float64 {
	left := totals[name]
	for _, m := range members {
		left -= m[name]
	}
	return max(0, left)
}
