package resource

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var totals = Totals{Sessions: 20000, SiteToSite: 20000, InNegotiation: 10000, CPU: 4, Memory: 8 << 30, PIDs: 1000}

func TestResolve(t *testing.T) {
	half := Limit{Amount: 50, Percent: true}
	for _, tt := range []struct {
		name    string
		c, base Class
		totals  Totals
		want    Limits
		err     string
	}{
		{name: "nothing set is unlimited", totals: totals, want: Limits{}},
		{
			name: "percent of each total",
			c:    Class{Limits: map[Name]Limit{Sessions: half, CPU: half, Memory: half}}, totals: totals,
			want: Limits{Sessions: 10000, BurstSessions: None, CPU: 2, Memory: 4 << 30},
		},
		{
			name:   "what is not set is inherited from default",
			c:      Class{Limits: map[Name]Limit{Sessions: {Amount: 2}}},
			base:   Class{Name: DefaultClass, Limits: map[Name]Limit{Sessions: {Amount: 7}, PIDs: {Amount: 64}}},
			totals: totals, want: Limits{Sessions: 2, BurstSessions: None, PIDs: 64},
		},
		{
			name:   "all takes nothing from default",
			c:      Class{All: &Limit{}, Limits: map[Name]Limit{Sessions: {Amount: 2}}},
			base:   Class{Limits: map[Name]Limit{PIDs: {Amount: 64}}},
			totals: totals, want: Limits{Sessions: 2, BurstSessions: None},
		},
		{
			name:   "0 lifts an inherited limit",
			c:      Class{Limits: map[Name]Limit{PIDs: {}}},
			base:   Class{Limits: map[Name]Limit{PIDs: {Amount: 64}}},
			totals: totals, want: Limits{},
		},
		{
			name: "all of default with percent", base: Class{All: &Limit{Amount: 10, Percent: true}}, totals: totals,
			want: Limits{Sessions: 2000, BurstSessions: None, SiteToSite: 2000, BurstSiteToSite: None,
				InNegotiation: 1000, CPU: 0.4, Memory: 858993459, PIDs: 100},
		},
		{
			name: "fractions round down, never to unlimited",
			c: Class{Limits: map[Name]Limit{Sessions: {Amount: 0.001, Percent: true},
				PIDs: {Amount: 1.25, Percent: true}}}, totals: totals,
			want: Limits{Sessions: 1, BurstSessions: None, PIDs: 12},
		},
		{
			name: "percent of something unknown",
			c:    Class{Name: "gold", Limits: map[Name]Limit{CPU: half}}, totals: Totals{},
			err: `resource: class "gold": 50% of cpu: the total is unknown`,
		},
		{
			name: "all with percent says nothing of what has no total",
			c:    Class{All: &half}, totals: Totals{CPU: 4}, want: Limits{CPU: 2},
		},
		{
			name: "the rest of those who are promised nothing, and of those who are",
			c:    Class{Limits: map[Name]Limit{Sessions: {Amount: 5}, BurstSessions: {}, BurstSiteToSite: {Amount: 3}}},
			base: Class{All: &Limit{}, Limits: map[Name]Limit{BurstSessions: {Amount: 9}}}, totals: totals,
			want: Limits{Sessions: 5, BurstSiteToSite: 3},
		},
		{name: "unlimited of something unknown", c: Class{All: &Limit{Percent: true}}, want: Limits{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Resolve(tt.c, tt.base, tt.totals)
			if text(err) != tt.err {
				t.Fatalf("error = %v, want %q", err, tt.err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestOversubscribed(t *testing.T) {
	members := []Limits{{Sessions: 12000, SiteToSite: 20000, CPU: 4}, {Sessions: 8001, CPU: 4}, {}}
	if diff := cmp.Diff(Limits{Sessions: 20001}, Oversubscribed(members, totals)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := Oversubscribed(members[:1], totals); len(got) != 0 {
		t.Errorf("what fits was refused: %v", got)
	}
}

// TestDocumented holds docs/resources.md to what there is.
func TestDocumented(t *testing.T) {
	page, err := os.ReadFile("../docs/resources.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range Kinds() {
		if !strings.Contains(string(page), "`"+string(k.Name)+"`") {
			t.Errorf("docs/resources.md lacks %s", k.Name)
		}
	}
}

func TestLookup(t *testing.T) {
	for _, k := range Kinds() {
		if got, ok := Lookup(k.Name); !ok || got != k {
			t.Errorf("Lookup(%s) = %v, %v", k.Name, got, ok)
		}
	}
	if _, ok := Lookup("xlates"); ok {
		t.Error("xlates is known")
	}
}

func TestBucket(t *testing.T) {
	start := time.Date(2026, 11, 24, 5, 0, 0, 0, time.UTC)
	at := func(d time.Duration) time.Time { return start.Add(d) }
	b := Bucket{Rate: 10, Burst: 5}
	for i, step := range []struct {
		at   time.Duration
		n    float64
		want bool
	}{
		{0, 5, true},
		{0, 1, false},
		{99 * time.Millisecond, 1, false},
		{101 * time.Millisecond, 1, true},
		{50 * time.Millisecond, 1, false}, // the clock went back
		{time.Hour, 6, false},             // more than the bucket holds
		{time.Hour, 5, true},
		{time.Hour, 0, true},
	} {
		if got := b.Take(at(step.at), step.n); got != step.want {
			t.Errorf("step %d: Take = %v, want %v", i, got, step.want)
		}
	}
	wait, ok := b.Wait(at(time.Hour), 2)
	if !ok || !b.Take(at(time.Hour).Add(wait), 2) {
		t.Errorf("after the wait of %v (%v) the tokens are not there", wait, ok)
	}
	if _, ok := b.Wait(at(time.Hour), 6); ok {
		t.Error("Wait promises more than the bucket holds")
	}
	var open Bucket
	if wait, ok := open.Wait(start, 1e9); !ok || wait != 0 || !open.Take(start, 1e9) {
		t.Error("the zero Bucket holds something back")
	}
}

func TestMeter(t *testing.T) {
	m := Meter{Limit: 2}
	for i, want := range []bool{true, true, false} {
		if got := m.Take(1); got != want {
			t.Errorf("Take %d of 2: got %v, want %v", i+1, got, want)
		}
	}
	m.Give(1)
	if diff := cmp.Diff(Meter{Current: 1, Peak: 2, Limit: 2, Denied: 1}, m); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	m.Add(5)
	m.Set(3)
	if m.Take(1) || m.Peak != 6 || m.Denied != 2 {
		t.Errorf("above the limit: %+v", m)
	}
	if open := (Meter{}); !open.Take(1 << 40) {
		t.Error("no limit, and refused")
	}
	defer func() {
		if recover() == nil {
			t.Error("giving back more than was taken went unnoticed")
		}
	}()
	m.Give(9)
}

// TestUnitsInJSON: a unit is a word that scripts know, and nothing else is one.
func TestUnitsInJSON(t *testing.T) {
	words := map[Unit]string{Count: "count", Cores: "millicores", Bytes: "bytes", Bits: "bits/s", Rate: "1/s"}
	for u, word := range words {
		text, err := u.MarshalText()
		var back Unit
		if err == nil {
			err = back.UnmarshalText(text)
		}
		if err != nil || string(text) != word || back != u {
			t.Errorf("%s became %v, %v; want %s", text, back, err, word)
		}
	}
	var u Unit
	if err := u.UnmarshalText([]byte("furlongs")); err == nil {
		t.Errorf("furlongs are %v", u)
	}
}
