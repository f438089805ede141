package localcloud

import (
	"encoding/xml"
	"fmt"
	"net/http"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
)

const stsNamespace = "https://sts.amazonaws.com/doc/2011-06-15/"

// stsVersion is that of the API in each request.
const stsVersion = "2011-06-15"

var stsService = service{
	name:      serviceSTS,
	wire:      func(*http.Request) wire { return wireQuery(stsNamespace) },
	operation: func(_ *http.Request, body []byte) string { return formOf(body).Get("Action") },
	call: func(c *Cloud, operation string, r *http.Request, _ []byte) ([]byte, error) {
		if operation != "GetCallerIdentity" {
			return nil, &media.HTTPError{Status: http.StatusBadRequest, Name: "InvalidAction", Where: "parameter Action",
				Message: fmt.Sprintf("localcloud has no operation %q of sts", operation)}
		}
		return c.callerIdentity(r)
	},
}

// callerIdentity says who signed; the signature was checked before.
func (c *Cloud) callerIdentity(r *http.Request) ([]byte, error) {
	who, user := caller{}, "AIDALOCALCLOUDUSER000"
	if token := r.Header.Get("X-Amz-Security-Token"); token != "" {
		a, err := parseAuthorization(r.Header.Get("Authorization"))
		if err != nil {
			return nil, err
		}
		_, session, _ := c.keys.find(a.keyID, token)
		who, user = caller{Thing: session.Thing}, "AROALOCALCLOUDROLE000:"+session.Thing
	}
	return xml.Marshal(struct {
		XMLName   xml.Name `xml:"GetCallerIdentityResponse"`
		Namespace string   `xml:"xmlns,attr"`
		ARN       string   `xml:"GetCallerIdentityResult>Arn"`
		UserID    string   `xml:"GetCallerIdentityResult>UserId"`
		Account   string   `xml:"GetCallerIdentityResult>Account"`
		RequestID string   `xml:"ResponseMetadata>RequestId"`
	}{Namespace: stsNamespace, ARN: who.arn(), UserID: user, Account: Account, RequestID: callOf(r.Context()).id})
}
