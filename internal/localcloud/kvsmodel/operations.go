package kvsmodel

import "strings"

// The errors that operations declare.
const (
	InvalidArgument       = "InvalidArgumentException"
	ClientLimitExceeded   = "ClientLimitExceededException"
	ResourceNotFound      = "ResourceNotFoundException"
	ResourceInUse         = "ResourceInUseException"
	NotAuthorized         = "NotAuthorizedException"
	AccessDenied          = "AccessDeniedException"
	VersionMismatch       = "VersionMismatchException"
	InvalidResourceFormat = "InvalidResourceFormatException"
	TagsExceeded          = "TagsPerResourceExceededLimitException"
	NoDataRetention       = "NoDataRetentionException"
	EdgeConfigMissing     = "StreamEdgeConfigurationNotFoundException"
	accountStreams        = "AccountStreamLimitExceededException"
	deviceStreams         = "DeviceStreamLimitExceededException"
	invalidDevice         = "InvalidDeviceException"
)

// errors returns the list that an operation declares: two errors are declared by all.
func errors(others ...string) []string {
	return append([]string{InvalidArgument, ClientLimitExceeded}, others...)
}

// stream returns the members of a request about one stream.
func stream(others ...Member) []Member {
	return append([]Member{may("StreamName", streamName), may("StreamARN", resourceARN)}, others...)
}

// Operations are those that localcloud has. Source: KVS API reference, Actions.
var Operations = []Operation{
	{"CreateStream", "/createStream", []Member{
		must("StreamName", streamName), may("DeviceName", deviceName), may("MediaType", mediaType), may("KmsKeyId", kmsKeyID),
		may("DataRetentionInHours", dataRetention), may("Tags", resourceTags), may("StreamStorageConfiguration", streamStorage),
	}, errors(accountStreams, deviceStreams, ResourceInUse, invalidDevice, TagsExceeded)},
	{"DescribeStream", "/describeStream", stream(), errors(ResourceNotFound, NotAuthorized)},
	{"ListStreams", "/listStreams", []Member{
		may("MaxResults", listStreamsLimit), may("NextToken", nextToken), may("StreamNameCondition", streamNameCondition),
	}, errors()},
	{"DeleteStream", "/deleteStream", []Member{
		must("StreamARN", resourceARN), may("CurrentVersion", version),
	}, errors(ResourceNotFound, NotAuthorized, VersionMismatch, ResourceInUse)},
	{"UpdateStream", "/updateStream", stream(
		must("CurrentVersion", version), may("DeviceName", deviceName), may("MediaType", mediaType),
	), errors(ResourceNotFound, ResourceInUse, NotAuthorized, VersionMismatch)},
	{"UpdateDataRetention", "/updateDataRetention", stream(
		must("CurrentVersion", version), must("Operation", retentionOperation), must("DataRetentionChangeInHours", dataRetentionChange),
	), errors(ResourceNotFound, ResourceInUse, NotAuthorized, VersionMismatch)},
	{"GetDataEndpoint", "/getDataEndpoint", stream(must("APIName", apiName)), errors(ResourceNotFound, NotAuthorized)},

	{"TagStream", "/tagStream", stream(must("Tags", resourceTags)),
		errors(ResourceNotFound, NotAuthorized, InvalidResourceFormat, TagsExceeded)},
	{"UntagStream", "/untagStream", stream(must("TagKeyList", tagKeyList)), errors(ResourceNotFound, NotAuthorized, InvalidResourceFormat)},
	{"ListTagsForStream", "/listTagsForStream", stream(may("NextToken", nextToken)),
		errors(ResourceNotFound, NotAuthorized, InvalidResourceFormat)},
	{"TagResource", "/TagResource", []Member{must("ResourceARN", resourceARN), must("Tags", tagList)},
		errors(ResourceNotFound, AccessDenied, TagsExceeded)},
	{"UntagResource", "/UntagResource", []Member{must("ResourceARN", resourceARN), must("TagKeyList", tagKeyList)},
		errors(ResourceNotFound, AccessDenied)},
	{"ListTagsForResource", "/ListTagsForResource", []Member{must("ResourceARN", resourceARN), may("NextToken", nextToken)},
		errors(ResourceNotFound, AccessDenied)},

	{"UpdateImageGenerationConfiguration", "/updateImageGenerationConfiguration",
		stream(may("ImageGenerationConfiguration", imageGeneration)), errors(ResourceNotFound, AccessDenied, ResourceInUse, NoDataRetention)},
	{"DescribeImageGenerationConfiguration", "/describeImageGenerationConfiguration", stream(), errors(ResourceNotFound, AccessDenied)},
	{"UpdateNotificationConfiguration", "/updateNotificationConfiguration",
		stream(may("NotificationConfiguration", notification)), errors(ResourceNotFound, AccessDenied, ResourceInUse, NoDataRetention)},
	{"DescribeNotificationConfiguration", "/describeNotificationConfiguration", stream(), errors(ResourceNotFound, AccessDenied)},
	{"UpdateStreamStorageConfiguration", "/updateStreamStorageConfiguration", stream(
		must("CurrentVersion", version), must("StreamStorageConfiguration", streamStorage),
	), errors(ResourceNotFound, AccessDenied, ResourceInUse, VersionMismatch)},
	{"DescribeStreamStorageConfiguration", "/describeStreamStorageConfiguration", stream(), errors(ResourceNotFound, AccessDenied)},

	{"StartEdgeConfigurationUpdate", "/startEdgeConfigurationUpdate", stream(must("EdgeConfig", edgeConfig)),
		errors(ResourceNotFound, AccessDenied, ResourceInUse, NoDataRetention)},
	{"DescribeEdgeConfiguration", "/describeEdgeConfiguration", stream(), errors(ResourceNotFound, AccessDenied, EdgeConfigMissing)},
	{"DeleteEdgeConfiguration", "/deleteEdgeConfiguration", stream(), errors(ResourceNotFound, AccessDenied, EdgeConfigMissing)},
	{"ListEdgeAgentConfigurations", "/listEdgeAgentConfigurations", []Member{
		must("HubDeviceArn", hubDeviceARN), may("MaxResults", listEdgeLimit), may("NextToken", nextToken),
	}, errors(NotAuthorized)},
}

// NotHere are the operations of the service that localcloud does not have: those of WebRTC
// signaling, and what ties its channels to streams.
var NotHere = []string{
	"CreateSignalingChannel", "DeleteSignalingChannel", "DescribeSignalingChannel", "GetSignalingChannelEndpoint",
	"ListSignalingChannels", "UpdateSignalingChannel", "DescribeMappedResourceConfiguration",
	"DescribeMediaStorageConfiguration", "UpdateMediaStorageConfiguration",
}

func lowerCamelPath(name string) string { return "/" + strings.ToLower(name[:1]) + name[1:] }
