package edgeconfig

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Parse reads an EdgeConfig from JSON. Fields that it does not know are ignored, so that a newer
// cloud can speak to an older agent; values of a wrong type are all named in an *Invalid. Null
// counts as absent. It does not check the values: see Validate.
func Parse(data []byte) (EdgeConfig, error) { return parse(data, false) }

// ParseKnown is Parse for what a person writes: a field that it does not know is a fault too, as it may be misspelt.
func ParseKnown(data []byte) (EdgeConfig, error) { return parse(data, true) }

func parse(data []byte, known bool) (EdgeConfig, error) {
	var faults faultList
	var config EdgeConfig
	var document any
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&document); err != nil {
		faults.add("", "", "is not JSON: %s", jsonFault(err))
		return EdgeConfig{}, faults.err()
	}
	if _, err := d.Token(); err != io.EOF {
		faults.add("", "", "is followed by more text")
		return EdgeConfig{}, faults.err()
	}
	if _, ok := document.(map[string]any); !ok {
		faults.add("", "", "must be an object")
		return EdgeConfig{}, faults.err()
	}
	checkShape(&faults, "", document, reflect.TypeFor[EdgeConfig]())
	if known {
		checkNames(&faults, "", document, reflect.TypeFor[EdgeConfig]())
	}
	if err := faults.err(); err != nil {
		return EdgeConfig{}, err
	}
	if err := json.Unmarshal(data, &config); err != nil {
		faults.add("", "", "cannot be read: %s", jsonFault(err))
		return EdgeConfig{}, faults.err()
	}
	return config, nil
}

func jsonFault(err error) string {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return "it ends too early"
	}
	return err.Error()
}

// checkShape compares a decoded JSON value with the Go type that is to hold it, and notes every
// place where they do not match. encoding/json itself names only the first.
func checkShape(faults *faultList, path string, value any, t reflect.Type) {
	if value == nil {
		return
	}
	switch t.Kind() {
	case reflect.Pointer:
		checkShape(faults, path, value, t.Elem())
	case reflect.Struct:
		object, ok := value.(map[string]any)
		if !ok {
			faults.add(path, kindOf(value), "must be an object")
			return
		}
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			for key, member := range object {
				if strings.EqualFold(key, name) { // as encoding/json matches
					checkShape(faults, joinPath(path, name), member, t.Field(i).Type)
				}
			}
		}
	case reflect.String:
		if _, ok := value.(string); !ok {
			faults.add(path, kindOf(value), "must be a string")
		}
	case reflect.Bool:
		if _, ok := value.(bool); !ok {
			faults.add(path, kindOf(value), "must be true or false")
		}
	case reflect.Int:
		number, ok := value.(json.Number)
		if !ok {
			faults.add(path, kindOf(value), "must be a whole number")
			return
		}
		if _, err := strconv.ParseInt(number.String(), 10, strconv.IntSize); err != nil {
			faults.add(path, quoteNumber(number), "must be a whole number")
		}
	}
}

// checkNames notes the members of a decoded JSON value that the Go type does not have.
func checkNames(faults *faultList, path string, value any, t reflect.Type) {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	object, ok := value.(map[string]any)
	if !ok || t.Kind() != reflect.Struct {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(object)) {
		found := false
		var names []string
		for i := range t.NumField() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			names = append(names, name)
			if strings.EqualFold(key, name) {
				found = true
				checkNames(faults, joinPath(path, name), object[key], t.Field(i).Type)
			}
		}
		if !found {
			faults.add(joinPath(path, ShownName(key)), "", "is not known: it must be one of %s", strings.Join(names, ", "))
		}
	}
}

func quoteNumber(n json.Number) string { return strings.Trim(quote(n.String()), `"`) }

func joinPath(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// ShownName is the name of a member as it may be shown: one with unusual characters is quoted.
func ShownName(name string) string {
	if len(name) <= maxShown && plainName.MatchString(name) {
		return name
	}
	return quote(name)
}

// kindOf names the JSON type; the value itself may be long.
func kindOf(value any) string {
	switch v := value.(type) {
	case map[string]any:
		return "an object"
	case []any:
		return "a list"
	case string:
		return "a string"
	case bool:
		return strconv.FormatBool(v)
	case json.Number:
		return "the number " + quoteNumber(v)
	default:
		return fmt.Sprintf("a %T", value)
	}
}
