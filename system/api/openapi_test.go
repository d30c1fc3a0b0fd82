package api

import (
	"encoding"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/warrenvpn/warren/system/fault"
)

var update = flag.Bool("update", false, "rewrite openapi.json")

// TestOpenAPI holds the served document to the table of routes and the types.
func TestOpenAPI(t *testing.T) {
	want, err := json.MarshalIndent(describe(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile("openapi.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(want), string(openAPIDocument)); diff != "" {
		t.Errorf("openapi.json does not fit the routes; go test ./system/api -run OpenAPI -update (-want +got):\n%s",
			diff)
	}
}

type object = map[string]any

// describe makes the OpenAPI document from the table of routes.
func describe() object {
	schemas := object{}
	failure := object{
		"description": "The error, and what can be done.",
		"content":     object{"application/json": object{"schema": schemaOf(reflect.TypeFor[fault.Error](), schemas)}},
	}
	paths := object{}
	for _, rt := range routes {
		rt.path = strings.ReplaceAll(rt.path, "...}", "}")
		var params []object
		for part := range strings.SplitSeq(rt.path, "/") {
			if name, ok := strings.CutPrefix(part, "{"); ok {
				params = append(params, object{"name": strings.TrimSuffix(name, "}"), "in": "path", "required": true,
					"schema": object{"type": "string"}})
			}
		}
		for _, name := range rt.params {
			if name == anyParam {
				continue
			}
			params = append(params, object{"name": name, "in": "query", "schema": object{"type": "string"}})
		}
		op := object{
			"summary":         rt.summary,
			"x-required-role": rt.role,
			"responses": object{
				"200": object{
					"description": "Done.",
					"content": object{mediaOf(rt.answer): object{"schema": schemaOf(reflect.TypeOf(rt.answer),
						schemas)}},
				},
				"default": failure,
			},
		}
		if params != nil {
			op["parameters"] = params
		}
		if rt.body != nil {
			op["requestBody"] = object{
				"required": true,
				"content":  object{mediaOf(rt.body): object{"schema": schemaOf(reflect.TypeOf(rt.body), schemas)}},
			}
		}
		at, ok := paths[rt.path].(object)
		if !ok {
			at = object{}
			paths[rt.path] = at
		}
		at[strings.ToLower(rt.verb)] = op
	}
	return object{
		"openapi": "3.1.0",
		"info": object{
			"title":   "Warren",
			"version": "1",
			"description": "The API of warrend, HTTP/JSON on the unix socket warren.sock in its run_dir. " +
				"Durations are in seconds, times in RFC 3339.",
		},
		"paths":      paths,
		"components": object{"schemas": schemas},
	}
}

// mediaOf returns the type of a body.
func mediaOf(example any) string {
	switch example.(type) {
	case content:
		return contentType
	case CopyEvent, Event:
		return eventsType
	}
	return "application/json"
}

// schemaOf describes a Go type as encoding/json writes it; structs go into
// schemas.
func schemaOf(t reflect.Type, schemas object) object {
	switch t {
	case reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case reflect.TypeFor[content]():
		return object{"type": "string", "format": "binary"}
	}
	if t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) { // addresses, units
		return object{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return schemaOf(t.Elem(), schemas)
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64, reflect.Uint32, reflect.Uint64:
		return object{"type": "integer"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.String:
		return object{"type": "string"}
	case reflect.Map:
		return object{"type": "object"}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return object{"type": "string", "contentEncoding": "base64"}
		}
		return object{"type": "array", "items": schemaOf(t.Elem(), schemas)}
	case reflect.Struct:
		if _, ok := schemas[t.Name()]; !ok {
			schemas[t.Name()] = object{} // ends recursion
			schemas[t.Name()] = structSchema(t, schemas)
		}
		return object{"$ref": "#/components/schemas/" + t.Name()}
	default:
		panic("api: internal error: no schema for " + t.String())
	}
}

func structSchema(t reflect.Type, schemas object) object {
	properties := object{}
	required := []string{}
	for f := range t.Fields() {
		if counts, ok := reflect.Zero(f.Type).Interface().(interface{ Describe(func(key, about string)) }); ok {
			counts.Describe(func(key, about string) { // they stand beside the other members
				properties[key] = object{"type": "integer", "description": about}
				required = append(required, key)
			})
			continue
		}
		tag := f.Tag.Get("json")
		if f.Anonymous && tag == "" { // its fields stand beside the others
			inner := structSchema(f.Type, schemas)
			maps.Copy(properties, inner["properties"].(object))
			required = append(required, inner["required"].([]string)...)
			continue
		}
		name, options, _ := strings.Cut(tag, ",")
		if name == "" {
			panic("api: internal error: " + t.Name() + "." + f.Name + " has no JSON name")
		}
		property := schemaOf(f.Type, schemas)
		if about := f.Tag.Get("about"); about != "" {
			property["description"] = about
		}
		properties[name] = property
		if options == "" {
			required = append(required, name)
		}
	}
	return object{"type": "object", "properties": properties, "required": required}
}

// TestTypeNames keeps two types of one name out of the document.
func TestTypeNames(t *testing.T) {
	seen := map[string]reflect.Type{}
	var walk func(reflect.Type)
	walk = func(ty reflect.Type) {
		switch ty.Kind() {
		case reflect.Slice, reflect.Pointer:
			walk(ty.Elem())
		case reflect.Struct:
			old, ok := seen[ty.Name()]
			if ok && old != ty {
				t.Errorf("%v and %v share a name in openapi.json", old, ty)
			}
			if ok || ty == reflect.TypeFor[time.Time]() || strings.HasPrefix(ty.PkgPath(), "net/") {
				return
			}
			seen[ty.Name()] = ty
			for f := range ty.Fields() {
				walk(f.Type)
			}
		}
	}
	for _, rt := range routes {
		walk(reflect.TypeOf(rt.answer))
		if rt.body != nil {
			walk(reflect.TypeOf(rt.body))
		}
	}
}
