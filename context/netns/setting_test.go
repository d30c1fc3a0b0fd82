package netns

import (
	"errors"
	"io/fs"
	"testing"
)

// TestSettingsFromTheStart: the devices of a new network have begun with what they must be
// set to, alone and as one of a pair.
func TestSettingsFromTheStart(t *testing.T) {
	set := func(g *Gateway) {
		t.Helper()
		err := g.ns.within(func() error {
			for _, s := range g.allSettings() {
				if is, err := s.isSet(); !is && !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s is not %s; %v", s.file, s.value, err)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	h, alone := dual(t)
	set(alone)
	if err := alone.Remove(); err != nil {
		t.Fatal(err)
	}
	set(paired(t, h))
}
