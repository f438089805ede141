package endpoint

import "slices"

// What AWS publishes. Every endpoint of the table is named in one of them: the SDK's endpoint rules alone do not show that
// one exists, as they name a FIPS endpoint for each service in each region.
const (
	sdkEndpoints = "aws-sdk-go-v2, the service's internal/endpoints"
	sdkRules     = "aws-sdk-go-v2, the service's endpoint rules, which name these partitions"
	generalRef   = "AWS General Reference, the service's endpoints"
	producers    = "KVS producer-c, ProducerCallbackProviderApiTest; Developer Guide, Use IPv6 with Kinesis Video Streams"
	iamGuide     = "IAM User Guide, Dual-stack endpoint support"
)

// everywhere is for standard endpoints: their names follow from the region alone.
var everywhere = []string{"*"}

// The regions of the partition aws.
var (
	commercial = []string{
		"af-south-1", "ap-east-1", "ap-east-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-south-2",
		"ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5", "ap-southeast-6", "ap-southeast-7",
		"ca-central-1", "ca-west-1", "eu-central-1", "eu-central-2", "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2",
		"eu-west-3", "il-central-1", "me-central-1", "me-south-1", "mx-central-1", "sa-east-1", "us-east-1", "us-east-2", "us-west-1",
		"us-west-2",
	}
	china         = []string{"cn-north-1", "cn-northwest-1"}
	notCommercial = append(without(china), govCloud...)
	govCloud      = []string{"us-gov-east-1", "us-gov-west-1"}
	unitedStates  = []string{"us-east-1", "us-east-2", "us-west-1", "us-west-2"}
	usAndCanada   = []string{"us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "ca-west-1"}
	isolated      = []string{"us-iso-east-1", "us-iso-west-1", "us-isob-east-1"}
	videoOfGuides = []string{
		"af-south-1", "ap-east-1", "ap-northeast-1", "ap-northeast-2", "ap-south-1", "ap-southeast-1", "ap-southeast-2", "ap-southeast-5",
		"ca-central-1", "eu-central-1", "eu-north-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3", "me-south-1", "sa-east-1",
		"us-east-1", "us-east-2", "us-west-2", "cn-north-1", "cn-northwest-1",
	}
)

var (
	// In GovCloud there are FIPS endpoints only, which everybody uses.
	kinesisVideo = []rule{
		{kinds: []Kind{Standard, FIPS}, label: "kinesisvideo-fips", regions: govCloud, source: sdkEndpoints + "; " + producers},
		{kinds: []Kind{DualStack, FIPSDualStack}, label: "kinesisvideo-fips", regions: govCloud, source: producers},
		{kinds: []Kind{FIPS, DualStack, FIPSDualStack}, label: "kinesisvideo-fips", regions: isolated, source: producers},
		{kinds: []Kind{DualStack}, label: "kinesisvideo", regions: videoOfGuides, source: producers},
		{kinds: []Kind{Standard}, label: "kinesisvideo", regions: everywhere, source: generalRef + "; " + sdkEndpoints},
	}
	// Its standard endpoints, and the FIPS ones, answer over IPv6 too: the SDK's rules name them where dual-stack endpoints
	// are wanted.
	secretsManager = []rule{
		{kinds: []Kind{FIPS, FIPSDualStack}, label: "secretsmanager-fips", regions: append(without(usAndCanada), govCloud...),
			source: sdkEndpoints + "; " + sdkRules, oneName: true},
		{kinds: []Kind{FIPS}, label: "secretsmanager-fips", regions: isolated, source: sdkEndpoints},
		{kinds: []Kind{DualStack}, label: "secretsmanager", regions: append(without(commercial), notCommercial...),
			source: sdkEndpoints + "; " + sdkRules, oneName: true},
		{kinds: []Kind{Standard}, label: "secretsmanager", regions: everywhere, source: generalRef + "; " + sdkEndpoints},
	}
	cloudWatch = []rule{
		{kinds: []Kind{FIPS, FIPSDualStack}, label: "monitoring-fips", regions: unitedStates, source: generalRef + "; " + sdkEndpoints},
		{kinds: []Kind{FIPS, FIPSDualStack, DualStack}, label: "monitoring", regions: govCloud, source: sdkEndpoints + "; " + sdkRules},
		{kinds: []Kind{DualStack}, label: "monitoring", regions: commercial, source: generalRef},
		{kinds: []Kind{Standard}, label: "monitoring", regions: everywhere, source: generalRef + "; " + sdkEndpoints},
	}
	sts = []rule{
		{kinds: []Kind{FIPS}, label: "sts-fips", regions: unitedStates, source: generalRef + "; " + sdkEndpoints},
		{kinds: []Kind{FIPS}, label: "sts", regions: govCloud, source: sdkEndpoints},
		{kinds: []Kind{FIPSDualStack}, label: "sts-fips", regions: usAndCanada, source: iamGuide},
		{kinds: []Kind{DualStack}, label: "sts", regions: append(without(commercial), notCommercial...), source: iamGuide},
		{kinds: []Kind{Standard}, label: "sts", regions: everywhere, source: generalRef + "; " + sdkEndpoints},
	}
)

// siteWise are the endpoints of a plane of AWS IoT SiteWise: api or data.
func siteWise(plane string) []rule {
	return []rule{
		{kinds: []Kind{FIPS}, label: plane + ".iotsitewise-fips", regions: []string{"ca-central-1", "us-east-1", "us-east-2", "us-west-2",
			"us-gov-west-1"}, source: sdkEndpoints},
		{kinds: []Kind{Standard}, label: plane + ".iotsitewise", regions: everywhere, source: generalRef + "; " + sdkEndpoints},
	}
}

// without copies a list but for some of its names.
func without(list []string, names ...string) (rest []string) {
	for _, name := range list {
		if !slices.Contains(names, name) {
			rest = append(rest, name)
		}
	}
	return rest
}
