package localcloud

import (
	"net/http"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/archivedmedia"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/calls"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/iotcreds"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sigv4"
)

// handleAPI is the HTTPS endpoint.
func (c *Cloud) handleAPI(w http.ResponseWriter, r *http.Request) {
	e := calls.Of(r.Context())
	switch {
	case media.Serves(r.URL.Path):
		e.Service, e.Operation, e.Resource = awsapi.KVS, kvs.OperationOf(r), media.StreamOf(r.Header)
		c.media.ServeHTTP(w, r)
	case archivedmedia.IsSession(r.URL.Path):
		c.archived.ServeHTTP(w, r)
	case strings.HasPrefix(r.URL.Path, iotcreds.RoleAliasesPath):
		c.calls.NotFound(w, e)
	default:
		c.serveAPI(w, r)
	}
}

func (c *Cloud) serveAPI(w http.ResponseWriter, r *http.Request) {
	e := calls.Of(r.Context())
	body, err := awsapi.ReadBody(r)
	s, routed := c.route(r, body)
	if err == nil {
		err = routed
	}
	e.Service = s.Name
	if s.Operation == nil {
		e.Operation = strangersOperation(r, body)
	}
	var answer []byte
	if err == nil {
		e.Operation = s.Operation(r, body)
		if s.Resource != nil {
			e.Resource = s.Resource(r, body)
		}
		if s.Success != nil {
			e.Success = s.Success(e.Operation)
		}
		answer, err = c.answer(s, e, r, body)
	}
	c.calls.Answer(w, e, s.ProtocolOf(r), answer, err)
}

func (c *Cloud) answer(s awsapi.Service, e *calls.Call, r *http.Request, body []byte) ([]byte, error) {
	if method := s.Method(r); r.Method != method {
		return nil, awsapi.Errorf(http.StatusMethodNotAllowed, "UnsupportedOperationException", "the method", "AWS takes %s only here", method)
	}
	key, err := c.keys.Verify(r, s.Name, sigv4.Hash(body))
	if err != nil {
		return nil, err
	}
	who := callerOf(key)
	e.Caller, e.Thing = who.String(), who.Thing
	if err := c.faults.strike("operation " + e.Operation); err != nil {
		return nil, err
	}
	if s.Authorizes == nil || !s.Authorizes(e.Operation) {
		if err := c.policies.Authorize(who, s.Name, e.Operation, e.Resource); err != nil {
			return nil, err
		}
	}
	return s.Call(e.Operation, r, body)
}

// verifyMedia checks requests of the data plane. That of PutMedia is signed as if it had no body,
// since the body has no end yet. That of GetMedia may be signed either way. A stream that the headers do not name is in
// the body.
func (c *Cloud) verifyMedia(r *http.Request) error {
	e := calls.Of(r.Context())
	payloads := []string{sigv4.Hash(nil)}
	var body []byte
	if r.URL.Path != "/putMedia" {
		var err error
		if body, err = awsapi.ReadBody(r); err != nil {
			return err
		}
		payloads = append(payloads, sigv4.Hash(body))
	}
	key, err := c.keys.Verify(r, awsapi.KVS, payloads...)
	if err != nil {
		return err
	}
	who := callerOf(key)
	e.Caller = who.String()
	if body != nil && e.Resource == "" {
		e.Resource = kvs.ResourceOf(body)
	}
	if err := c.faults.strike("operation " + e.Operation); err != nil {
		return err
	}
	return c.policies.Authorize(who, awsapi.KVS, e.Operation, e.Resource)
}
