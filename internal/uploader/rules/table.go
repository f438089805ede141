package rules

// AdviceNetwork is what to do when the service is not reached, or the connection breaks.
const AdviceNetwork = "Check the hub's internet connection, DNS, proxy and firewall (port 443)."

const (
	causeTimeout = "the service or a proxy waited too long for the request"
	adviceWait   = "The agent keeps trying; nothing needs to be done unless it lasts."
	adviceKept   = "The fragment stays on the hub; the recording around it is uploaded."
	adviceAccess = "Allow the hub's role kinesisvideo:PutMedia, GetDataEndpoint and DescribeStream on the stream."
	adviceKeyUse = "Allow the hub's role kms:GenerateDataKey with the stream's KMS key; the media is kept and uploaded then."
	adviceKey    = "Correct the stream's KMS key; the media is kept and uploaded then."
	adviceTrust  = "Check AWS_CA_BUNDLE, whether a proxy intercepts TLS, and the hub's clock."
	adviceReport = "Please report it with the agent's log."
)

// tooLong is the id of the ERROR for a fragment that lasts longer than the service allows.
const tooLong = 4002

// tooShort is the name of the ERROR for a fragment that lasts less than the service demands; its id is not documented.
const tooShort = "MIN_FRAGMENT_DURATION_REACHED"

// ackRules are for ERROR acknowledgements (API reference, PutMedia; the retry rules of AWS's C
// producer, but for refused fragments, which stay on the hub).
var ackRules = []Rule{
	{
		ID: 4000, Name: "STREAM_READ_ERROR", Action: RetryNow, Fragment: true, Line: true,
		Cause: "the service could not read what was sent", Advice: adviceWait,
	},
	{
		ID: 4001, Name: "MAX_FRAGMENT_SIZE_REACHED", Action: Refuse, Split: true,
		Cause: "a fragment has more than 50 MB", Advice: "Lower the camera's bitrate or its key frame interval. " + adviceKept,
	},
	{
		ID: tooLong, Name: "MAX_FRAGMENT_DURATION_REACHED", Action: Refuse, Split: true,
		Cause:  "a fragment lasts longer than the service allows",
		Advice: "Set the camera's key frame interval to 10 s or less. " + adviceKept,
	},
	{ID: 4003, Name: "MAX_CONNECTION_DURATION_REACHED", Action: RetryNow, Cause: "the session became too old", Advice: adviceWait},
	{
		ID: 4004, Name: "FRAGMENT_TIMECODE_LESSER_THAN_PREVIOUS", Action: Refuse,
		Cause: "a fragment is not later than the previous one", Advice: adviceKept,
	},
	{
		ID: 4005, Name: "MORE_THAN_ALLOWED_TRACKS_FOUND", Action: Refuse,
		Cause: "a fragment has more tracks than the service allows", Advice: adviceKept,
	},
	{
		ID: 4006, Name: "INVALID_MKV_DATA", Action: Refuse, Tags: true,
		Cause: "the service cannot parse a fragment", Advice: adviceKept + " " + adviceReport,
	},
	{
		ID: 4007, Name: "INVALID_PRODUCER_TIMESTAMP", Action: Refuse,
		Cause: "the service does not accept a fragment's time", Advice: "Check the hub's clock. " + adviceKept,
	},
	{
		ID: 4008, Name: "STREAM_NOT_ACTIVE", Action: AskUser,
		Cause:  "the stream is not active",
		Advice: "Check that the stream exists and is not being deleted; the media is kept until then.",
	},
	{
		ID: 4009, Name: "FRAGMENT_METADATA_LIMIT_REACHED", Action: Refuse, Tags: true,
		Cause: "a fragment has too many tags", Advice: adviceKept,
	},
	{
		ID: 4010, Name: "TRACK_NUMBER_MISMATCH", Action: Refuse,
		Cause: "a fragment has frames of an unknown track", Advice: adviceKept + " " + adviceReport,
	},
	{
		ID: 4011, Name: "FRAMES_MISSING_FOR_TRACK", Action: Refuse,
		Cause: "a fragment has no frame of one of its tracks", Advice: adviceKept,
	},
	{
		ID: 4012, Name: "INVALID_FRAGMENT_METADATA", Action: Refuse, Tags: true,
		Cause: "the service does not accept a fragment's tags", Advice: adviceKept,
	},
	{ID: 4500, Name: "KMS_KEY_ACCESS_DENIED", Action: AskUser, Cause: "the stream's KMS key may not be used", Advice: adviceKeyUse},
	{ID: 4501, Name: "KMS_KEY_DISABLED", Action: AskUser, Cause: "the stream's KMS key is disabled", Advice: adviceKey},
	{ID: 4502, Name: "KMS_KEY_VALIDATION_ERROR", Action: AskUser, Cause: "the stream's KMS key is not valid", Advice: adviceKey},
	{
		ID: 4503, Name: "KMS_KEY_UNAVAILABLE", Action: BackOff,
		Cause:  "the stream's KMS key is not available",
		Advice: "It may resolve itself; if it lasts, check the key. The media is kept.",
	},
	{
		ID: 4504, Name: "KMS_KEY_INVALID_USAGE", Action: AskUser,
		Cause: "the stream's KMS key is not for encryption", Advice: adviceKey,
	},
	{
		ID: 4505, Name: "KMS_KEY_INVALID_STATE", Action: AskUser,
		Cause: "the stream's KMS key is not in a usable state", Advice: adviceKey,
	},
	{ID: 4506, Name: "KMS_KEY_NOT_FOUND", Action: AskUser, Cause: "the stream's KMS key does not exist", Advice: adviceKey},
	{
		ID: 4507, Name: "STREAM_DELETED", Action: AskUser,
		Cause: "the stream was deleted", Advice: "Create it again; the media is kept until then.",
	},
	{
		ID: 5000, Name: "INTERNAL_ERROR", Action: BackOff, Fragment: true,
		Cause: "the service had an internal error", Advice: adviceWait,
	},
	{
		ID: 5001, Name: "ARCHIVAL_ERROR", Action: BackOff, Fragment: true,
		Cause: "the service could not store a fragment", Advice: adviceWait,
	},
	// No id is documented for it.
	{
		Name: tooShort, Action: Refuse,
		Cause: "a fragment lasts less than 1 s", Advice: adviceKept,
	},
	{
		Name: "any other ERROR", Action: BackOff, Fragment: true,
		Cause: "the service reported an error that the agent does not know", Advice: adviceWait,
	},
}

// httpRules are for answers other than 200, of PutMedia and of the control plane.
var httpRules = []Rule{
	{
		Status: 400, Name: "ClientLimitExceededException", Action: BackOff,
		Cause: "the service's limit of requests is reached", Advice: adviceWait,
	},
	// Source: API reference, Common Errors.
	{
		Status: 400, Name: "ThrottlingException", Action: BackOff,
		Cause: "the service's limit of requests is reached", Advice: adviceWait,
	},
	// For these two a repeated request may succeed (aws-sdk-go-v2, aws/retry, DefaultRetryableErrorCodes; API reference, UpdateStream).
	{Status: 400, Name: "RequestTimeoutException", Action: BackOff, Cause: causeTimeout, Advice: adviceWait},
	{Status: 400, Name: "ResourceInUseException", Action: BackOff, Cause: "the stream is being changed", Advice: adviceWait},
	{
		Status: 400, Name: "ConnectionLimitExceededException", Action: BackOff,
		Cause: "the stream has too many connections", Advice: "Make sure that no other producer sends to this stream.",
	},
	{
		Status: 400, Name: "InvalidEndpointException", Action: NewEndpoint,
		Cause: "the data endpoint is not valid any more", Advice: adviceWait,
	},
	{
		Status: 400, Name: "InvalidArgumentException", Action: AskUser,
		Cause: "the service does not accept the request", Advice: "Check the stream's name and the region. " + adviceReport,
	},
	{
		Status: 400, Name: "ExpiredTokenException", Action: NewCredentials,
		Cause: "the hub's credentials have expired", Advice: "Check the hub's clock.",
	},
	{
		Status: 400, Name: "UnrecognizedClientException", Action: NewCredentials,
		Cause: "the service does not know the hub's credentials", Advice: "Check the role alias and the region.",
	},
	{Status: 400, Action: AskUser, Cause: "the service does not accept the request", Advice: adviceReport},
	// The service may also mean that the token has expired.
	{
		Status: 401, Name: "NotAuthorizedException", Action: AskUser, Renew: true,
		Cause: "the hub's role may not upload", Advice: adviceAccess,
	},
	{Status: 401, Action: AskUser, Cause: "the hub's role may not upload", Advice: adviceAccess},
	{Status: 403, Name: "AccessDeniedException", Action: AskUser, Cause: "the hub's role may not upload", Advice: adviceAccess},
	{
		Status: 403, Action: NewCredentials,
		Cause: "the service refuses the hub's signature or credentials", Advice: "Check the hub's clock and the role alias.",
	},
	{
		Status: 404, Action: AskUser,
		Cause:  "the stream does not exist in this account and region",
		Advice: "Create it, or correct the stream's name or the region.",
	},
	{Status: 408, Action: BackOff, Cause: causeTimeout, Advice: adviceWait},
	{
		Status: 413, Action: AskUser,
		Cause: "a proxy does not let large requests pass", Advice: "Let PutMedia pass the proxy without a limit of size.",
	},
	{Status: 421, Action: NewEndpoint, Cause: "the data endpoint is not valid any more", Advice: adviceWait},
	{Status: 425, Action: BackOff, Cause: "the service or a proxy accepts the request only later", Advice: adviceWait},
	{Status: 429, Action: BackOff, Cause: "the service or a proxy asks for fewer requests", Advice: adviceWait},
	{Status: anyServerError, Action: BackOff, Cause: "the service or a proxy before it fails", Advice: adviceWait},
	{
		Name: "any other HTTP status", Status: 0, Action: AskUser,
		Cause: "the answer is not one of Kinesis Video Streams", Advice: AdviceNetwork,
	},
}

// The rules for sessions that end without an answer of the service.
var (
	connectRule = Rule{
		Name: "no connection (DNS, TCP, TLS, proxy, no answer)", Action: NewEndpoint,
		Cause: "Kinesis Video Streams cannot be reached", Advice: AdviceNetwork,
	}
	untrustedRule = Rule{
		Name: "certificate not trusted", Action: NewEndpoint,
		Cause: "the certificate of Kinesis Video Streams is not trusted", Advice: adviceTrust,
	}
	credentialsRule = Rule{
		Name: "no credentials", Action: BackOff,
		Cause: "the hub has no AWS credentials", Advice: "Check the credentials endpoint and the role alias.",
	}
	brokenRule = Rule{
		Name: "connection broken, or ended without a verdict", Action: RetryNow, Fragment: true, Line: true,
		Cause: "the connection to the service broke", Advice: adviceWait,
	}
	stallRule = Rule{
		Name: "no acknowledgement for 30 s", Action: NewEndpoint, Fragment: true, Line: true,
		Cause: "the service does not acknowledge what it is sent", Advice: AdviceNetwork,
	}
	diskRule = Rule{
		Name: "a fragment cannot be read from the disk", Action: BackOff, Fragment: true,
		Cause: "the recorded media cannot be read from the hub's disk", Advice: "Check the disk and the file system.",
	}
)

// codeSoundOnly is stored with a fragment that soundOnlyRule applies to, instead of a code of the service.
const codeSoundOnly = "NO_FRAME_OF_VIDEO"

// soundOnlyRule is not for an error of the service, so the documentation does not list it.
var soundOnlyRule = Rule{
	Name: codeSoundOnly, Action: Refuse, Cause: "it has audio only, and its audio is not sent",
	Advice: "`kvs-edge-agent export` includes it.",
}
