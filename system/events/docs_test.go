package events

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/warrenvpn/warren/context/control"
	"github.com/warrenvpn/warren/internal/pagetest"
)

var update = flag.Bool("update", false, "rewrite the table of docs/events.md")

const (
	page      = "../../docs/events.md"
	tableHead = "| kind | level | in the log | fields |\n|---|---|---|---|\n"
)

// TestDocs holds the table of docs/events.md to the events that there are.
func TestDocs(t *testing.T) {
	pagetest.Table{Page: page, Name: "events"}.Hold(t, tableHead+eventTable(), *update)
}

// eventTable is a row for each event but those of failover.
func eventTable() string {
	var rows []string
	for _, f := range slices.Concat(fresh, control.ToldByWorkers()) {
		fill(reflect.ValueOf(f).Elem())
		a := f.About()
		var keys keys
		control.Each(f, &keys)
		message := a.Message
		if message == "" {
			message = "-"
		}
		if len(keys) == 0 {
			keys = append(keys, "-")
		}
		rows = append(rows, fmt.Sprintf("| `%s` | %s | %s | %s |\n", a.Kind, a.Level, message,
			strings.Join(keys, ", ")))
	}
	slices.Sort(rows)
	return strings.Join(rows, "")
}

// fill puts something into every field, so that all of them are listed.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i))
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
	case reflect.String:
		v.SetString("x")
	case reflect.Int64:
		v.SetInt(1)
	case reflect.Uint64:
		v.SetUint(1)
	default:
	}
}

// keys is a control.List of the keys alone.
type keys []string

func (k *keys) Text(key, _ string)                    { *k = append(*k, "`"+key+"`") }
func (k *keys) Number(key string, _ uint64)           { k.Text(key, "") }
func (k *keys) Limit(key string, _ int64)             { k.Text(key, "") }
func (k *keys) Flag(key string, _ bool)               { k.Text(key, "") }
func (k *keys) Duration(key string, _ time.Duration)  { k.Text(key, "") }
func (k *keys) Addr(key string, _ netip.Addr)         { k.Text(key, "") }
func (k *keys) AddrPort(key string, _ netip.AddrPort) { k.Text(key, "") }
func (k *keys) Addrs(key string, _ []netip.Addr)      { k.Text(key, "") }
func (k *keys) Texts(key string, _ []string)          { k.Text(key, "") }

// TestDocsOfFailover: the page names every kind of failover event.
func TestDocsOfFailover(t *testing.T) {
	body, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range FailoverKinds {
		if !strings.Contains(string(body), "`"+k+"`") {
			t.Errorf("docs/events.md does not name %q", k)
		}
	}
}
