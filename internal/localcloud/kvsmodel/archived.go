package kvsmodel

import "github.com/kvs-edge/kvs-edge-agent/internal/localcloud/apimodel"

// The shapes of archived media. Source: KVS API reference, Archived Media: Actions and Data Types.
var (
	listFragmentsLimit = whole("ListFragmentsMaxResults", 1, 1000)
	archivedToken      = text("NextToken", 1, 4096, `[a-zA-Z0-9+/]+={0,2}`)
	timestamp          = apimodel.Of("Timestamp", apimodel.Time)

	fragmentSelector = structure("FragmentSelector",
		must("FragmentSelectorType", oneOf("FragmentSelectorType", "PRODUCER_TIMESTAMP", "SERVER_TIMESTAMP")),
		must("TimestampRange", structure("TimestampRange", must("StartTimestamp", timestamp), must("EndTimestamp", timestamp))))
)

// ListFragments is the one operation of archived media that localcloud has. It belongs to the data plane.
var ListFragments = &Operation{"ListFragments", "/listFragments", stream(
	may("MaxResults", listFragmentsLimit), may("NextToken", archivedToken), may("FragmentSelector", fragmentSelector),
), declared(ResourceNotFound, NotAuthorized)}
