// Package awserr owns what an error of AWS means: whether a right is missing, the credentials or the
// clock are wrong, or a limit is reached. The services spell the same in many ways. It must not know
// what follows from that, nor in which words people read it.
package awserr

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// Kind is what an error means.
type Kind int

// The kinds.
const (
	Unreachable     Kind = iota // there was no answer, or not the whole one
	Denied                      // a policy does not allow the action
	DeniedOrExpired             // the service does not say which of the two
	Forbidden                   // refused, without a reason
	Expired                     // the credentials are over: new ones help
	Unknown                     // the service does not know the credentials: new ones may help
	Signature                   // the signature is not right, usually since the clock is off
	Throttled                   // too many requests
	Limit                       // a limit of the stream or the account is reached
	NotFound                    // the resource that the request names does not exist
	NoSuchPath                  // the host is of another service, which does not know the path
	Unusable                    // that resource is marked for deletion, or empty
	Undecryptable               // the role may not use that resource's key
	Malformed                   // a value in the request is not valid
	Invalid                     // the service does not accept the request
	Certificate                 // the device certificate is refused
	Failing                     // the service, or a proxy before it, fails
	Unexpected                  // anything else
)

// Error is an answer of AWS, or its absence.
type Error struct {
	Kind    Kind
	Status  int    // HTTP status; 0 without an answer
	Name    string // of the exception, "" when the answer has none
	Message string // for people, shortened; "" when the answer has none
	// Action and Resource are what a policy does not allow, such as kinesisvideo:PutMedia, when the
	// answer says so.
	Action, Resource string
}

// MaxText is what is kept of a text from outside, in runes: it ends up in log lines.
const MaxText = 300

// byName are the exceptions whose name says what they mean. Sources: the services' API references,
// "Common Errors"; aws-sdk-go-v2, aws/retry, DefaultThrottleErrorCodes.
var byName = map[Kind][]string{
	Denied: {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation",
		"AuthorizationError", "AuthorizationErrorException", "NotAuthorized"},
	// Kinesis Video Streams: "not authorized to perform an operation on the given stream, or the token has expired".
	DeniedOrExpired: {"NotAuthorizedException"},
	Expired:         {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"},
	Unknown: {"UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId", "AuthFailure",
		"MissingAuthenticationToken", "MissingAuthenticationTokenException", "InvalidToken"},
	Signature: {"InvalidSignatureException", "SignatureDoesNotMatch", "IncompleteSignature", "IncompleteSignatureException",
		"RequestExpired", "RequestTimeTooSkewed", "RequestInTheFuture"},
	Throttled: {"Throttling", "ThrottlingException", "ThrottledException", "RequestThrottled", "RequestThrottledException",
		"TooManyRequestsException", "ProvisionedThroughputExceededException", "TransactionInProgressException", "RequestLimitExceeded",
		"BandwidthLimitExceeded", "SlowDown", "PriorRequestNotComplete", "ClientLimitExceededException"},
	Limit: {"ConnectionLimitExceededException", "LimitExceeded", "LimitExceededException", "LimitExceededFault",
		"ServiceQuotaExceededException",
		"AccountStreamLimitExceededException", "DeviceStreamLimitExceededException", "AccountChannelLimitExceededException"},
	NotFound:      {"ResourceNotFoundException", "ResourceNotFound", "StreamEdgeConfigurationNotFoundException", "NoSuchEntity"},
	Unusable:      {"InvalidRequestException"},
	Undecryptable: {"DecryptionFailure"},
	Malformed:     {"InvalidParameterException", "ValidationException"},
	Failing: {"InternalFailure", "InternalServiceError", "InternalServiceFault",
		"InternalServiceFailure", "InternalServerError", "ServiceUnavailable", "ServiceUnavailableException"},
}

// denial is how IAM words that a policy does not allow an action, whatever the status and the name.
// Source: IAM User Guide, "Troubleshoot access denied error messages".
var denial = regexp.MustCompile(`is not authorized to perform: ([A-Za-z0-9-]+:[A-Za-z0-9*]+)(?: on resource: (\S+))?`)

// Of classifies an error of the SDK.
func Of(err error) Error {
	var (
		answer        *awshttp.ResponseError
		api           smithy.APIError
		status        int
		name, message string
	)
	if errors.As(err, &answer) {
		status = answer.HTTPStatusCode()
	}
	if errors.As(err, &api) {
		name, message = api.ErrorCode(), api.ErrorMessage()
	}
	if status == 0 && name == "" || status/100 == 2 && name == "" && cut(err) {
		return Error{Kind: Unreachable}
	}
	return Classify(status, name, message)
}

// cut reports whether the connection broke, or the time was over, before an answer was there whole.
func cut(err error) bool {
	var network net.Error // that of a time-out is one too
	var stream streamError
	return errors.As(err, &network) || errors.As(err, &stream) || errors.Is(err, io.ErrUnexpectedEOF)
}

// streamError is how the other side ends a stream of HTTP/2. Source: net/http, whose own error is found As one with these fields.
type streamError struct {
	StreamID, Code uint32
	Cause          error
}

// Error implements error.
func (e streamError) Error() string {
	return fmt.Sprintf("stream %d was ended with %d", e.StreamID, e.Code)
}

// Parse classifies an answer that is not 200, of a service that the SDK does not speak to.
func Parse(status int, header http.Header, body []byte) Error {
	var document struct {
		Type    string `json:"__type"`
		Code    string `json:"code"`
		Message string `json:"message"` // stands for Message too
		TraceID string `json:"traceId"`
	}
	_ = json.Unmarshal(body, &document) // a proxy's page is not JSON, and nobody wants to read it
	name := ""
	for _, candidate := range []string{header.Get("x-amzn-ErrorType"), header.Get("x-amz-ErrorType"), document.Type, document.Code} {
		if name = candidate; name != "" {
			break
		}
	}
	e := Classify(status, name, document.Message)
	if status == http.StatusNotFound && name == "" && document.TraceID != "" {
		// Only the data plane of AWS IoT has one: {"message":"Not Found","traceId":"…"}.
		e.Kind = NoSuchPath
	}
	return e
}

// ParseCredentials classifies an answer that is not 200 of the credentials endpoint of AWS IoT, whose exceptions have
// no names. Source: AWS IoT Core Developer Guide, "Authorizing direct calls to AWS services".
func ParseCredentials(status int, body []byte) Error {
	e := Parse(status, nil, body)
	switch {
	case status == http.StatusUnauthorized,
		status == http.StatusForbidden && strings.Contains(strings.ToLower(e.Message), "certificate"):
		e.Kind = Certificate
	case status == http.StatusForbidden:
		e.Kind = Denied
	case status == http.StatusNotFound && e.Kind != NoSuchPath:
		e.Kind = NotFound
	case status == http.StatusBadRequest:
		e.Kind = Invalid
	}
	return e
}

// Classify says what an answer means by its status, the exception's name, and the message.
func Classify(status int, name, message string) Error {
	e := Error{Status: status, Name: bareName(name), Message: Clip(message)}
	if found := denial.FindStringSubmatch(message); found != nil {
		e.Action, e.Resource = Clip(found[1]), Clip(strings.TrimRight(found[2], ".,;"))
	}
	e.Kind = kindOf(e, strings.ToLower(message))
	return e
}

// kindOf classifies by the message where that is clear, then by the name, then by the status.
func kindOf(e Error, message string) Kind {
	if e.Action != "" {
		return Denied
	}
	named := Unexpected
	for kind, names := range byName {
		if slices.Contains(names, e.Name) {
			named = kind
		}
	}
	switch {
	case named == DeniedOrExpired && strings.Contains(message, "expired") && !strings.Contains(message, "authorized"):
		return Expired
	case named != Unexpected:
		return named
	case e.Status == http.StatusTooManyRequests:
		return Throttled
	case e.Status >= http.StatusInternalServerError:
		return Failing
	case e.Status == http.StatusForbidden || e.Status == http.StatusUnauthorized:
		return refusedFor(message)
	case e.Status == http.StatusNotFound || strings.HasSuffix(e.Name, "NotFoundException"):
		return NotFound
	case e.Status >= http.StatusBadRequest:
		return Invalid
	default:
		return Unexpected
	}
}

// refusedFor looks for the reason in the message of an answer that has no name.
func refusedFor(message string) Kind {
	switch {
	case strings.Contains(message, "not authorized"), strings.Contains(message, "access denied"), strings.Contains(message, "explicit deny"):
		return Denied
	case strings.Contains(message, "signature"), strings.Contains(message, "credential should be scoped"):
		return Signature
	case strings.Contains(message, "token") && strings.Contains(message, "expired"):
		return Expired
	case strings.Contains(message, "security token"), strings.Contains(message, "authentication token"):
		return Unknown
	default:
		return Forbidden
	}
}

// bareName takes the namespace before and the address behind an exception's name away:
// com.amazonaws.kinesisvideo#InvalidEndpointException:http://internal.amazon.com/….
func bareName(name string) string {
	name, _, _ = strings.Cut(name, ":")
	return Clip(name[strings.LastIndexByte(name, '#')+1:])
}

// Clip cleans and bounds a text from outside, which ends up in sentences and log lines.
func Clip(s string) string {
	return health.Clean(strings.Join(strings.Fields(s[:min(len(s), 8*MaxText)]), " "), MaxText)
}

// CredentialsRefused reports whether other credentials, or a right clock, would be taken.
func (e Error) CredentialsRefused() bool { return e.CredentialsOutdated() || e.Kind == Signature }

// CredentialsOutdated reports whether other credentials would be taken.
func (e Error) CredentialsOutdated() bool { return e.Kind == Expired || e.Kind == Unknown }

// RightMissing reports whether a policy keeps the hub from what it asked.
func (e Error) RightMissing() bool {
	return e.Kind == Denied || e.Kind == DeniedOrExpired || e.Kind == Forbidden
}

// Permission is the action that a policy must allow: the one that the answer names, else otherwise.
func (e Error) Permission(otherwise string) string {
	if e.Action != "" {
		return e.Action
	}
	return otherwise
}
