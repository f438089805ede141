package kvsmodel

import "github.com/kvs-edge/kvs-edge-agent/internal/localcloud/apimodel"

// The shapes that requests are made of. Source: KVS API reference, Actions and Data Types.
var (
	streamName = text("StreamName", 1, 256, `[a-zA-Z0-9_.-]+`)
	deviceName = text("DeviceName", 1, 128, `[a-zA-Z0-9_.-]+`)
	mediaType  = text("MediaType", 1, 128, `[\w\-\.\+]+/[\w\-\.\+]+(,[\w\-\.\+]+/[\w\-\.\+]+)*`)
	kmsKeyID   = text("KmsKeyId", 1, 2048, `.+`)
	version    = text("Version", 1, 64, `[a-zA-Z0-9]+`)
	nextToken  = text("NextToken", 0, 1024, `[a-zA-Z0-9+/=]*`)
	tagKey     = text("TagKey", 1, 128, `([\p{L}\p{Z}\p{N}_.:/=+\-@]*)`)
	tagValue   = text("TagValue", 0, 256, `[\p{L}\p{Z}\p{N}_.:/=+\-@]*`)

	resourceARN = text("ResourceARN", 1, 1024, `arn:[a-z\d-]+:kinesisvideo:[a-z0-9-]+:[0-9]+:[a-z]+/[a-zA-Z0-9_.-]+/[0-9]+`)

	dataRetention       = whole("DataRetentionInHours", 0, NoMax)
	dataRetentionChange = whole("DataRetentionChangeInHours", 1, NoMax)
	retentionOperation  = oneOf("UpdateDataRetentionOperation", "INCREASE_DATA_RETENTION", "DECREASE_DATA_RETENTION")

	apiName = oneOf("APIName", "PUT_MEDIA", "GET_MEDIA", "LIST_FRAGMENTS", "GET_MEDIA_FOR_FRAGMENT_LIST",
		"GET_HLS_STREAMING_SESSION_URL", "GET_DASH_STREAMING_SESSION_URL", "GET_CLIP", "GET_IMAGES")

	resourceTags = mapOf("ResourceTags", 1, 50, tagKey, tagValue)
	tagList      = listOf("TagList", 1, 50, structure("Tag", must("Key", tagKey), must("Value", tagValue)))
	tagKeyList   = listOf("TagKeyList", 1, 50, tagKey)

	streamNameCondition = structure("StreamNameCondition",
		may("ComparisonOperator", oneOf("ComparisonOperator", "BEGINS_WITH")),
		may("ComparisonValue", streamName))
	listStreamsLimit = whole("ListStreamsInputLimit", 1, 10_000)
	listEdgeLimit    = whole("ListEdgeAgentConfigurationsInputLimit", 1, 10)

	streamStorage = structure("StreamStorageConfiguration", must("DefaultStorageTier", oneOf("DefaultStorageTier", "HOT", "WARM")))
)

// The configuration of images and notifications.
var (
	configurationStatus = oneOf("ConfigurationStatus", "ENABLED", "DISABLED")
	destinationURI      = text("DestinationUri", 1, 255, `[a-zA-Z_0-9]+:(//)?([^/]+)/?([^*]*)`)
	destinationRegion   = text("DestinationRegion", 9, 14, `[a-z]+(-[a-z]+)?-[a-z]+-[0-9]`)

	formatConfig = mapOf("FormatConfig", 1, 1, oneOf("FormatConfigKey", "JPEGQuality"), text("FormatConfigValue", 0, 256, `[a-zA-Z_0-9]+`))

	imageGeneration = structure("ImageGenerationConfiguration",
		must("Status", configurationStatus),
		must("ImageSelectorType", oneOf("ImageSelectorType", "SERVER_TIMESTAMP", "PRODUCER_TIMESTAMP")),
		must("DestinationConfig", structure("ImageGenerationDestinationConfig",
			must("Uri", destinationURI), must("DestinationRegion", destinationRegion))),
		must("SamplingInterval", whole("SamplingInterval", NoMin, NoMax)),
		must("Format", oneOf("Format", "JPEG", "PNG")),
		may("FormatConfig", formatConfig),
		may("WidthPixels", whole("WidthPixels", 1, 3840)),
		may("HeightPixels", whole("HeightPixels", 1, 2160)))

	notification = structure("NotificationConfiguration",
		must("Status", configurationStatus),
		must("DestinationConfig", structure("NotificationDestinationConfig", must("Uri", destinationURI))))
)

// The configuration of a hub.
var (
	hubDeviceARN = text("HubDeviceArn", 1, 1024, `arn:[a-z\d-]+:iot:[a-z0-9-]+:[0-9]+:thing/[a-zA-Z0-9_.-]+`)
	secretARN    = sensitive(text("MediaUriSecretArn", 20, 2048, `arn:[a-z\d-]+:secretsmanager:[a-z0-9-]+:[0-9]+:secret:[a-zA-Z0-9_.-]+`))

	schedule = structure("ScheduleConfig",
		must("ScheduleExpression", text("ScheduleExpression", 11, 100, `[^\n]{11,100}`)),
		must("DurationInSeconds", whole("DurationInSeconds", 60, 3600)))

	edgeConfig = structure("EdgeConfig",
		must("HubDeviceArn", hubDeviceARN),
		must("RecorderConfig", structure("RecorderConfig",
			must("MediaSourceConfig", structure("MediaSourceConfig",
				must("MediaUriSecretArn", secretARN),
				must("MediaUriType", oneOf("MediaUriType", "RTSP_URI", "FILE_URI")))),
			may("ScheduleConfig", schedule))),
		may("UploaderConfig", structure("UploaderConfig", must("ScheduleConfig", schedule))),
		may("DeletionConfig", structure("DeletionConfig",
			may("EdgeRetentionInHours", whole("EdgeRetentionInHours", 1, 720)),
			may("LocalSizeConfig", structure("LocalSizeConfig",
				may("MaxLocalMediaSizeInMB", whole("MaxLocalMediaSizeInMB", 64, 2_000_000)),
				may("StrategyOnFullSize", oneOf("StrategyOnFullSize", "DELETE_OLDEST_MEDIA", "DENY_NEW_MEDIA")))),
			may("DeleteAfterUpload", apimodel.Of("DeleteAfterUpload", apimodel.Boolean)))))
)
