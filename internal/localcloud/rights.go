package localcloud

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
)

// grant says who may perform an action beside the owner of the account, who may do everything.
type grant uint8

const (
	hubRole     grant = 1 << iota // the role of the devices, in our contract
	guideRole                     // the role of AWS's guide
	hubPolicy                     // the IoT policy of our contract: a device's own client ids and topics only
	guidePolicy                   // the IoT policy of AWS's guide: all clients and topics
	ownerOnly   grant = 0
)

// rights lists the actions of all services, as IAM and IoT policies name them: the prefix of the
// service and the operation or MQTT packet. What is missing here is no operation
// of localcloud.
// Sources: KVS developer guide, "Kinesis Video Streams Edge Agent", IAM policy and IoT policy;
// Service Authorization Reference; deploy/aws/hubs.yaml is narrower than hubRole.
var rights = map[string]grant{
	"kinesisvideo:CreateStream":                         ownerOnly,
	"kinesisvideo:DeleteEdgeConfiguration":              ownerOnly,
	"kinesisvideo:DeleteStream":                         ownerOnly,
	"kinesisvideo:DescribeEdgeConfiguration":            hubRole,
	"kinesisvideo:DescribeImageGenerationConfiguration": hubRole,
	"kinesisvideo:DescribeNotificationConfiguration":    hubRole,
	"kinesisvideo:DescribeStream":                       hubRole | guideRole,
	"kinesisvideo:DescribeStreamStorageConfiguration":   hubRole,
	"kinesisvideo:GetClip":                              hubRole,
	"kinesisvideo:GetDASHStreamingSessionURL":           hubRole,
	"kinesisvideo:GetDataEndpoint":                      hubRole | guideRole,
	"kinesisvideo:GetHLSStreamingSessionURL":            hubRole,
	"kinesisvideo:GetImages":                            hubRole,
	"kinesisvideo:GetMedia":                             hubRole,
	"kinesisvideo:GetMediaForFragmentList":              hubRole,
	"kinesisvideo:ListEdgeAgentConfigurations":          hubRole,
	"kinesisvideo:ListFragments":                        hubRole,
	"kinesisvideo:ListStreams":                          hubRole | guideRole,
	"kinesisvideo:ListTagsForResource":                  hubRole,
	"kinesisvideo:ListTagsForStream":                    hubRole,
	"kinesisvideo:PutMedia":                             hubRole | guideRole,
	"kinesisvideo:StartEdgeConfigurationUpdate":         ownerOnly,
	"kinesisvideo:TagResource":                          ownerOnly,
	"kinesisvideo:TagStream":                            hubRole | guideRole,
	"kinesisvideo:UntagResource":                        ownerOnly,
	"kinesisvideo:UntagStream":                          ownerOnly,
	"kinesisvideo:UpdateDataRetention":                  ownerOnly,
	"kinesisvideo:UpdateImageGenerationConfiguration":   ownerOnly,
	"kinesisvideo:UpdateNotificationConfiguration":      ownerOnly,
	"kinesisvideo:UpdateStream":                         ownerOnly,
	"kinesisvideo:UpdateStreamStorageConfiguration":     ownerOnly,
	"secretsmanager:CreateSecret":                       ownerOnly,
	"secretsmanager:DeleteSecret":                       ownerOnly,
	"secretsmanager:DescribeSecret":                     hubRole,
	"secretsmanager:GetSecretValue":                     hubRole | guideRole,
	"secretsmanager:ListSecrets":                        hubRole,
	"secretsmanager:PutSecretValue":                     ownerOnly,
	"secretsmanager:RestoreSecret":                      ownerOnly,
	"secretsmanager:UpdateSecret":                       ownerOnly,
	"cloudwatch:GetMetricStatistics":                    hubRole,
	"cloudwatch:ListMetrics":                            hubRole,
	"cloudwatch:PutMetricData":                          hubRole | guideRole,
	"sts:GetCallerIdentity":                             hubRole | guideRole, // which no policy can take away
	"iot:AssumeRoleWithCertificate":                     hubPolicy | guidePolicy,
	"iot:Connect":                                       hubPolicy | guidePolicy | guideRole,
	"iot:DescribeEndpoint":                              guideRole,
	"iot:GetRetainedMessage":                            guideRole,
	"iot:ListRetainedMessages":                          guideRole,
	"iot:Publish":                                       hubPolicy | guidePolicy | guideRole,
	"iot:Receive":                                       hubPolicy | guidePolicy | guideRole,
	"iot:RetainPublish":                                 hubPolicy | guideRole, // guideRole has iot:*, the guide's IoT policy lacks it
	"iot:Subscribe":                                     hubPolicy | guidePolicy | guideRole,
}

// iamPrefixes are the prefixes of actions where they differ from the name in signatures.
var iamPrefixes = map[string]string{serviceCloudWatch: "cloudwatch", serviceIoTData: "iot", serviceIoTGateway: "iot",
	serviceIoTLegacy: "iot"}

func actionOf(service, operation string) string {
	if prefix, ok := iamPrefixes[service]; ok {
		service = prefix
	}
	return service + ":" + operation
}

// CheckAllow reports what of Options.Allow is no action that the local cloud knows. A name may
// contain *, as in a policy.
func CheckAllow(allow []string) error {
	for _, pattern := range allow {
		known := false
		for action := range rights {
			known = known || matches(pattern, action)
		}
		if !known {
			return fmt.Errorf("%q is no action that the local cloud knows; actions are named as in IAM, "+
				"kinesisvideo:ListEdgeAgentConfigurations for example", pattern)
		}
	}
	return nil
}

// matches compares as IAM does: letters of either case are the same, * stands for anything.
func matches(pattern, action string) bool {
	ok, err := path.Match(strings.ToLower(pattern), strings.ToLower(action))
	return err == nil && ok
}

func (c *Cloud) allowsExtra(action string) bool {
	return slices.ContainsFunc(c.o.Allow, func(pattern string) bool { return matches(pattern, action) })
}

// denies reports whether Options.Deny has an action, which takes precedence over all that allows it.
func (c *Cloud) denies(action string) bool {
	return slices.ContainsFunc(c.o.Deny, func(pattern string) bool { return matches(pattern, action) })
}

// roleAllows reports whether the role of the devices has an action.
func (c *Cloud) roleAllows(action string) bool {
	if c.denies(action) {
		return false
	}
	world := hubRole
	if c.o.AsAWS {
		world = guideRole
	}
	return rights[action]&world != 0 || c.allowsExtra(action)
}

// policyAllows reports whether the IoT policy of a device's certificate has an action on something
// that is the device's own, or is not.
func (c *Cloud) policyAllows(action string, own bool) bool {
	if c.denies(action) {
		return false
	}
	if c.o.AsAWS {
		own = true
		if rights[action]&guidePolicy != 0 {
			return true
		}
	} else if own && rights[action]&hubPolicy != 0 {
		return true
	}
	return c.allowsExtra(action)
}

// caller is who a request comes from: a thing, or the user.
type caller struct{ Thing string }

// String is what the lines about calls and refusals name.
func (who caller) String() string {
	if who.Thing == "" {
		return "user"
	}
	return who.Thing
}

// arn is the caller's, as STS names it.
func (who caller) arn() string {
	if who.Thing == "" {
		return fmt.Sprintf("arn:aws:iam::%s:user/local", Account)
	}
	return fmt.Sprintf("arn:aws:sts::%s:assumed-role/%s/%s", Account, RoleAlias, who.Thing)
}

// authorize refuses what the caller's role does not allow.
func (c *Cloud) authorize(who caller, service, operation, resource string) error {
	action := actionOf(service, operation)
	_, known := rights[action]
	if who.Thing == "" || !known || c.roleAllows(action) {
		return nil // what is not known is not here, which the service itself answers
	}
	return c.denied(who, service, action, resource)
}

// authorizeMedia is authorize for the data plane, whose operations are paths. A stream that the
// headers do not name is in the body.
func (c *Cloud) authorizeMedia(r *http.Request, who caller) error {
	e := callOf(r.Context())
	e.caller = who.String()
	if e.operation != "PutMedia" && e.resource == "" {
		body, err := readSigned(r)
		if err != nil {
			return err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		e.resource = kvsResource(r, body)
	}
	return c.authorize(who, serviceKVS, e.operation, e.resource)
}

// denied is the error of an action that no policy allows, as each service words it.
func (c *Cloud) denied(who caller, service, action, resource string) *media.HTTPError {
	on := ""
	if arn := c.resourceARN(service, resource); arn != "" {
		on = " on resource: " + arn
	}
	e := &media.HTTPError{
		Status: http.StatusForbidden, Name: "AccessDeniedException", Where: "the right " + action,
		Message: fmt.Sprintf("User: %s is not authorized to perform: %s%s because no identity-based policy allows the %s action", who.arn(),
			action, on, action),
	}
	switch {
	case service == serviceSecrets:
		e.Status = http.StatusBadRequest // as all errors of JSON 1.1
	case service == serviceCloudWatch:
		e.Name = "AccessDenied"
	case service == serviceIoTData || service == serviceIoTGateway:
		// Source: aws/aws-sdk-js-v3 issue 5562: the message says nothing more.
		e.Name, e.Message = "ForbiddenException", "Forbidden"
	case action == "kinesisvideo:PutMedia":
		e.Name = "" // PutMedia's denials come with the message alone
	}
	return e
}

// resourceARN is how a denial names what a request was about; "" = the service does not.
func (c *Cloud) resourceARN(service, resource string) string {
	switch {
	case service == serviceSecrets && resource != "":
		return resource // as the request named it
	case service != serviceKVS:
		return ""
	case strings.HasPrefix(resource, "arn:"):
		return resource
	case resource == "":
		return fmt.Sprintf("arn:aws:kinesisvideo:%s:%s:stream/*", Region, Account)
	}
	if info, ok := (lookup{c}).Stream(resource); ok {
		return info.ARN
	}
	return fmt.Sprintf("arn:aws:kinesisvideo:%s:%s:stream/%s/*", Region, Account, resource)
}
