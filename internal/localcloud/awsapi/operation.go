package awsapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// JSONOperation reads the JSON that an operation of a service takes and renders what it returns. Nil stands for {}.
func JSONOperation[S, In any](do func(S, In) (any, error)) func(S, []byte) ([]byte, error) {
	return func(s S, body []byte) ([]byte, error) {
		var in In
		if len(body) > 0 {
			if err := json.Unmarshal(body, &in); err != nil {
				return nil, Errorf(http.StatusBadRequest, "SerializationException", "body", "%s", JSONFault(err))
			}
		}
		out, err := do(s, in)
		if err != nil {
			return nil, err
		}
		if out == nil {
			out = struct{}{}
		}
		return json.Marshal(out)
	}
}

// JSONFault says what is wrong with the JSON of a request without repeating any of it: it may hold
// a secret.
func JSONFault(err error) string {
	var wrong *json.UnmarshalTypeError
	var broken *json.SyntaxError
	switch {
	case errors.As(err, &wrong):
		// Embedded structures of this module have names in small letters.
		parts := slices.DeleteFunc(strings.Split(wrong.Field, "."), func(part string) bool {
			return part == "" || part[0] >= 'a' && part[0] <= 'z'
		})
		return fmt.Sprintf("member %s must not be of JSON type %s", strings.Join(parts, "."),
			strings.Fields(wrong.Value + " x")[0]) // without a number's digits
	case errors.As(err, &broken):
		return fmt.Sprintf("the body is not JSON at byte %d", broken.Offset)
	default:
		return "the body cannot be read as the JSON of the operation"
	}
}

// UnknownOperation is the error of an operation that a REST service does not have.
func UnknownOperation(operation string) *Error {
	return Errorf(http.StatusNotFound, "UnknownOperationException", "the path", "localcloud has no operation %q", operation)
}
