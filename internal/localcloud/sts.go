package localcloud

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
)

const stsNamespace = "https://sts.amazonaws.com/doc/2011-06-15/"

// stsErrors are the names that STS has for what is wrong with a signature.
var stsErrors = map[string]string{
	missingToken:     "MissingAuthenticationToken",
	incomplete:       "IncompleteSignature",
	unknownKey:       "InvalidClientTokenId",
	expiredToken:     "ExpiredToken",
	invalidSignature: "SignatureDoesNotMatch",
}

var stsService = service{
	name:        serviceSTS,
	contentType: "text/xml",
	operation: func(_ *http.Request, body []byte) string {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return ""
		}
		return form.Get("Action")
	},
	call: func(c *Cloud, operation string, r *http.Request, _ []byte) ([]byte, error) {
		if operation != "GetCallerIdentity" {
			return nil, &media.HTTPError{Status: http.StatusBadRequest, Name: "InvalidAction", Message: fmt.Sprintf("Could not find operation %q", operation)}
		}
		return c.callerIdentity(r)
	},
	refuse: func(e *media.HTTPError) (int, []byte) {
		name := e.Name
		if known, ok := stsErrors[name]; ok {
			name = known
		}
		body, _ := xml.Marshal(struct { // strings always marshal
			XMLName   xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ ErrorResponse"`
			Type      string   `xml:"Error>Type"`
			Code      string   `xml:"Error>Code"`
			Message   string   `xml:"Error>Message"`
			RequestID string   `xml:"RequestId"`
		}{Type: "Sender", Code: name, Message: e.Message, RequestID: requestID()})
		return e.Status, body
	},
}

// callerIdentity says who signed; the signature was checked before.
func (c *Cloud) callerIdentity(r *http.Request) ([]byte, error) {
	arn, user := fmt.Sprintf("arn:aws:iam::%s:user/local", Account), "AIDALOCALCLOUDUSER000"
	if token := r.Header.Get("X-Amz-Security-Token"); token != "" {
		a, err := parseAuthorization(r.Header.Get("Authorization"))
		if err != nil {
			return nil, err
		}
		_, session, _ := c.keys.find(a.keyID, token)
		arn = fmt.Sprintf("arn:aws:sts::%s:assumed-role/%s/%s", Account, RoleAlias, session.Thing)
		user = "AROALOCALCLOUDROLE000:" + session.Thing
	}
	return xml.Marshal(struct {
		XMLName   xml.Name `xml:"GetCallerIdentityResponse"`
		Namespace string   `xml:"xmlns,attr"`
		ARN       string   `xml:"GetCallerIdentityResult>Arn"`
		UserID    string   `xml:"GetCallerIdentityResult>UserId"`
		Account   string   `xml:"GetCallerIdentityResult>Account"`
		RequestID string   `xml:"ResponseMetadata>RequestId"`
	}{Namespace: stsNamespace, ARN: arn, UserID: user, Account: Account, RequestID: requestID()})
}
