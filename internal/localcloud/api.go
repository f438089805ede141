package localcloud

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/refusal"
)

// handleAPI is the HTTPS endpoint.
func (c *Cloud) handleAPI(w http.ResponseWriter, r *http.Request) {
	e := callOf(r.Context())
	switch {
	case r.URL.Path == "/putMedia" || r.URL.Path == "/getMedia":
		e.service, e.operation, e.resource = serviceKVS, kvsService.operation(r, nil), media.StreamOf(r.Header)
		c.media.ServeHTTP(w, r)
	case strings.HasPrefix(r.URL.Path, roleAliasesPath):
		c.notFound(w, e)
	default:
		c.serveAPI(w, r)
	}
}

func (c *Cloud) serveAPI(w http.ResponseWriter, r *http.Request) {
	e := callOf(r.Context())
	body, err := readSigned(r)
	s, routed := route(r, body)
	if err == nil {
		err = routed
	}
	e.service = s.name
	if s.operation == nil {
		e.operation = strangersOperation(r, body)
	}
	var answer []byte
	if err == nil {
		e.operation = s.operation(r, body)
		if s.resource != nil {
			e.resource = s.resource(r, body)
		}
		answer, err = c.answer(s, e, r, body)
	}
	speech := s.wireOf(r)
	h := w.Header()
	h.Set("Content-Type", speech.contentType)
	if s.contentType != "" && err == nil {
		h.Set("Content-Type", s.contentType)
	}
	status := http.StatusOK
	if err != nil {
		refused := c.httpError(err)
		c.refuse(e, refused)
		status, answer = refused.Status, speech.refuse(h, refused, e.id)
	}
	w.WriteHeader(status)
	_, _ = w.Write(answer) // the client may be gone; there is nobody else to report to
}

// refuse writes the line about a call that is refused.
func (c *Cloud) refuse(e *call, err *media.HTTPError) {
	e.outcome = err.Name
	if e.outcome == "" {
		e.outcome = fmt.Sprint(err.Status)
	}
	what := strings.TrimSpace(e.service + " " + e.operation)
	c.refused.Add(refusal.Refusal{What: what, Of: e.resource, By: e.caller, Code: e.outcome, Where: err.Where,
		Why: strings.TrimSuffix(err.Message, ".")})
}

func (c *Cloud) answer(s service, e *call, r *http.Request, body []byte) ([]byte, error) {
	method := http.MethodPost
	if s.get != nil && s.get(r) {
		method = http.MethodGet
	}
	if r.Method != method {
		return nil, &media.HTTPError{Status: http.StatusMethodNotAllowed, Name: "UnsupportedOperationException", Where: "the method",
			Message: "AWS takes " + method + " only here"}
	}
	who, err := c.verify(r, s.name, hashOf(body))
	if err != nil {
		return nil, err
	}
	e.caller, e.thing = who.String(), who.Thing
	if err := c.faults.strike("operation " + e.operation); err != nil {
		return nil, err
	}
	if err := c.authorize(who, s.name, e.operation, e.resource); err != nil {
		return nil, err
	}
	return s.call(c, e.operation, r, body)
}

// httpError makes an answer of any error.
func (c *Cloud) httpError(err error) *media.HTTPError {
	var answer *media.HTTPError
	if errors.As(err, &answer) {
		return answer
	}
	c.log.Error("the local cloud failed", zap.Error(err))
	return &media.HTTPError{Status: http.StatusInternalServerError, Name: "InternalFailure", Message: err.Error()}
}

// jsonOperation reads the JSON that an operation takes and renders what it returns. Nil stands for {}.
func jsonOperation[In any](do func(*Cloud, In) (any, error)) func(*Cloud, []byte) ([]byte, error) {
	return func(c *Cloud, body []byte) ([]byte, error) {
		var in In
		if len(body) > 0 {
			if err := json.Unmarshal(body, &in); err != nil {
				return nil, &media.HTTPError{Status: http.StatusBadRequest, Name: "SerializationException", Where: "body",
					Message: jsonFault(err)}
			}
		}
		out, err := do(c, in)
		if err != nil {
			return nil, err
		}
		if out == nil {
			out = struct{}{}
		}
		return json.Marshal(out)
	}
}

// jsonFault says what is wrong with the JSON of a request without repeating any of it: it may hold
// a secret.
func jsonFault(err error) string {
	var wrong *json.UnmarshalTypeError
	var broken *json.SyntaxError
	switch {
	case errors.As(err, &wrong):
		// Structures of ours that are embedded have names in small letters.
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

// readToken reads what tokenAfter wrote: the name after which a page starts.
func readToken(token string) (after string, err error) {
	name, err := base64.RawURLEncoding.DecodeString(token)
	if err == nil && (len(name) > 4096 || !utf8.Valid(name)) {
		err = errors.New("not a token")
	}
	return string(name), err
}

func unknownOperation(operation string) error {
	return &media.HTTPError{Status: http.StatusNotFound, Name: "UnknownOperationException", Where: "the path",
		Message: fmt.Sprintf("localcloud has no operation %q", operation)}
}

// requestID is a random UUID.
func requestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	s := hex.EncodeToString(b[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}
