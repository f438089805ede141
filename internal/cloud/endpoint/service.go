// Package endpoint owns which hosts of AWS the agent speaks to: one table with a row for each service, and the rules by
// which dual-stack endpoints, FIPS endpoints and those that the operator names are chosen, alike for all of them. It must
// not speak to any of them.
package endpoint

import (
	"slices"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/arn"
)

// Kind is a kind of endpoint.
type Kind int

// The kinds.
const (
	Standard Kind = iota
	DualStack
	FIPS
	FIPSDualStack
)

// String is the name of the kind, for sentences.
func (k Kind) String() string {
	return [...]string{"standard", "dual-stack", "FIPS", "FIPS dual-stack"}[k]
}

// Service is a row of the table.
type Service struct {
	Name string // for sentences
	// ID is the service's in the SDKs, from which the variable and the section in the SDK's file are named. Empty where
	// the host is not chosen but given: by a setting of the agent, or by an answer.
	ID string
	// Variable names the host, or says who does.
	Variable string
	fips     string // the labels in front of the region in the name of a FIPS endpoint: kinesisvideo-fips
	rules    []rule
}

// rule says how the endpoints of some kinds are named in some regions.
type rule struct {
	kinds   []Kind
	label   string   // in front of the region
	regions []string // names, or beginnings of names with a * behind them
	source  string   // what AWS publishes about it
	// oneName says that the standard suffix is that of dual-stack endpoints as well.
	oneName bool
}

// The services whose hosts the agent chooses.
var (
	KinesisVideo = &Service{Name: "Kinesis Video Streams", ID: "Kinesis Video", Variable: prefix + "_KINESIS_VIDEO",
		fips: "kinesisvideo-fips", rules: kinesisVideo}
	SecretsManager = &Service{Name: "Secrets Manager", ID: "Secrets Manager", Variable: prefix + "_SECRETS_MANAGER",
		fips: "secretsmanager-fips", rules: secretsManager}
	CloudWatch = &Service{Name: "CloudWatch", ID: "CloudWatch", Variable: prefix + "_CLOUDWATCH",
		fips: "monitoring-fips", rules: cloudWatch}
	STS = &Service{Name: "STS", ID: "STS", Variable: prefix + "_STS", fips: "sts-fips", rules: sts}
	// SiteWise has a host for each of its planes: the SDK, which puts their names before one host, must not do so.
	SiteWise = &Service{Name: "AWS IoT SiteWise", ID: "IoTSiteWise", Variable: prefix + "_IOTSITEWISE",
		fips: "api.iotsitewise-fips", rules: siteWise("api")}
	SiteWiseData = &Service{Name: "AWS IoT SiteWise (data)", ID: "IoTSiteWise", Variable: prefix + "_IOTSITEWISE",
		fips: "data.iotsitewise-fips", rules: siteWise("data")}
)

// The services whose hosts are given. Their names are never changed.
var (
	// Media is where GetDataEndpoint sends the media of a stream.
	Media = &Service{Name: "Kinesis Video Streams (media)", Variable: "GetDataEndpoint", fips: "kinesisvideo-fips"}
	// IoTCredentials and IoTData are particular to an account.
	// Source: AWS IoT Core Developer Guide, "Connect to AWS IoT FIPS endpoints"; API, DescribeEndpoint.
	IoTCredentials = &Service{Name: "AWS IoT (credentials)", Variable: "AWS_IOT_CORE_CREDENTIAL_ENDPOINT", fips: "credentials.iot-fips"}
	IoTData        = &Service{Name: "AWS IoT (MQTT)", Variable: "AWS_IOT_CORE_DATA_ATS_ENDPOINT", fips: "iot-fips"}
)

// Services lists those whose hosts are chosen.
func Services() []*Service {
	return []*Service{KinesisVideo, SecretsManager, STS, CloudWatch, SiteWise, SiteWiseData}
}

// host returns the service's host of a kind in a region, "" when there is none that is known.
func (s *Service) host(kind Kind, region string) string {
	partition := arn.PartitionOf(region)
	for _, r := range s.rules {
		if slices.Contains(r.kinds, kind) && r.in(region) {
			suffix := partition.Suffix
			if (kind == DualStack || kind == FIPSDualStack) && !r.oneName {
				suffix = partition.DualStack
			}
			return r.label + "." + region + "." + suffix
		}
	}
	return ""
}

func (r rule) in(region string) bool {
	return slices.ContainsFunc(r.regions, func(name string) bool {
		start, all := strings.CutSuffix(name, "*")
		return name == region || all && strings.HasPrefix(region, start)
	})
}

// isFIPS reports whether a host is a FIPS endpoint of the service: by the form of its name, with something in front for
// an account or a VPC endpoint, or as one that the table has.
func (s *Service) isFIPS(host string) bool {
	labels, region := split(host)
	if region == "" {
		return false
	}
	named := labels == s.fips || strings.HasSuffix(labels, "."+s.fips)
	return named && !(s == IoTData && strings.HasSuffix(labels, IoTCredentials.fips)) ||
		host == s.host(FIPS, region) || host == s.host(FIPSDualStack, region)
}

// split takes the name of a host of AWS apart: what is in front of its region, and the region, "" when it has none. Of
// labels and region a suffix follows that hosts of the region's partition have, public ones or those in a VPC.
func split(host string) (labels, region string) {
	for _, p := range arn.Partitions() {
		for _, suffix := range []string{p.Suffix, p.DualStack, "vpce." + p.Suffix} {
			name, ok := strings.CutSuffix(host, "."+suffix)
			at := strings.LastIndexByte(name, '.')
			if ok && at > 0 && strings.Contains(name[at:], "-") && arn.PartitionOf(name[at+1:]).ID == p.ID {
				return name[:at], name[at+1:]
			}
		}
	}
	return "", ""
}
