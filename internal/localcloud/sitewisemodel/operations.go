package sitewisemodel

import "github.com/kvs-edge/kvs-edge-agent/internal/localcloud/apimodel"

// Operations are those that localcloud has. Source: the service model of AWS IoT SiteWise, API version 2019-12-02.
var Operations = []Operation{
	{"CreateAssetModel", "POST", "/asset-models", 202, "api.",
		nil, []apimodel.Member{
			must("assetModelName", name), may("assetModelType", assetModelType), may("assetModelId", uuid),
			may("assetModelExternalId", externalID), may("assetModelDescription", description),
			may("assetModelProperties", assetModelPropertyDefinitions),
			may("assetModelHierarchies", assetModelHierarchyDefinitions),
			may("assetModelCompositeModels", assetModelCompositeModelDefinitions), may("clientToken", clientToken),
			may("tags", tagMap),
		},
		declared(AlreadyExists, ResourceNotFound, LimitExceeded, Conflict)},
	{"DescribeAssetModel", "GET", "/asset-models/{assetModelId}", 200, "api.",
		[]string{"excludeProperties", "assetModelVersion"}, []apimodel.Member{
			must("assetModelId", customID), may("excludeProperties", excludeProperties),
			may("assetModelVersion", assetModelVersionFilter),
		},
		declared(ResourceNotFound)},
	{"DeleteAssetModel", "DELETE", "/asset-models/{assetModelId}", 202, "api.",
		[]string{"clientToken"}, []apimodel.Member{
			must("assetModelId", customID), may("clientToken", clientToken),
		},
		declared(ResourceNotFound, Conflict, preconditionFailed)},
	{"ListAssetModels", "GET", "/asset-models", 200, "api.",
		[]string{"assetModelTypes", "nextToken", "maxResults", "assetModelVersion"}, []apimodel.Member{
			may("assetModelTypes", listAssetModelsTypeFilter), may("nextToken", nextToken), may("maxResults", maxResults),
			may("assetModelVersion", assetModelVersionFilter),
		},
		declared()},
	{"ListAssetModelProperties", "GET", "/asset-models/{assetModelId}/properties", 200, "api.",
		[]string{"nextToken", "maxResults", "filter", "assetModelVersion"}, []apimodel.Member{
			must("assetModelId", customID), may("nextToken", nextToken), may("maxResults", maxResults),
			may("filter", listAssetModelPropertiesFilter), may("assetModelVersion", assetModelVersionFilter),
		},
		declared(ResourceNotFound)},
	{"CreateAsset", "POST", "/assets", 202, "api.",
		nil, []apimodel.Member{
			must("assetName", name), must("assetModelId", customID), may("assetId", uuid), may("assetExternalId", externalID),
			may("clientToken", clientToken), may("tags", tagMap), may("assetDescription", description),
		},
		declared(AlreadyExists, ResourceNotFound, LimitExceeded, Conflict)},
	{"DescribeAsset", "GET", "/assets/{assetId}", 200, "api.",
		[]string{"excludeProperties"}, []apimodel.Member{
			must("assetId", customID), may("excludeProperties", excludeProperties),
		},
		declared(ResourceNotFound)},
	{"UpdateAsset", "PUT", "/assets/{assetId}", 202, "api.",
		nil, []apimodel.Member{
			must("assetId", customID), may("assetExternalId", externalID), must("assetName", name),
			may("clientToken", clientToken), may("assetDescription", description),
		},
		declared(AlreadyExists, ResourceNotFound, Conflict)},
	{"DeleteAsset", "DELETE", "/assets/{assetId}", 202, "api.",
		[]string{"clientToken"}, []apimodel.Member{
			must("assetId", customID), may("clientToken", clientToken),
		},
		declared(ResourceNotFound, Conflict)},
	{"ListAssets", "GET", "/assets", 200, "api.",
		[]string{"nextToken", "maxResults", "assetModelId", "filter"}, []apimodel.Member{
			may("nextToken", nextToken), may("maxResults", maxResults), may("assetModelId", customID),
			may("filter", listAssetsFilter),
		},
		declared(ResourceNotFound)},
	{"AssociateAssets", "POST", "/assets/{assetId}/associate", 200, "api.",
		nil, []apimodel.Member{
			must("assetId", customID), must("hierarchyId", customID), must("childAssetId", customID),
			may("clientToken", clientToken),
		},
		declared(AlreadyExists, ResourceNotFound, LimitExceeded, Conflict)},
	{"DisassociateAssets", "POST", "/assets/{assetId}/disassociate", 200, "api.",
		nil, []apimodel.Member{
			must("assetId", customID), must("hierarchyId", customID), must("childAssetId", customID),
			may("clientToken", clientToken),
		},
		declared(ResourceNotFound, Conflict)},
	{"ListAssociatedAssets", "GET", "/assets/{assetId}/hierarchies", 200, "api.",
		[]string{"hierarchyId", "traversalDirection", "nextToken", "maxResults"}, []apimodel.Member{
			must("assetId", customID), may("hierarchyId", customID), may("traversalDirection", traversalDirection),
			may("nextToken", nextToken), may("maxResults", maxResults),
		},
		declared(ResourceNotFound)},
	{"UpdateAssetProperty", "PUT", "/assets/{assetId}/properties/{propertyId}", 200, "api.",
		nil, []apimodel.Member{
			must("assetId", customID), must("propertyId", customID), may("propertyAlias", propertyAlias),
			may("propertyNotificationState", propertyNotificationState), may("clientToken", clientToken),
			may("propertyUnit", propertyUnit),
		},
		declared(ResourceNotFound, Conflict)},
	{"DescribeAssetProperty", "GET", "/assets/{assetId}/properties/{propertyId}", 200, "api.",
		nil, []apimodel.Member{
			must("assetId", customID), must("propertyId", customID),
		},
		declared(ResourceNotFound)},
	{"ListAssetProperties", "GET", "/assets/{assetId}/properties", 200, "api.",
		[]string{"nextToken", "maxResults", "filter"}, []apimodel.Member{
			must("assetId", customID), may("nextToken", nextToken), may("maxResults", maxResults),
			may("filter", listAssetPropertiesFilter),
		},
		declared(ResourceNotFound)},
	{"TagResource", "POST", "/tags", 200, "api.",
		[]string{"resourceArn"}, []apimodel.Member{
			must("resourceArn", amazonResourceName), must("tags", tagMap),
		},
		declared(ResourceNotFound, Conflict, LimitExceeded, unauthorized, TooManyTags)},
	{"UntagResource", "DELETE", "/tags", 200, "api.",
		[]string{"resourceArn", "tagKeys"}, []apimodel.Member{
			must("resourceArn", amazonResourceName), must("tagKeys", tagKeyList),
		},
		declared(ResourceNotFound, Conflict, LimitExceeded, unauthorized)},
	{"ListTagsForResource", "GET", "/tags", 200, "api.",
		[]string{"resourceArn"}, []apimodel.Member{
			must("resourceArn", amazonResourceName),
		},
		declared(ResourceNotFound, Conflict, LimitExceeded, unauthorized)},
	{"BatchPutAssetPropertyValue", "POST", "/properties", 200, "data.",
		nil, []apimodel.Member{
			may("enablePartialEntryProcessing", booleanValue), must("entries", putAssetPropertyValueEntries),
		},
		declared(ResourceNotFound, LimitExceeded, serviceUnavailable, Conflict)},
	{"GetAssetPropertyValue", "GET", "/properties/latest", 200, "data.",
		[]string{"assetId", "propertyId", "propertyAlias"}, []apimodel.Member{
			may("assetId", uuid), may("propertyId", uuid), may("propertyAlias", assetPropertyAlias),
		},
		declared(ResourceNotFound, serviceUnavailable)},
	{"BatchGetAssetPropertyValue", "POST", "/properties/batch/latest", 200, "data.",
		nil, []apimodel.Member{
			must("entries", batchGetAssetPropertyValueEntries), may("nextToken", nextToken),
		},
		declared(serviceUnavailable)},
	{"GetAssetPropertyValueHistory", "GET", "/properties/history", 200, "data.",
		[]string{
			"assetId", "propertyId", "propertyAlias", "startDate", "endDate", "qualities", "timeOrdering",
			"nextToken", "maxResults",
		}, []apimodel.Member{
			may("assetId", uuid), may("propertyId", uuid), may("propertyAlias", assetPropertyAlias), may("startDate", timestamp),
			may("endDate", timestamp), may("qualities", qualities), may("timeOrdering", timeOrdering), may("nextToken", nextToken),
			may("maxResults", getAssetPropertyValueHistoryMaxResults),
		},
		declared(ResourceNotFound, serviceUnavailable)},
	{"BatchGetAssetPropertyValueHistory", "POST", "/properties/batch/history", 200, "data.",
		nil, []apimodel.Member{
			must("entries", batchGetAssetPropertyValueHistoryEntries), may("nextToken", nextToken),
			may("maxResults", batchGetAssetPropertyValueHistoryMaxResults),
		},
		declared(serviceUnavailable)},
	{"GetInterpolatedAssetPropertyValues", "GET", "/properties/interpolated", 200, "data.",
		[]string{
			"assetId", "propertyId", "propertyAlias", "startTimeInSeconds", "startTimeOffsetInNanos",
			"endTimeInSeconds", "endTimeOffsetInNanos", "quality", "intervalInSeconds", "nextToken",
			"maxResults", "type", "intervalWindowInSeconds",
		}, []apimodel.Member{
			may("assetId", uuid), may("propertyId", uuid), may("propertyAlias", assetPropertyAlias),
			must("startTimeInSeconds", timeInSeconds), may("startTimeOffsetInNanos", offsetInNanos),
			must("endTimeInSeconds", timeInSeconds), may("endTimeOffsetInNanos", offsetInNanos), must("quality", quality),
			must("intervalInSeconds", intervalInSeconds), may("nextToken", nextToken), may("maxResults", maxInterpolatedResults),
			must("type", interpolationType), may("intervalWindowInSeconds", intervalWindowInSeconds),
		},
		declared(ResourceNotFound, serviceUnavailable)},
}
