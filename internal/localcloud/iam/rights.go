// Package iam owns who may do what: the actions of all services, and the role and the IoT policy of the devices.
package iam

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/account"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
)

// Options of Policies.
type Options struct {
	Home  account.Home
	AsAWS bool // devices have the rights of AWS's guide only
	// Allow are additional rights of the devices, and Deny those that they do not have even if others
	// allow them, as IAM names actions.
	Allow, Deny []string
	// StreamARN finds the ARN of a stream by name or ARN.
	StreamARN func(nameOrARN string) (arn string, found bool)
}

// Policies are those of the account.
type Policies struct{ o Options }

// New returns the policies, or the error of CheckActions.
func New(o Options) (*Policies, error) {
	if err := CheckActions(slices.Concat(o.Allow, o.Deny)); err != nil {
		return nil, err
	}
	return &Policies{o: o}, nil
}

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
// service and the operation or MQTT packet. localcloud has no other
// operations.
// Sources: KVS developer guide, "Kinesis Video Streams Edge Agent", IAM policy and IoT policy;
// Service Authorization Reference; for SiteWise the role
// in the guide of the component aws.iot.EdgeConnectorForKVS; deploy/aws/hubs.yaml is narrower than hubRole.
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
	"iotsitewise:AssociateAssets":                       ownerOnly,
	"iotsitewise:BatchGetAssetPropertyValue":            hubRole,
	"iotsitewise:BatchGetAssetPropertyValueHistory":     hubRole,
	"iotsitewise:BatchPutAssetPropertyValue":            hubRole | guideRole,
	"iotsitewise:CreateAsset":                           ownerOnly,
	"iotsitewise:CreateAssetModel":                      ownerOnly,
	"iotsitewise:DeleteAsset":                           ownerOnly,
	"iotsitewise:DeleteAssetModel":                      ownerOnly,
	"iotsitewise:DescribeAsset":                         hubRole | guideRole,
	"iotsitewise:DescribeAssetModel":                    hubRole | guideRole,
	"iotsitewise:DescribeAssetProperty":                 hubRole | guideRole,
	"iotsitewise:DisassociateAssets":                    ownerOnly,
	"iotsitewise:GetAssetPropertyValue":                 hubRole | guideRole,
	"iotsitewise:GetAssetPropertyValueHistory":          hubRole,
	"iotsitewise:GetInterpolatedAssetPropertyValues":    hubRole,
	"iotsitewise:ListAssetModelProperties":              hubRole,
	"iotsitewise:ListAssetModels":                       hubRole,
	"iotsitewise:ListAssetProperties":                   hubRole,
	"iotsitewise:ListAssets":                            hubRole | guideRole,
	"iotsitewise:ListAssociatedAssets":                  hubRole | guideRole,
	"iotsitewise:ListTagsForResource":                   hubRole,
	"iotsitewise:TagResource":                           ownerOnly,
	"iotsitewise:UntagResource":                         ownerOnly,
	"iotsitewise:UpdateAsset":                           ownerOnly,
	"iotsitewise:UpdateAssetProperty":                   ownerOnly,
	"iottwinmaker:GetEntity":                            ownerOnly,
	"iottwinmaker:GetPropertyValueHistory":              ownerOnly,
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
var iamPrefixes = map[string]string{awsapi.CloudWatch: "cloudwatch", awsapi.IoTData: "iot", awsapi.IoTGateway: "iot",
	awsapi.IoTLegacy: "iot"}

// Action is the name of an action in policies.
func Action(service, operation string) string {
	if prefix, ok := iamPrefixes[service]; ok {
		service = prefix
	}
	return service + ":" + operation
}

// CheckActions reports the members of Options.Allow or Options.Deny that the local cloud does not know as actions. A name may
// contain *, as in a policy.
func CheckActions(patterns []string) error {
	for _, pattern := range patterns {
		known := false
		for action := range rights {
			known = known || matches(pattern, action)
		}
		if !known {
			return fmt.Errorf("%q is not an action that the local cloud knows; actions are named as in IAM, "+
				"kinesisvideo:ListEdgeAgentConfigurations for example", pattern)
		}
	}
	return nil
}

// Actions lists the actions that are known, in order.
func Actions() []string { return slices.Sorted(maps.Keys(rights)) }

// matches compares as IAM does: letters of either case are the same, * stands for anything.
func matches(pattern, action string) bool {
	ok, err := path.Match(strings.ToLower(pattern), strings.ToLower(action))
	return err == nil && ok
}

func (p *Policies) allowsExtra(action string) bool {
	return slices.ContainsFunc(p.o.Allow, func(pattern string) bool { return matches(pattern, action) })
}

// denies reports whether Options.Deny has an action, which takes precedence over all that allows it.
func (p *Policies) denies(action string) bool {
	return slices.ContainsFunc(p.o.Deny, func(pattern string) bool { return matches(pattern, action) })
}

// RoleAllows reports whether the role of the devices has an action.
func (p *Policies) RoleAllows(action string) bool {
	if p.denies(action) {
		return false
	}
	world := hubRole
	if p.o.AsAWS {
		world = guideRole
	}
	return rights[action]&world != 0 || p.allowsExtra(action)
}

// PolicyAllows reports whether the IoT policy of a device's certificate has an action on something
// that is the device's own, or is not.
func (p *Policies) PolicyAllows(action string, own bool) bool {
	if p.denies(action) {
		return false
	}
	if p.o.AsAWS {
		own = true
		if rights[action]&guidePolicy != 0 {
			return true
		}
	} else if own && rights[action]&hubPolicy != 0 {
		return true
	}
	return p.allowsExtra(action)
}

// Caller is who a request comes from: a thing, or the user.
type Caller struct{ Thing string }

// String is what the lines about calls and refusals name.
func (who Caller) String() string {
	if who.Thing == "" {
		return "user"
	}
	return who.Thing
}

// ARN is the Caller's, as STS names it.
func (who Caller) ARN(home account.Home) string {
	if who.Thing == "" {
		return home.Global("iam", "user/local")
	}
	return home.Global("sts", "assumed-role/"+account.RoleAlias+"/"+who.Thing)
}

// Authorize refuses what the Caller's role does not allow.
func (p *Policies) Authorize(who Caller, service, operation, resource string) error {
	action := Action(service, operation)
	_, known := rights[action]
	if who.Thing == "" || !known || p.RoleAllows(action) {
		return nil // what is not known is not here, which the service itself answers
	}
	return p.Denied(who, service, action, resource)
}

// Denied returns the error of an action that no policy allows, as each service words it.
func (p *Policies) Denied(who Caller, service, action, resource string) *awsapi.Error {
	on := ""
	if arn := p.resourceARN(service, resource); arn != "" {
		on = " on resource: " + arn
	}
	e := &awsapi.Error{
		Status: http.StatusForbidden, Name: "AccessDeniedException", Where: "the right " + action,
		Message: fmt.Sprintf("User: %s is not authorized to perform: %s%s because no identity-based policy allows the %s action",
			who.ARN(p.o.Home), action, on, action),
	}
	switch {
	case service == awsapi.SecretsManager:
		e.Status = http.StatusBadRequest // as all errors of JSON 1.1
	case service == awsapi.CloudWatch:
		e.Name = "AccessDenied"
	case service == awsapi.IoTData || service == awsapi.IoTGateway:
		// Source: aws/aws-sdk-js-v3 issue 5562: the message says nothing more.
		e.Name, e.Message = "ForbiddenException", "Forbidden"
	case action == "kinesisvideo:PutMedia":
		e.Name = "" // PutMedia's denials come with the message alone
	}
	return e
}

// resourceARN is how a denial names what a request was about; "" = the service does not.
func (p *Policies) resourceARN(service, resource string) string {
	switch {
	case service == awsapi.SecretsManager && resource != "":
		return resource // as the request named it
	case service == awsapi.SiteWise && strings.HasPrefix(resource, "arn:"):
		return resource
	case service == awsapi.SiteWise:
		return p.o.Home.ARN(service, "asset/"+cmp.Or(resource, "*"))
	case service != awsapi.KVS:
		return ""
	case strings.HasPrefix(resource, "arn:"):
		return resource
	case resource == "":
		return p.o.Home.ARN(awsapi.KVS, "stream/*")
	}
	if arn, ok := p.o.StreamARN(resource); ok {
		return arn
	}
	return p.o.Home.ARN(awsapi.KVS, "stream/"+resource+"/*")
}
