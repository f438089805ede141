package fakecam

import (
	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/auth"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"
)

const realm = "fakecam"

// nonce is a digest nonce of a connection, and the number of its uses.
type nonce struct {
	value string
	uses  int
}

// authorize checks a password with nonces of limited use; nil: the request is accepted.
func (s *server) authorize(conn *gortsplib.ServerConn, request *base.Request) *base.Response {
	o := s.camera.options
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.nonces[conn]
	methods := []auth.VerifyMethod{auth.VerifyMethodDigestMD5, auth.VerifyMethodDigestSHA256}
	if n != nil && n.uses < o.NonceUses && auth.Verify(request, o.User, o.Pass, methods, realm, n.value) == nil {
		n.uses++
		return nil
	}
	value, err := auth.GenerateNonce()
	if err != nil {
		return &base.Response{StatusCode: base.StatusInternalServerError}
	}
	s.nonces[conn] = &nonce{value: value}
	return &base.Response{StatusCode: base.StatusUnauthorized, Header: base.Header{
		"WWW-Authenticate": auth.GenerateWWWAuthenticate(methods, realm, value),
	}}
}

// refuse returns the refusal of a request, or nil.
func (s *server) refuse(conn *gortsplib.ServerConn, request *base.Request, requested string) (*base.Response, error) {
	o := s.camera.options
	if o.NonceUses > 0 {
		if response := s.authorize(conn, request); response != nil {
			return response, nil
		}
	} else if o.User != "" && !conn.VerifyCredentials(request, o.User, o.Pass) {
		return &base.Response{StatusCode: base.StatusUnauthorized}, liberrors.ErrServerAuth{}
	}
	if requested != path {
		return &base.Response{StatusCode: base.StatusNotFound}, nil
	}
	return nil, nil
}
