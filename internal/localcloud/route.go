package localcloud

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/account"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/archivedmedia"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/cloudwatch"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/iam"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/iot"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/secretsmanager"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sigv4"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sitewise"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sts"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/twinmaker"
)

// servicesByScope are the services by their name in the scope of the credentials.
func (c *Cloud) servicesByScope(name string) (awsapi.Service, bool) {
	switch name {
	case awsapi.KVS:
		return c.video(), true
	case awsapi.SecretsManager:
		return c.secrets.API(), true
	case awsapi.CloudWatch:
		return c.metrics.API(), true
	case awsapi.SiteWise:
		return c.sitewise.API(), true
	case awsapi.TwinMaker:
		return twinmaker.API(account.Home(c.o.Region), c.sitewise), true
	case awsapi.STS:
		return sts.API(c.keys), true
	case awsapi.IoT, awsapi.IoTLegacy:
		return named(iot.ControlAPI(iot.Addresses{Data: c.MQTTEndpoint, Credentials: c.CredentialEndpoint}), name), true
	case awsapi.IoTData, awsapi.IoTGateway:
		return named(c.broker.DataAPI(), name), true
	}
	return awsapi.Service{}, false
}

// named is a service that may sign with several names, under the one of the request.
func named(s awsapi.Service, name string) awsapi.Service {
	s.Name = name
	return s
}

// route finds the service of a request. What the protocol shows for certain decides, so that a
// request that was signed for another service is refused as that service's; else the scope of the
// credentials does. Without either it is KVS, whose operations are paths.
func (c *Cloud) route(r *http.Request, body []byte) (awsapi.Service, error) {
	scope := scopeOf(r)
	shown := shownService(r, body)
	if slices.Contains([]string{awsapi.IoT, awsapi.IoTData}, shown) {
		if s, ok := c.servicesByScope(scope); ok && iam.Action(scope, "") == iam.Action(shown, "") {
			return s, nil
		}
	}
	if s, ok := c.servicesByScope(scope); !ok && scope != "" {
		s.Name = scope
		s.Protocol = func(r *http.Request) awsapi.Protocol { return awsapi.OfStranger(scope, r) }
		return s, noService(scope)
	}
	s, _ := c.servicesByScope(cmp.Or(shown, scope, awsapi.KVS))
	return s, nil
}

// strangersOperation is what a request of a service that is not here shows of its operation.
func strangersOperation(r *http.Request, body []byte) string {
	_, target, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	return cmp.Or(target, awsapi.Form(body).Get("Action"), r.Method+" "+r.URL.Path)
}

func noService(name string) error {
	return awsapi.Errorf(http.StatusNotFound, "UnknownService", "the scope of the credentials",
		"localcloud has no service %s; it has kinesisvideo, secretsmanager, monitoring (CloudWatch), sts, "+
			"iot, iotdata, iotsitewise and iottwinmaker", name)
}

// scopeOf is the service that a request is signed for; "" = it is not signed.
func scopeOf(r *http.Request) string {
	a, err := sigv4.Parse(r.Header.Get("Authorization"))
	if err != nil {
		return ""
	}
	return a.Service
}

// shownService is the service whose protocol a request certainly speaks; "" = unknown.
func shownService(r *http.Request, body []byte) string {
	target := r.Header.Get("X-Amz-Target")
	switch {
	case strings.HasPrefix(target, secretsmanager.Target):
		return awsapi.SecretsManager
	case strings.HasPrefix(target, cloudwatch.TargetPrefix), strings.HasPrefix(r.URL.Path, cloudwatch.PathPrefix):
		return awsapi.CloudWatch
	case r.URL.Path == iot.EndpointPath:
		return awsapi.IoT
	case iot.IsData(r.URL.Path):
		return awsapi.IoTData
	case strings.HasPrefix(r.Header.Get("Content-Type"), awsapi.TypeForm):
		return map[string]string{sts.Version: awsapi.STS, cloudwatch.Version: awsapi.CloudWatch}[awsapi.Form(body).Get("Version")]
	}
	if slices.Contains(kvs.Operations(), kvs.OperationOf(r)) || archivedmedia.Has(kvs.OperationOf(r)) {
		return awsapi.KVS
	}
	if sitewise.IsPath(r) {
		return awsapi.SiteWise
	}
	if twinmaker.IsPath(r) {
		return awsapi.TwinMaker
	}
	return ""
}

// callerOf is who has a key.
func callerOf(key sigv4.Identity) iam.Caller { return iam.Caller{Thing: key.Thing} }
