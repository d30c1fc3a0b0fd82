package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/warrenvpn/warren/system/api"
)

// newEvents is `warren events`.
func newEvents(e *env) *cobra.Command {
	var which api.EventFilter
	var most int
	c := &cobra.Command{
		Use:   "events [CONTEXT]",
		Short: "Follow what happens in the system, or in one context",
		Long: "Follow what happens from now on: sessions and SAs that come and go, peers that are refused,\n" +
			"limits that are reached, contexts, roles, configurations. One line is one event, with its\n" +
			"context (\"-\" for the system) and its kind; its fields have the keys of the log. Who reads\n" +
			"too slowly misses events, and is told how many (events_missed). It ends with an interrupt.",
		Example: "  warren events blue --kind session_up,session_down\n" +
			"  warren events --json | jq 'select(.level == \"warn\")'",
		Args:              atMostOne,
		ValidArgsFunction: e.completeContexts,
		RunE: does(func(ctx context.Context, args []string) error {
			if len(args) > 0 {
				which.Context = args[0]
			}
			return e.events(ctx, which, most)
		}),
	}
	c.Flags().StringSliceVar(&which.Kinds, "kind", nil, "events of these `kinds` alone, such as ike_up")
	c.Flags().IntVar(&most, "count", 0, "end after so many `events`")
	c.Flags().BoolVar(&e.json, "json", false, "print one JSON object a line, for scripts")
	return c
}

// events prints events until there were most of them (0: no bound), or ctx ends.
func (e *env) events(ctx context.Context, which api.EventFilter, most int) error {
	if most < 0 {
		return fmt.Errorf("--count=%d is not a number of events", most)
	}
	stream, err := e.client().Events(ctx, which)
	if err != nil {
		return err
	}
	defer stream.Close()
	for n := 0; most == 0 || n < most; n++ {
		event, err := stream.Next()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, io.EOF):
			return errors.New("the stream of events was cut off: warrend is stopping, or this program was too slow")
		case err != nil:
			return err
		}
		if err := e.event(event); err != nil {
			return err
		}
	}
	return nil
}

// event prints one event.
func (e *env) event(event api.Event) error {
	text := eventLine(event)
	if e.json {
		b, err := json.Marshal(event)
		if err != nil {
			return fmt.Errorf("encoding an event: %w", err)
		}
		text = string(b)
	}
	if _, err := fmt.Fprintln(e.stdout, text); err != nil {
		return fmt.Errorf("writing an event: %w", err)
	}
	return nil
}

// firstFields are the fields that come before the others, which are in the order of
// their names.
var firstFields = []string{"sa", "peer", "identity", "profile"}

// eventLine is one event for people.
func eventLine(event api.Event) string {
	name := event.Context
	if name == "" {
		name = "-"
	}
	line := []string{moment(event.Time), name, event.Kind}
	keys := slices.Sorted(maps.Keys(event.Fields))
	slices.SortStableFunc(keys, func(a, b string) int { return firstField(a) - firstField(b) })
	for _, k := range keys {
		line = append(line, k+"="+fieldText(event.Fields[k]))
	}
	return plain(strings.Join(line, "  "))
}

// firstField is where a field comes.
func firstField(key string) int {
	if i := slices.Index(firstFields, key); i >= 0 {
		return i
	}
	return len(firstFields)
}

// fieldText is the value of a field; a text with blanks is quoted.
func fieldText(v any) string {
	switch v := v.(type) {
	case string:
		if v == "" || strings.ContainsAny(v, " \"=") {
			return fmt.Sprintf("%q", v)
		}
		return v
	case []any:
		var items []string
		for _, item := range v {
			items = append(items, fmt.Sprint(item))
		}
		return strings.Join(items, ",")
	}
	return fmt.Sprint(v)
}
