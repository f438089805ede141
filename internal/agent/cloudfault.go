package agent

import (
	"errors"
	"net/url"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awserr"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// codeCloud is that of faults of asking AWS who the hub is and what it shall do.
const codeCloud = "cloud"

// cloudFault says what to do about an error of the SDK; permission is what the hub's role needs to be
// answered.
func cloudFault(s service, permission string, err error) *health.Fault {
	var known *health.Fault // of the credentials, for example: it says more than we can
	if errors.As(err, &known) {
		return known
	}
	switch answer := awserr.Of(err); {
	case answer.Kind == awserr.Unreachable:
		return s.fault(hostOf(err), err)
	case answer.CredentialsRefused():
		return health.SystemFault(codeCloud, err, "%s refuses the hub's credentials: check the role alias and the hub's clock.", s.name)
	case answer.RightMissing():
		return health.UserFault(codeCloud, err, "%s does not let the hub ask: allow the hub's role %s.", s.name, answer.Permission(permission))
	default:
		return health.SystemFault(codeCloud, err, "%s answers with HTTP status %d %s; the agent keeps trying.", s.name, answer.Status, answer.Name)
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
