package rules

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awserr"
	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/kvs"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

func TestErrorsAreFoundByName(t *testing.T) {
	t.Parallel()
	if r := ackRule(kvs.Ack{ErrorCode: "MIN_FRAGMENT_DURATION_REACHED"}); r.Action != Refuse || r.ID != 0 {
		t.Errorf("got %+v", r)
	}
	if r := ackRule(kvs.Ack{ErrorCode: "KMS_KEY_DISABLED"}); r.ID != 4501 {
		t.Errorf("got %+v", r)
	}
	if r := ackRule(kvs.Ack{}); r.Action != BackOff {
		t.Errorf("got %+v", r)
	}
	if r := httpRule(400, "ThrottlingException"); r.Action != BackOff {
		t.Errorf("got %+v", r)
	}
	if r := OfOpen(errors.New("dial")).Rule; r.Action != NewEndpoint {
		t.Errorf("got %+v", r)
	}
	if r := OfOpen(fmt.Errorf("x: %w", kvs.ErrCredentials)).Rule; r.Name != credentialsRule.Name {
		t.Errorf("got %+v", r)
	}
}

// TestAnErrorWithoutAnIDIsFoundByItsText as one whose id no guide has.
func TestAnErrorWithoutAnIDIsFoundByItsText(t *testing.T) {
	t.Parallel()
	for _, want := range ackRules[:len(ackRules)-1] {
		for _, id := range []int{0, 4999} {
			if r := ackRule(kvs.Ack{ErrorID: id, ErrorCode: want.Name}); r != want {
				t.Errorf("%d %s: got %+v, want %+v", id, want.Name, r, want)
			}
		}
	}
}

// TestADenialNamesTheRight in whatever form the service sends it, without a useless request for credentials.
func TestADenialNamesTheRight(t *testing.T) {
	t.Parallel()
	const said = "User: arn:aws:sts::123456789012:assumed-role/hub/0a is not authorized to perform: %s on resource: arn:aws:%s because no " +
		"identity-based policy allows it"
	put := fmt.Sprintf(said, "kinesisvideo:PutMedia", "kinesisvideo:us-west-2:123456789012:stream/door/1")
	for name, row := range map[string]struct {
		status        int
		name, message string
		action        Action
		renew         bool
		advice        string
	}{
		"IAM without a name": {403, "", put, AskUser, false,
			"Allow the hub's role kinesisvideo:PutMedia on arn:aws:kinesisvideo:us-west-2:123456789012:stream/door/1."},
		"IAM": {403, "AccessDeniedException", put, AskUser, false,
			"Allow the hub's role kinesisvideo:PutMedia on arn:aws:kinesisvideo:us-west-2:123456789012:stream/door/1."},
		"IAM as 401": {401, "NotAuthorizedException", put, AskUser, false, "Allow the hub's role kinesisvideo:PutMedia on"},
		"IAM as 400": {400, "AccessDeniedException", put, AskUser, false, "Allow the hub's role kinesisvideo:PutMedia on"},
		"KMS": {400, "AccessDeniedException", fmt.Sprintf(said, "kms:GenerateDataKey", "kms:us-west-2:123456789012:key/0a"), AskUser, false,
			"Allow the hub's role kms:GenerateDataKey with the stream's KMS key (arn:aws:kms:us-west-2:123456789012:key/0a)."},
		"denied, no text": {400, "AccessDenied", "", AskUser, false, adviceAccess},
		"401":             {401, "NotAuthorizedException", "", AskUser, true, adviceAccess},
		"401, expired":    {401, "NotAuthorizedException", "The token has expired", NewCredentials, false, "Check the hub's clock."},
		"403, expired": {403, "", "The security token included in the request is expired", NewCredentials, false,
			"Check the hub's clock."},
		"403, the clock": {403, "", "Signature expired: 20261101T000000Z", NewCredentials, false,
			"Check the hub's clock and the role alias."},
		"403, nothing is said":    {403, "", "", NewCredentials, false, "Check the hub's clock and the role alias."},
		"403, not known":          {403, "UnrecognizedClientException", "", NewCredentials, false, "Check the hub's clock and the role alias."},
		"401 of a proxy or other": {401, "", "", AskUser, false, adviceAccess},
	} {
		r := OfResponse(awserr.Classify(row.status, row.name, row.message))
		if r.Action != row.action || r.Renew != row.renew || !strings.Contains(r.Advice, row.advice) ||
			(r.Class() == health.UserError) != (row.action == AskUser) {
			t.Errorf("%s: got %+v", name, r)
		}
	}
}

func TestTheKeyAndTheStreamNeverCostAFragment(t *testing.T) {
	t.Parallel()
	for _, r := range ackRules {
		if (r.ID >= 4500 && r.ID < 4600 || r.ID == 4008) && (r.Action == Refuse || r.Fragment) {
			t.Errorf("%s may skip a fragment", r.Title())
		}
	}
}

// TestAPersonIsAskedOnlyWhereOneMustAct has what passes by itself, in the spellings of services and proxies.
func TestAPersonIsAskedOnlyWhereOneMustAct(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		status int
		name   string
		want   Action
	}{
		{400, "RequestTimeout", BackOff}, {400, "RequestTimeoutException", BackOff}, {408, "", BackOff},
		{408, "RequestTimeoutException", BackOff},
		{400, "Throttling", BackOff}, {400, "TooManyRequestsException", BackOff}, {400, "RequestLimitExceeded", BackOff},
		{400, "SlowDown", BackOff},
		{400, "LimitExceededException", BackOff}, {400, "ClientLimitExceededException", BackOff},
		{400, "ConnectionLimitExceededException", BackOff},
		{400, "ResourceInUseException", BackOff}, {400, "InternalFailure", BackOff}, {400, "ServiceUnavailable", BackOff},
		{421, "", NewEndpoint}, {425, "", BackOff}, {429, "", BackOff}, {500, "", BackOff}, {502, "", BackOff}, {503, "", BackOff},
		{504, "", BackOff}, {599, "", BackOff},
		{400, "IncompleteSignature", NewCredentials}, {400, "RequestExpired", NewCredentials}, {400, "InvalidSignatureException", NewCredentials},
		{400, "InvalidClientTokenId", NewCredentials}, {403, "InvalidClientTokenId", NewCredentials},
		{400, "ExpiredTokenException", NewCredentials},
		{400, "", AskUser}, {400, "InvalidArgumentException", AskUser}, {400, "ValidationException", AskUser}, {404, "", AskUser},
		{400, "ResourceNotFoundException", AskUser},
		{405, "", AskUser}, {407, "", AskUser}, {413, "", AskUser}, {418, "", AskUser},
	} {
		if r := OfResponse(awserr.Classify(row.status, row.name, "")); r.Action != row.want {
			t.Errorf("%d %s: %s, want %s", row.status, row.name, r.Action, row.want)
		}
	}
}

const documentation = "../../../docs/upload-errors.md"

func TestTheDocumentationHasTheSameRules(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(documentation)
	if err != nil {
		t.Fatal(err)
	}
	var rows []string
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "| `") {
			rows = append(rows, line)
		}
	}
	var want []string
	for _, r := range All() {
		may := ""
		switch {
		case r.Line:
			may = "; send a fragment that keeps causing it in parts, and others before it"
		case r.Fragment && r.Name == diskRule.Name:
			may = "; send others before a fragment that keeps causing it"
		case r.Fragment:
			may = "; skip a fragment that keeps causing it"
		}
		first := ""
		if r.Split {
			first = "send it again in parts; if that fails too, "
		}
		if r.Tags {
			first = "send it again without tags; if that fails too, "
		}
		if r.Renew {
			first = "ask for new credentials once; if that fails too, "
		}
		want = append(want, fmt.Sprintf("| `%s` | %s | %s%s%s | %s |", r.Title(), r.Cause, first, r.Action, may, r.Advice))
	}
	if got, expected := strings.Join(rows, "\n"), strings.Join(want, "\n"); got != expected {
		t.Errorf("%s has\n%s\nWANT\n%s", documentation, got, expected)
	}
}
