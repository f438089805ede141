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

// The ways of playing.
var (
	expires = whole("Expires", 300, 43200)

	hlsSelector = structure("HLSFragmentSelector",
		may("FragmentSelectorType", oneOf("HLSFragmentSelectorType", "PRODUCER_TIMESTAMP", "SERVER_TIMESTAMP")),
		may("TimestampRange", structure("HLSTimestampRange", may("StartTimestamp", timestamp), may("EndTimestamp", timestamp))))

	dashSelector = structure("DASHFragmentSelector",
		may("FragmentSelectorType", oneOf("DASHFragmentSelectorType", "PRODUCER_TIMESTAMP", "SERVER_TIMESTAMP")),
		may("TimestampRange", structure("DASHTimestampRange", may("StartTimestamp", timestamp), may("EndTimestamp", timestamp))))
)

// The ways of reading.
var (
	clipSelector = structure("ClipFragmentSelector",
		must("FragmentSelectorType", oneOf("ClipFragmentSelectorType", "PRODUCER_TIMESTAMP", "SERVER_TIMESTAMP")),
		must("TimestampRange", structure("ClipTimestampRange", must("StartTimestamp", timestamp), must("EndTimestamp", timestamp))))
	fragmentNumbers = listOf("FragmentNumberList", 1, 1000, text("FragmentNumberString", 1, 128, `[0-9]+`))
)

// The operations of archived media that localcloud has. They belong to the data plane.
var (
	ListFragments = &Operation{"ListFragments", "/listFragments", stream(
		may("MaxResults", listFragmentsLimit), may("NextToken", archivedToken), may("FragmentSelector", fragmentSelector),
	), declared(ResourceNotFound, NotAuthorized)}

	GetHLSStreamingSessionURL = &Operation{"GetHLSStreamingSessionURL", "/getHLSStreamingSessionURL", stream(
		may("PlaybackMode", oneOf("HLSPlaybackMode", "LIVE", "LIVE_REPLAY", "ON_DEMAND")),
		may("HLSFragmentSelector", hlsSelector),
		may("ContainerFormat", oneOf("ContainerFormat", "FRAGMENTED_MP4", "MPEG_TS")),
		may("DiscontinuityMode", oneOf("HLSDiscontinuityMode", "ALWAYS", "NEVER", "ON_DISCONTINUITY")),
		may("DisplayFragmentTimestamp", oneOf("HLSDisplayFragmentTimestamp", "ALWAYS", "NEVER")),
		may("Expires", expires),
		may("MaxMediaPlaylistFragmentResults", whole("HLSMaxResults", 1, 5000)),
	), declared(ResourceNotFound, NotAuthorized, UnsupportedMediaType, NoDataRetention, MissingCodecPrivate, InvalidCodecPrivate)}

	GetDASHStreamingSessionURL = &Operation{"GetDASHStreamingSessionURL", "/getDASHStreamingSessionURL", stream(
		may("PlaybackMode", oneOf("DASHPlaybackMode", "LIVE", "LIVE_REPLAY", "ON_DEMAND")),
		may("DisplayFragmentTimestamp", oneOf("DASHDisplayFragmentTimestamp", "ALWAYS", "NEVER")),
		may("DisplayFragmentNumber", oneOf("DASHDisplayFragmentNumber", "ALWAYS", "NEVER")),
		may("DASHFragmentSelector", dashSelector),
		may("Expires", expires),
		may("MaxManifestFragmentResults", whole("DASHMaxResults", 1, 5000)),
	), declared(ResourceNotFound, NotAuthorized, UnsupportedMediaType, NoDataRetention, MissingCodecPrivate, InvalidCodecPrivate)}

	GetClip = &Operation{"GetClip", "/getClip", stream(must("ClipFragmentSelector", clipSelector)), declared(ResourceNotFound,
		NotAuthorized, UnsupportedMediaType, NoDataRetention, MissingCodecPrivate, InvalidCodecPrivate, InvalidMediaFrame)}

	GetImages = &Operation{"GetImages", "/getImages", stream(
		must("ImageSelectorType", oneOf("ImageSelectorType", "PRODUCER_TIMESTAMP", "SERVER_TIMESTAMP")),
		must("StartTimestamp", timestamp), must("EndTimestamp", timestamp),
		must("SamplingInterval", whole("SamplingInterval", NoMin, NoMax)), // in newer models it may be left out and has no documented default
		must("Format", oneOf("Format", "JPEG", "PNG")),
		may("FormatConfig", formatConfig),
		may("WidthPixels", whole("WidthPixels", 1, 3840)),
		may("HeightPixels", whole("HeightPixels", 1, 2160)),
		may("MaxResults", whole("GetImagesMaxResults", 1, 100)),
		may("NextToken", archivedToken),
	), declared(ResourceNotFound, NotAuthorized, NoDataRetention)}

	GetMediaForFragmentList = &Operation{"GetMediaForFragmentList", "/getMediaForFragmentList", stream(must("Fragments", fragmentNumbers)),
		declared(ResourceNotFound, NotAuthorized)}
)

// Archived are the operations of archived media that localcloud has.
var Archived = []*Operation{
	ListFragments, GetHLSStreamingSessionURL, GetDASHStreamingSessionURL, GetClip, GetMediaForFragmentList, GetImages,
}
