package session

import (
	"testing"

	"github.com/warrenvpn/warren/resource"
)

func TestAdmission(t *testing.T) {
	for _, tt := range []struct {
		name          string
		promise, most int
		total         int64
		granted       int64
		want          outcome
		within        int64
	}{
		{"promised", 2, resource.None, 1, 0, admit, 1},
		{"no more than promised", 2, resource.None, 2, 0, refuse, 2},
		{"from the rest", 2, 5, 2, 0, askFirst, 2},
		{"granted already", 2, 5, 4, 3, admit, 2},
		{"no more of the rest", 2, 5, 7, 9, refuse, 2},
		{"nothing promised", 0, 5, 4, 4, askFirst, 0},
		{"unlimited", 0, 0, 9, 10, admit, 9},
		{"unlimited, not granted", 0, 0, 9, 9, askFirst, 9},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var a admission
			a.limit(tt.promise, tt.most)
			a.count(tt.total)
			a.granted = tt.granted
			if got := a.judge(0); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
			if a.within.Current != tt.within || a.total() != tt.total {
				t.Errorf("%d of %d are promised, want %d of %d", a.within.Current, a.total(), tt.within, tt.total)
			}
		})
	}
}
