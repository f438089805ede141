package sitewisemodel

import "github.com/kvs-edge/kvs-edge-agent/internal/localcloud/apimodel"

const (
	uuidPattern       = `[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`
	externalIDPattern = `[a-zA-Z0-9_][a-zA-Z_\-0-9.:]*[a-zA-Z0-9_]+`
)

// The shapes that requests are made of, with their constraints. Source: the service model of AWS IoT SiteWise, API version 2019-12-02.
// Its patterns of IDs also exclude the UUID of zeros, which NoID does here.
var (
	name             = text("Name", 1, 256, `[^\x00-\x1F\x7F]+`)
	assetModelType   = oneOf("AssetModelType", "ASSET_MODEL", "COMPONENT_MODEL", "INTERFACE")
	uuid             = text("ID", 36, 36, uuidPattern)
	externalID       = text("ExternalId", 2, 128, externalIDPattern)
	description      = text("Description", 1, 2048, `[^\x00-\x1F\x7F]+`)
	propertyDataType = oneOf("PropertyDataType", "STRING", "INTEGER", "DOUBLE", "BOOLEAN", "STRUCT")
	propertyUnit     = text("PropertyUnit", 1, 256, `[^\x00-\x1F\x7F]+`)
	defaultValue     = text("DefaultValue", noMin, noMax, `[^\x00-\x1F\x7F]+`)
	attribute        = structure("Attribute",
		may("defaultValue", defaultValue),
	)
	forwardingConfigState = oneOf("ForwardingConfigState", "DISABLED", "ENABLED")
	forwardingConfig      = structure("ForwardingConfig",
		must("state", forwardingConfigState),
	)
	measurementProcessingConfig = structure("MeasurementProcessingConfig",
		must("forwardingConfig", forwardingConfig),
	)
	measurement = structure("Measurement",
		may("processingConfig", measurementProcessingConfig),
	)
	expression                    = text("Expression", 0, 1024, ``)
	variableName                  = text("VariableName", 1, 64, `[a-z][a-z0-9_]*`)
	macro                         = text("Macro", 1, 256, `[^\x00-\x1F\x7F]+`)
	assetModelPropertyPathSegment = structure("AssetModelPropertyPathSegment",
		may("id", uuid), may("name", name),
	)
	assetModelPropertyPath = list("AssetModelPropertyPath", noMin, noMax, assetModelPropertyPathSegment)
	variableValue          = structure("VariableValue",
		may("propertyId", macro), may("hierarchyId", macro), may("propertyPath", assetModelPropertyPath),
	)
	expressionVariable = structure("ExpressionVariable",
		must("name", variableName), must("value", variableValue),
	)
	expressionVariables       = list("ExpressionVariables", noMin, noMax, expressionVariable)
	computeLocation           = oneOf("ComputeLocation", "EDGE", "CLOUD")
	transformProcessingConfig = structure("TransformProcessingConfig",
		must("computeLocation", computeLocation), may("forwardingConfig", forwardingConfig),
	)
	transform = structure("Transform",
		must("expression", expression), must("variables", expressionVariables),
		may("processingConfig", transformProcessingConfig),
	)
	interval       = text("Interval", 2, 23, ``)
	offset         = text("Offset", 2, 25, ``)
	tumblingWindow = structure("TumblingWindow",
		must("interval", interval), may("offset", offset),
	)
	metricWindow = structure("MetricWindow",
		may("tumbling", tumblingWindow),
	)
	metricProcessingConfig = structure("MetricProcessingConfig",
		must("computeLocation", computeLocation),
	)
	metric = structure("Metric",
		may("expression", expression), may("variables", expressionVariables), must("window", metricWindow),
		may("processingConfig", metricProcessingConfig),
	)
	propertyType = structure("PropertyType",
		may("attribute", attribute), may("measurement", measurement), may("transform", transform), may("metric", metric),
	)
	assetModelPropertyDefinition = structure("AssetModelPropertyDefinition",
		may("id", uuid), may("externalId", externalID), must("name", name), must("dataType", propertyDataType),
		may("dataTypeSpec", name), may("unit", propertyUnit), must("type", propertyType),
	)
	assetModelPropertyDefinitions = list("AssetModelPropertyDefinitions", noMin, noMax, assetModelPropertyDefinition)
	customID                      = text("CustomID", 13, 139, uuidPattern+`|externalId:`+externalIDPattern)
	assetModelHierarchyDefinition = structure("AssetModelHierarchyDefinition",
		may("id", uuid), may("externalId", externalID), must("name", name), must("childAssetModelId", customID),
	)
	assetModelHierarchyDefinitions     = list("AssetModelHierarchyDefinitions", noMin, noMax, assetModelHierarchyDefinition)
	assetModelCompositeModelDefinition = structure("AssetModelCompositeModelDefinition",
		may("id", uuid), may("externalId", externalID), must("name", name), may("description", description),
		must("type", name), may("properties", assetModelPropertyDefinitions),
	)
	assetModelCompositeModelDefinitions = list("AssetModelCompositeModelDefinitions", noMin, noMax, assetModelCompositeModelDefinition)
	clientToken                         = text("ClientToken", 36, 64, `\S{36,64}`)
	tagKey                              = text("TagKey", 1, 128, ``)
	tagValue                            = text("TagValue", 0, 256, ``)
	tagMap                              = mapping("TagMap", 1, 50, tagKey, tagValue)
	excludeProperties                   = apimodel.Of("ExcludeProperties", apimodel.Boolean)
	assetModelVersionFilter             = text("AssetModelVersionFilter", noMin, noMax, `(LATEST|ACTIVE)`)
	listAssetModelsTypeFilter           = list("ListAssetModelsTypeFilter", noMin, noMax, assetModelType)
	nextToken                           = text("NextToken", 1, 4096, `[A-Za-z0-9+/=]+`)
	maxResults                          = whole("MaxResults", 1, 250)
	listAssetModelPropertiesFilter      = oneOf("ListAssetModelPropertiesFilter", "ALL", "BASE")
	listAssetsFilter                    = oneOf("ListAssetsFilter", "ALL", "TOP_LEVEL")
	traversalDirection                  = oneOf("TraversalDirection", "PARENT", "CHILD")
	propertyAlias                       = text("PropertyAlias", 1, noMax, `[^\x00-\x1F\x7F]+`)
	propertyNotificationState           = oneOf("PropertyNotificationState", "ENABLED", "DISABLED")
	listAssetPropertiesFilter           = oneOf("ListAssetPropertiesFilter", "ALL", "BASE")
	amazonResourceName                  = text("AmazonResourceName", 1, 1011, ``)
	tagKeyList                          = list("TagKeyList", 0, 200, tagKey)
	booleanValue                        = apimodel.Of("BooleanValue", apimodel.Boolean)
	entryID                             = text("EntryId", 1, 64, `[a-zA-Z0-9_-]+`)
	assetPropertyAlias                  = text("AssetPropertyAlias", 1, 2048, `[^\x00-\x1F\x7F]+`)
	propertyValueStringValue            = text("PropertyValueStringValue", noMin, noMax, ``)
	propertyValueIntegerValue           = whole("PropertyValueIntegerValue", noMin, noMax)
	propertyValueDoubleValue            = apimodel.Of("PropertyValueDoubleValue", apimodel.Double)
	propertyValueBooleanValue           = apimodel.Of("PropertyValueBooleanValue", apimodel.Boolean)
	rawValueType                        = oneOf("RawValueType", "D", "B", "S", "I", "U")
	propertyValueNullValue              = structure("PropertyValueNullValue",
		must("valueType", rawValueType),
	)
	variant = structure("Variant",
		may("stringValue", propertyValueStringValue), may("integerValue", propertyValueIntegerValue),
		may("doubleValue", propertyValueDoubleValue), may("booleanValue", propertyValueBooleanValue),
		may("nullValue", propertyValueNullValue),
	)
	timeInSeconds = long("TimeInSeconds", 1, 9223372036854774)
	offsetInNanos = whole("OffsetInNanos", 0, 999999999)
	timeInNanos   = structure("TimeInNanos",
		must("timeInSeconds", timeInSeconds), may("offsetInNanos", offsetInNanos),
	)
	quality            = oneOf("Quality", "GOOD", "BAD", "UNCERTAIN")
	assetPropertyValue = structure("AssetPropertyValue",
		must("value", variant), must("timestamp", timeInNanos), may("quality", quality),
	)
	assetPropertyValues        = list("AssetPropertyValues", noMin, noMax, assetPropertyValue)
	putAssetPropertyValueEntry = structure("PutAssetPropertyValueEntry",
		must("entryId", entryID), may("assetId", uuid), may("propertyId", uuid), may("propertyAlias", assetPropertyAlias),
		must("propertyValues", assetPropertyValues),
	)
	putAssetPropertyValueEntries    = list("PutAssetPropertyValueEntries", noMin, noMax, putAssetPropertyValueEntry)
	batchGetAssetPropertyValueEntry = structure("BatchGetAssetPropertyValueEntry",
		must("entryId", entryID), may("assetId", uuid), may("propertyId", uuid), may("propertyAlias", assetPropertyAlias),
	)
	batchGetAssetPropertyValueEntries      = list("BatchGetAssetPropertyValueEntries", noMin, noMax, batchGetAssetPropertyValueEntry)
	timestamp                              = apimodel.Of("Timestamp", apimodel.Time)
	qualities                              = list("Qualities", 1, 1, quality)
	timeOrdering                           = oneOf("TimeOrdering", "ASCENDING", "DESCENDING")
	getAssetPropertyValueHistoryMaxResults = whole("GetAssetPropertyValueHistoryMaxResults", 1, noMax)
	batchGetAssetPropertyValueHistoryEntry = structure("BatchGetAssetPropertyValueHistoryEntry",
		must("entryId", entryID), may("assetId", uuid), may("propertyId", uuid), may("propertyAlias", assetPropertyAlias),
		may("startDate", timestamp), may("endDate", timestamp), may("qualities", qualities), may("timeOrdering", timeOrdering),
	)
	batchGetAssetPropertyValueHistoryEntries = list("BatchGetAssetPropertyValueHistoryEntries", noMin, noMax,
		batchGetAssetPropertyValueHistoryEntry)
	batchGetAssetPropertyValueHistoryMaxResults = whole("BatchGetAssetPropertyValueHistoryMaxResults", 1, noMax)
	intervalInSeconds                           = long("IntervalInSeconds", 1, 320000000)
	maxInterpolatedResults                      = whole("MaxInterpolatedResults", 1, noMax)
	interpolationType                           = text("InterpolationType", 1, 256, ``)
	intervalWindowInSeconds                     = long("IntervalWindowInSeconds", 1, 320000000)
)
