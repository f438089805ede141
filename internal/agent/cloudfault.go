package agent

import (
	"errors"
	"net/http"
	"net/url"
	"slices"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// codeCloud is that of faults of asking AWS who the hub is and what it shall do.
const codeCloud = "cloud"

// The exceptions of AWS that say no to the role, and those that do not know the credentials.
var (
	denials = []string{"AccessDeniedException", "AccessDenied", "NotAuthorizedException"}
	unknown = []string{
		"UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException", "SignatureDoesNotMatch",
		"ExpiredTokenException", "ExpiredToken", "IncompleteSignature",
	}
)

// cloudFault says what to do about an error of the SDK; permission is what the hub's role needs to be
// answered.
func cloudFault(s service, permission string, err error) *health.Fault {
	var known *health.Fault // of the credentials, for example: it says more than we can
	if errors.As(err, &known) {
		return known
	}
	var answer *awshttp.ResponseError
	if !errors.As(err, &answer) || answer.HTTPStatusCode() == 0 {
		return health.SystemFault(codeCloud, err, "%s", s.fault(hostOf(err), err))
	}
	var api smithy.APIError
	name := ""
	if errors.As(err, &api) {
		name = api.ErrorCode()
	}
	switch status := answer.HTTPStatusCode(); {
	case slices.Contains(unknown, name):
		return health.SystemFault(codeCloud, err, "%s refuses the hub's credentials: check the role alias and the hub's clock.", s.name)
	case slices.Contains(denials, name), status == http.StatusForbidden, status == http.StatusUnauthorized:
		return health.UserFault(codeCloud, err, "%s does not let the hub ask: allow the hub's role %s.", s.name, permission)
	default:
		return health.SystemFault(codeCloud, err, "%s answers with HTTP status %d %s; the agent keeps trying.", s.name, status, name)
	}
}

// hostOf is where a request went that got no answer.
func hostOf(err error) string {
	var request *url.Error
	if errors.As(err, &request) {
		if u, err := url.Parse(request.URL); err == nil && u.Host != "" {
			return u.Host
		}
	}
	return "its endpoint"
}
