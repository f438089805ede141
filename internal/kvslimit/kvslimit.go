// Package kvslimit has the limits of Kinesis Video Streams in one place. They are the service's own: an own limit of the
// agent that stays below one is defined where it is used, in terms of that limit and with the reason.
//
// Sources, as the comments name them: "quotas" is the KVS Developer Guide, service quotas, PutMedia;
// "reference" is the KVS API Reference.
package kvslimit

import "time"

// A fragment. Ours is one cluster.
const (
	MinFragment = time.Second      // the shortest (quotas)
	MaxFragment = 20 * time.Second // the longest (quotas)
	// StatedMaxFragment is what the text of the API has as the longest (reference, PutMedia, error 4002).
	StatedMaxFragment = 10 * time.Second
	FragmentBytes     = 50_000_000 // the largest; quotas say 50 MB, which is read as the smaller of the two (quotas)
	Tracks            = 3          // of a stream (quotas)
)

// What one stream may send, and how often it may begin to. Above it the service reads more slowly or refuses.
const (
	FragmentsPerSecond = 5          // (quotas)
	BytesPerSecond     = 12_500_000 // quotas say 12.5 MB/s
	SessionsPerSecond  = 5          // PutMedia calls (quotas)
)

// A session, which is one PutMedia request, and the endpoint that it goes to.
const (
	// SessionAge is when the service ends a session, with 4003 MAX_CONNECTION_DURATION_REACHED (quotas, producer SDK).
	SessionAge = 45 * time.Minute
	// SessionIdle is how long a session may send nothing (reference, PutMedia).
	SessionIdle = 30 * time.Second
	// EndpointAge is how long a data endpoint may be used (quotas, GetDataEndpoint).
	EndpointAge = 45 * time.Minute
)

// The tags of a fragment (quotas, "Streaming metadata").
const (
	Tags          = 10
	TagNameBytes  = 128
	TagValueBytes = 256
	// ReservedTags begins the names of tags that are the service's own.
	ReservedTags = "AWS"
)

// What is stored, as the archived media's ListFragments lists it.
const (
	// ListsPerSecond is how often a stream's fragments may be listed (quotas).
	ListsPerSecond = 5
	// FragmentsPerPage is the most that one answer holds (reference, ListFragments).
	FragmentsPerPage = 1000
)

// The control plane.
const (
	// StreamName is the pattern of a stream's name (reference, CreateStream).
	StreamName = `^[a-zA-Z0-9_.-]{1,256}$`
	// EdgeConfigsPerPage is the most that one answer holds (reference, ListEdgeAgentConfigurations).
	EdgeConfigsPerPage = 10
)

// MessageBytes is the most that the payload of a message of AWS IoT Core may have, by which cloud and hub talk (IoT Core quotas, payload of
// a publication: 128 KB).
const MessageBytes = 128 << 10
