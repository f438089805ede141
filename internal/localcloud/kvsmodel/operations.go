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

	UnsupportedMediaType = "UnsupportedStreamMediaTypeException"
	MissingCodecPrivate  = "MissingCodecPrivateDataException"
	InvalidCodecPrivate  = "InvalidCodecPrivateDataException"
	InvalidMediaFrame    = "InvalidMediaFrameException"
)

// declared returns the list that an operation declares: two errors are declared by all.
func declared(others ...string) []string {
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
	}, declared(accountStreams, deviceStreams, ResourceInUse, invalidDevice, TagsExceeded)},
	{"DescribeStream", "/describeStream", stream(), declared(ResourceNotFound, NotAuthorized)},
	{"ListStreams", "/listStreams", []Member{
		may("MaxResults", listStreamsLimit), may("NextToken", nextToken), may("StreamNameCondition", streamNameCondition),
	}, declared()},
	{"DeleteStream", "/deleteStream", []Member{
		must("StreamARN", resourceARN), may("CurrentVersion", version),
	}, declared(ResourceNotFound, NotAuthorized, VersionMismatch, ResourceInUse)},
	{"UpdateStream", "/updateStream", stream(
		must("CurrentVersion", version), may("DeviceName", deviceName), may("MediaType", mediaType),
	), declared(ResourceNotFound, ResourceInUse, NotAuthorized, VersionMismatch)},
	{"UpdateDataRetention", "/updateDataRetention", stream(
		must("CurrentVersion", version), must("Operation", retentionOperation), must("DataRetentionChangeInHours", dataRetentionChange),
	), declared(ResourceNotFound, ResourceInUse, NotAuthorized, VersionMismatch)},
	{"GetDataEndpoint", "/getDataEndpoint", stream(must("APIName", apiName)), declared(ResourceNotFound, NotAuthorized)},

	{"TagStream", "/tagStream", stream(must("Tags", resourceTags)),
		declared(ResourceNotFound, NotAuthorized, InvalidResourceFormat, TagsExceeded)},
	{"UntagStream", "/untagStream", stream(must("TagKeyList", tagKeyList)), declared(ResourceNotFound, NotAuthorized, InvalidResourceFormat)},
	{"ListTagsForStream", "/listTagsForStream", stream(may("NextToken", nextToken)),
		declared(ResourceNotFound, NotAuthorized, InvalidResourceFormat)},
	{"TagResource", "/TagResource", []Member{must("ResourceARN", resourceARN), must("Tags", tagList)},
		declared(ResourceNotFound, AccessDenied, TagsExceeded)},
	{"UntagResource", "/UntagResource", []Member{must("ResourceARN", resourceARN), must("TagKeyList", tagKeyList)},
		declared(ResourceNotFound, AccessDenied)},
	{"ListTagsForResource", "/ListTagsForResource", []Member{must("ResourceARN", resourceARN), may("NextToken", nextToken)},
		declared(ResourceNotFound, AccessDenied)},

	{"UpdateImageGenerationConfiguration", "/updateImageGenerationConfiguration",
		stream(may("ImageGenerationConfiguration", imageGeneration)), declared(ResourceNotFound, AccessDenied, ResourceInUse, NoDataRetention)},
	{"DescribeImageGenerationConfiguration", "/describeImageGenerationConfiguration", stream(), declared(ResourceNotFound, AccessDenied)},
	{"UpdateNotificationConfiguration", "/updateNotificationConfiguration",
		stream(may("NotificationConfiguration", notification)), declared(ResourceNotFound, AccessDenied, ResourceInUse, NoDataRetention)},
	{"DescribeNotificationConfiguration", "/describeNotificationConfiguration", stream(), declared(ResourceNotFound, AccessDenied)},
	{"UpdateStreamStorageConfiguration", "/updateStreamStorageConfiguration", stream(
		must("CurrentVersion", version), must("StreamStorageConfiguration", streamStorage),
	), declared(ResourceNotFound, AccessDenied, ResourceInUse, VersionMismatch)},
	{"DescribeStreamStorageConfiguration", "/describeStreamStorageConfiguration", stream(), declared(ResourceNotFound, AccessDenied)},

	{"StartEdgeConfigurationUpdate", "/startEdgeConfigurationUpdate", stream(must("EdgeConfig", edgeConfig)),
		declared(ResourceNotFound, AccessDenied, ResourceInUse, NoDataRetention)},
	{"DescribeEdgeConfiguration", "/describeEdgeConfiguration", stream(), declared(ResourceNotFound, AccessDenied, EdgeConfigMissing)},
	{"DeleteEdgeConfiguration", "/deleteEdgeConfiguration", stream(), declared(ResourceNotFound, AccessDenied, EdgeConfigMissing)},
	{"ListEdgeAgentConfigurations", "/listEdgeAgentConfigurations", []Member{
		must("HubDeviceArn", hubDeviceARN), may("MaxResults", listEdgeLimit), may("NextToken", nextToken),
	}, declared(NotAuthorized)},
}

// NotHere are the operations of the service that localcloud does not have: those of WebRTC
// signaling, and what ties its channels to streams.
var NotHere = []string{
	"CreateSignalingChannel", "DeleteSignalingChannel", "DescribeSignalingChannel", "GetSignalingChannelEndpoint",
	"ListSignalingChannels", "UpdateSignalingChannel", "DescribeMappedResourceConfiguration",
	"DescribeMediaStorageConfiguration", "UpdateMediaStorageConfiguration",
}

func lowerCamelPath(name string) string { return "/" + strings.ToLower(name[:1]) + name[1:] }
