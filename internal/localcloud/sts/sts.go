// Package sts plays the one operation of STS that is here, GetCallerIdentity.
package sts

import (
	"encoding/xml"
	"net/http"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/account"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/calls"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/iam"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sigv4"
)

const namespace = "https://sts.amazonaws.com/doc/2011-06-15/"

// Version is that of the API in each request.
const Version = "2011-06-15"

// API returns the service as the HTTPS endpoint has it. The keys say who signed a request.
func API(keys sigv4.Keyring) awsapi.Service {
	return awsapi.Service{
		Name:      awsapi.STS,
		Protocol:  func(*http.Request) awsapi.Protocol { return awsapi.Query(namespace) },
		Operation: func(_ *http.Request, body []byte) string { return awsapi.Form(body).Get("Action") },
		Call: func(operation string, r *http.Request, _ []byte) ([]byte, error) {
			if operation != "GetCallerIdentity" {
				return nil, awsapi.Errorf(http.StatusBadRequest, "InvalidAction", "parameter Action", "localcloud has no operation %q of sts",
					operation)
			}
			return callerIdentity(keys, r)
		},
	}
}

// callerIdentity says who signed; the signature was checked before.
func callerIdentity(keys sigv4.Keyring, r *http.Request) ([]byte, error) {
	who, user := iam.Caller{}, "AIDALOCALCLOUDUSER000"
	if token := r.Header.Get("X-Amz-Security-Token"); token != "" {
		a, err := sigv4.Parse(r.Header.Get("Authorization"))
		if err != nil {
			return nil, err
		}
		_, id, _ := keys.Find(a.KeyID, token)
		who, user = iam.Caller{Thing: id.Thing}, "AROALOCALCLOUDROLE000:"+id.Thing
	}
	return xml.Marshal(struct {
		XMLName   xml.Name `xml:"GetCallerIdentityResponse"`
		Namespace string   `xml:"xmlns,attr"`
		ARN       string   `xml:"GetCallerIdentityResult>Arn"`
		UserID    string   `xml:"GetCallerIdentityResult>UserId"`
		Account   string   `xml:"GetCallerIdentityResult>Account"`
		RequestID string   `xml:"ResponseMetadata>RequestId"`
	}{Namespace: namespace, ARN: who.ARN(keys.Home), UserID: user, Account: account.ID, RequestID: calls.Of(r.Context()).ID})
}
