package rules

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awserr"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/neterr"
)

// All returns the rules in the order of the documentation, docs/upload-errors.md.
func All() []Rule {
	list := append([]Rule{}, ackRules...)
	list = append(list, httpRules...)
	return append(list, connectRule, untrustedRule, credentialsRule, brokenRule, stallRule, diskRule)
}

// OfAck returns the answer to an ERROR acknowledgement.
func OfAck(a kvs.Ack) Answer {
	given := a.ErrorCode
	if a.ErrorID != 0 {
		given = Rule{ID: a.ErrorID, Name: a.ErrorCode}.Title()
	}
	return Answer{ackRule(a), given}
}

// OfOpen returns the answer to an error of opening a session.
func OfOpen(err error) Answer {
	var answer *kvs.RequestError
	if errors.As(err, &answer) {
		return Answer{OfResponse(answer.Meaning), Rule{Status: answer.Status, Name: answer.Name}.Title()}
	}
	return Answer{Rule: openRule(err)}
}

// OfEnd returns the answer to the end of a session that the uploader did not end; err may be nil.
func OfEnd(err error) Answer {
	var media *kvs.MediaError
	if errors.As(err, &media) {
		return Answer{Rule: diskRule}
	}
	return Answer{Rule: brokenRule}
}

// Stalled returns the answer to a session in which neither a byte nor an acknowledgement moves.
func Stalled() Answer { return Answer{Rule: stallRule} }

// SoundOnly returns the answer to a fragment with audio only, whose audio is not sent: a camera that disconnected before
// its first frame, or a power cut, may leave one.
func SoundOnly() Answer { return Answer{Rule: soundOnlyRule} }

// ackRule returns the rule for an ERROR. The id decides; the name does where the id is missing or not documented.
func ackRule(a kvs.Ack) Rule {
	for _, r := range ackRules {
		if a.ErrorID != 0 && r.ID == a.ErrorID {
			return r
		}
	}
	for _, r := range ackRules {
		if a.ErrorCode != "" && r.Name == a.ErrorCode {
			return r
		}
	}
	return ackRules[len(ackRules)-1]
}

// openRule returns the rule for a session that was not opened and got no response.
func openRule(err error) Rule {
	if errors.Is(err, kvs.ErrCredentials) {
		return credentialsRule
	}
	switch neterr.Of(err) {
	case neterr.Untrusted, neterr.HostnameMismatch, neterr.CertExpired:
		return untrustedRule
	}
	return connectRule
}

// OfResponse returns the rule for a response other than 200. IAM denies with several statuses, and at times
// without the exception's name: its text decides, and names the missing permission.
func OfResponse(answer awserr.Error) Rule {
	status, name := answer.Status, answer.Name
	switch answer.Kind {
	case awserr.Denied:
		status, name = http.StatusForbidden, "AccessDeniedException"
	case awserr.Expired:
		status, name = http.StatusBadRequest, "ExpiredTokenException"
	default:
		if status == http.StatusBadRequest {
			status, name = badRequest(answer)
		}
	}
	rule := httpRule(status, name)
	if answer.Action == "" {
		return rule
	}
	resource := answer.Resource
	if resource == "" {
		resource = "the stream"
	}
	rule.Advice = fmt.Sprintf("Allow the hub's role %s on %s.", answer.Action, resource)
	if strings.HasPrefix(answer.Action, "kms:") {
		rule.Advice = fmt.Sprintf("Allow the hub's role %s with the stream's KMS key (%s).", answer.Action, resource)
	}
	return rule
}

// badRequest returns the status and name of the rule for an answer with 400. Errors that the services name in several
// ways have one rule, and are not classified as a mistake of the user.
func badRequest(answer awserr.Error) (status int, name string) {
	for _, r := range httpRules {
		if r.Status == http.StatusBadRequest && r.Name != "" && r.Name == answer.Name {
			return r.Status, r.Name
		}
	}
	switch answer.Kind {
	case awserr.Throttled:
		return http.StatusBadRequest, "ThrottlingException"
	case awserr.Limit:
		return http.StatusBadRequest, "ClientLimitExceededException"
	case awserr.Unknown:
		return http.StatusBadRequest, "UnrecognizedClientException"
	case awserr.Signature:
		return http.StatusForbidden, ""
	case awserr.NotFound:
		return http.StatusNotFound, ""
	case awserr.Failing:
		return anyServerError, ""
	}
	if strings.HasPrefix(answer.Name, "RequestTimeout") {
		return http.StatusBadRequest, "RequestTimeoutException"
	}
	return http.StatusBadRequest, ""
}

func httpRule(status int, name string) Rule {
	if status >= http.StatusInternalServerError && status <= anyServerError {
		status = anyServerError
	}
	for _, r := range httpRules[:len(httpRules)-1] {
		if r.Status == status && (r.Name == "" || r.Name == name) {
			return r
		}
	}
	return httpRules[len(httpRules)-1]
}
