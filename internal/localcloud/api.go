package localcloud

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/refusal"
)

// The names of the services in signatures.
const (
	serviceKVS        = "kinesisvideo"
	serviceSecrets    = "secretsmanager"
	serviceCloudWatch = "monitoring"
	serviceSTS        = "sts"
)

// service is one of those that share the HTTPS endpoint.
type service struct {
	name        string
	contentType string
	// operation names what is asked for.
	operation func(r *http.Request, body []byte) string
	// call does it and gives the body of the answer.
	call func(c *Cloud, operation string, r *http.Request, body []byte) ([]byte, error)
	// refuse gives status and body of an error; nil = as KVS does.
	refuse func(e *media.HTTPError) (status int, body []byte)
}

// serviceOf tells the service by what its protocol puts into a request.
func serviceOf(r *http.Request) service {
	target := r.Header.Get("X-Amz-Target")
	switch {
	case strings.HasPrefix(target, secretsTarget):
		return secretsService
	case strings.HasPrefix(r.URL.Path, cloudWatchPath):
		return cloudWatchService
	case r.URL.Path == "/" && target == "":
		return stsService
	default:
		return kvsService
	}
}

// handleAPI is the HTTPS endpoint.
func (c *Cloud) handleAPI(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("x-amzn-RequestId", requestID())
	if r.URL.Path == "/putMedia" || r.URL.Path == "/getMedia" {
		c.media.ServeHTTP(w, r)
		return
	}
	s := serviceOf(r)
	w.Header().Set("Content-Type", s.contentType)
	answer, err := c.answer(s, r)
	status := http.StatusOK
	if err != nil {
		e := c.httpError(err)
		c.refused.Add(refusal.Refusal{What: s.name + " request", Code: e.Name, Where: e.Where, Why: e.Message})
		status, answer = s.refusal(w, e)
	}
	w.WriteHeader(status)
	_, _ = w.Write(answer) // the client may be gone; there is nobody else to tell
}

func (c *Cloud) answer(s service, r *http.Request) ([]byte, error) {
	if r.Method != http.MethodPost {
		return nil, &media.HTTPError{Status: http.StatusMethodNotAllowed, Name: "UnsupportedOperationException", Message: "AWS takes POST only"}
	}
	body, err := readSigned(r)
	if err != nil {
		return nil, err
	}
	who, err := c.verify(r, s.name, hashOf(body))
	if err != nil {
		return nil, err
	}
	operation := s.operation(r, body)
	if err := c.faults.strike("operation " + operation); err != nil {
		return nil, err
	}
	if who.Thing != "" && slices.Contains(usersOnly, operation) {
		return nil, accessDenied(s.name, operation, who)
	}
	return s.call(c, operation, r, body)
}

// usersOnly are the operations that the role of the devices lacks.
// Source: KVS developer guide, Edge Agent, "Create an IAM permissions policy".
var usersOnly = []string{
	"CreateStream", "DeleteStream", "UpdateDataRetention", "StartEdgeConfigurationUpdate", "DeleteEdgeConfiguration",
	"CreateSecret", "PutSecretValue",
}

func accessDenied(service, operation string, who caller) error {
	status := http.StatusBadRequest
	if service == serviceKVS {
		status = http.StatusUnauthorized
	}
	return &media.HTTPError{Status: status, Name: "AccessDeniedException", Message: fmt.Sprintf(
		"User: arn:aws:sts::%s:assumed-role/%s/%s is not authorized to perform: %s:%s", Account, RoleAlias, who.Thing, service, operation)}
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

func (s service) refusal(w http.ResponseWriter, e *media.HTTPError) (status int, body []byte) {
	if s.refuse != nil {
		return s.refuse(e)
	}
	w.Header().Set("x-amzn-ErrorType", e.Name)
	body, _ = json.Marshal(map[string]string{"__type": e.Name, "Message": e.Message, "message": e.Message}) // strings always marshal
	return e.Status, body
}

// jsonOperation reads the JSON that an operation takes and renders what it gives. Nil stands for {}.
func jsonOperation[In any](do func(*Cloud, In) (any, error)) func(*Cloud, []byte) ([]byte, error) {
	return func(c *Cloud, body []byte) ([]byte, error) {
		var in In
		if len(body) > 0 {
			if err := json.Unmarshal(body, &in); err != nil {
				return nil, &media.HTTPError{Status: http.StatusBadRequest, Name: "SerializationException", Message: err.Error()}
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

func unknownOperation(operation string) error {
	return &media.HTTPError{Status: http.StatusNotFound, Name: "UnknownOperationException", Message: fmt.Sprintf("the local cloud has no operation %q", operation)}
}

// requestID is a random UUID.
func requestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	s := hex.EncodeToString(b[:])
	return s[:8] + "-" + s[8:12] + "-" + s[12:16] + "-" + s[16:20] + "-" + s[20:]
}
