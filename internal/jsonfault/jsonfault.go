// Package jsonfault owns the words for what is wrong with JSON from outside. It must not know what the JSON is about, and repeats nothing
// that it has in it beside the names of members.
package jsonfault

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"
)

// maxName bounds the name of a member in a sentence, in bytes.
const maxName = 80

// Of says what is wrong, as a clause, given the error of a decoder.
func Of(err error) string {
	var (
		kind   *json.UnmarshalTypeError
		syntax *json.SyntaxError
		at     *time.ParseError
	)
	switch name, unknown := strings.CutPrefix(err.Error(), "json: unknown field "); {
	case unknown:
		return fmt.Sprintf("it has a member %s, which is not known", short(name))
	case errors.As(err, &kind) && kind.Field == "":
		return fmt.Sprintf("it must be %s", wordsOf(kind.Type))
	case errors.As(err, &kind):
		return fmt.Sprintf("%s must be %s", short(kind.Field), wordsOf(kind.Type))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.As(err, &syntax) && syntax.Offset == 0:
		return "it ends before it is complete"
	case errors.As(err, &syntax):
		return fmt.Sprintf("it is not JSON, at byte %d", syntax.Offset)
	case errors.As(err, &at), strings.HasPrefix(err.Error(), "Time.UnmarshalJSON"):
		return "a time must be a text such as 2026-11-27T08:00:00Z"
	}
	return "a value has another form than it must have"
}

// wordsOf says what a value must be.
func wordsOf(t reflect.Type) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "a whole number"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number that is not negative"
	default:
		return "an object with members"
	}
}

func short(name string) string {
	if len(name) > maxName {
		return strings.ToValidUTF8(name[:maxName], "") + "…"
	}
	return name
}
