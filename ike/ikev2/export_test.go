package ikev2

import (
	"slices"
	"testing"
)

// AddExtension has every SA agree on one more extension, until the test ends.
func AddExtension(t *testing.T, x Extension) {
	old := extensions
	extensions = append(slices.Clone(old), x)
	t.Cleanup(func() { extensions = old })
}
