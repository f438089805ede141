// Package reference describes the routes of the local API for people and for programs: the tables of docs/api.md and docs/openapi.json.
// It must not know how a route is served.
package reference

import (
	"encoding"
	"encoding/json"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localapi"
)

// object is a JSON object; its members are written in the order of their names.
type object = map[string]any

// OpenAPI describes the table of routes for programs. Source: OpenAPI Specification 3.1.0.
func OpenAPI() ([]byte, error) {
	schemas := schemas{known: object{}}
	paths := make(map[string]object)
	for _, route := range localapi.Routes() {
		if paths[route.Path] == nil {
			paths[route.Path] = object{}
		}
		paths[route.Path][strings.ToLower(route.Method)] = schemas.operation(route)
	}
	document := object{
		"openapi": "3.1.0",
		"info": object{
			"title": "kvs-edge-agent local API", "version": "1",
			"description": "HTTP on the agent's unix socket. Paths, members and codes are added, and never change their meaning.",
			"license":     object{"name": "Apache 2.0", "identifier": "Apache-2.0"},
		},
		"servers":    []object{{"url": "http://agent", "description": "over the socket, /run/kvs-edge-agent/agent.sock; the host is ignored"}},
		"paths":      paths,
		"components": object{"schemas": schemas.known},
	}
	text, err := json.MarshalIndent(document, "", "  ")
	return append(text, '\n'), err
}

// schemas are the types of bodies and answers, by their names.
type schemas struct{ known object }

func (s schemas) operation(route localapi.Route) object {
	ok := object{"description": "The answer."}
	switch {
	case route.Answer == nil && route.Type == "":
		ok["description"] = "Done; the answer is empty."
	case route.Answer == nil:
		content := object{}
		for _, kind := range append(route.Types, route.Type) {
			content[kind] = object{}
		}
		ok["content"] = content
	default:
		ok["content"] = object{route.MediaType(): object{"schema": s.of(reflect.TypeOf(route.Answer))}}
	}
	refused := object{
		"description": "A sentence that says what is wrong; its code is in the header " + localapi.ErrorHeader + ".",
		"headers":     object{localapi.ErrorHeader: object{"schema": object{"type": "string"}}},
		"content":     object{localapi.MediaTypeOf(""): object{"schema": object{"type": "string"}}},
	}
	responses := object{"200": ok, "default": refused}
	operation := object{
		"operationId": operationID(route), "summary": plainText(route.Doc), "responses": responses,
		"x-right": route.Right.String(),
	}
	var parameters []object
	for _, p := range route.Params {
		parameters = append(parameters, object{
			"name": p.Name, "in": "query", "required": p.Required, "description": plainText(p.Doc), "schema": object{"type": "string"},
		})
	}
	if parameters != nil {
		operation["parameters"] = parameters
	}
	if route.Body != nil {
		operation["requestBody"] = object{"required": true, "content": object{
			localapi.MediaTypeOf(route.Body): object{"schema": s.of(reflect.TypeOf(route.Body))}}}
	}
	return operation
}

var (
	pathWord     = regexp.MustCompile(`[a-z]+`)
	markdownLink = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
)

// operationID names an operation by its method and its path, such as getLogLevel.
func operationID(route localapi.Route) string {
	id := strings.ToLower(route.Method)
	for _, word := range pathWord.FindAllString(strings.TrimPrefix(route.Path, "/v1"), -1) {
		id += strings.ToUpper(word[:1]) + word[1:]
	}
	return id
}

// plainText is a text without the marks of Markdown.
func plainText(text string) string {
	return strings.ReplaceAll(markdownLink.ReplaceAllString(text, "$1"), "`", "")
}

var (
	timeType = reflect.TypeFor[time.Time]()
	textType = reflect.TypeFor[encoding.TextMarshaler]()
)

// of is the schema of a type, as encoding/json writes it.
func (s schemas) of(t reflect.Type) object {
	switch {
	case t == timeType:
		return object{"type": "string", "format": "date-time"}
	case t.Implements(textType):
		return object{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem())
	case reflect.Slice:
		return object{"type": "array", "items": s.of(t.Elem())}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int32, reflect.Int64, reflect.Uint32, reflect.Uint64:
		return object{"type": "integer"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Struct:
		if _, known := s.known[t.Name()]; !known {
			s.known[t.Name()] = object{} // a type may hold itself
			s.known[t.Name()] = s.members(t)
		}
		return object{"$ref": "#/components/schemas/" + t.Name()}
	default:
		return object{"type": "string"}
	}
}

// members is the schema of a struct. A member that is always there is required.
func (s schemas) members(t reflect.Type) object {
	properties, required := object{}, []string{}
	for _, field := range reflect.VisibleFields(t) {
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" || name == "-" || !field.IsExported() {
			continue
		}
		properties[name] = s.of(field.Type)
		if !strings.Contains(options, "omit") {
			required = append(required, name)
		}
	}
	return object{"type": "object", "properties": properties, "required": required}
}

// Markdown is the table of routes of docs/api.md, and that of their parameters.
func Markdown() string {
	var b strings.Builder
	b.WriteString("| request | right | answer |\n|---|---|---|\n")
	for _, route := range localapi.Routes() {
		names := ""
		for _, p := range route.Params {
			names += ", `" + p.Name + "`"
		}
		if names != "" {
			names = "<br>" + strings.TrimPrefix(names, ", ")
		}
		b.WriteString("| `" + route.Method + " " + route.Path + "`" + names + " | " + route.Right.String() + " | " + route.Doc + " |\n")
	}
	b.WriteString("\n| parameter | meaning |\n|---|---|\n")
	seen := make(map[string]bool)
	for _, route := range localapi.Routes() {
		for _, p := range route.Params {
			if !seen[p.Doc] {
				seen[p.Doc] = true
				b.WriteString("| `" + p.Name + "` | " + p.Doc + " |\n")
			}
		}
	}
	return b.String()
}

// Schemas lists the members of all bodies and answers by the names of their types, for a test of the page.
func Schemas() map[string][]string {
	schemas := schemas{known: object{}}
	for _, route := range localapi.Routes() {
		schemas.operation(route)
	}
	list := make(map[string][]string)
	for name, schema := range schemas.known {
		list[name] = slices.Sorted(maps.Keys(schema.(object)["properties"].(object)))
	}
	return list
}
