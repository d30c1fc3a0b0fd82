package configs

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
)

var update = flag.Bool("update", false, "rewrite golden files")

// dump prints a whole configuration, secrets by their text: the tests' own.
func dump(s *System) string {
	type view struct {
		*System
		Key     string              `json:",omitempty"`
		Secrets map[string][]string `json:",omitempty"`
	}
	v := view{System: s, Secrets: map[string][]string{}}
	if s.Failover != nil {
		v.Key = hex.EncodeToString(s.Failover.Key.Reveal())
	}
	for _, c := range s.Contexts {
		for _, one := range c.Spec.Secrets {
			v.Secrets[c.Name] = append(v.Secrets[c.Name], string(one.Reveal()))
		}
	}
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Sprint(err)
	}
	return string(b) + "\n"
}
