package iotcreds

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
)

// maxAnswer bounds what is read of an answer; a real one has about 1 KB.
const maxAnswer = 64 << 10

const source = "IoTCredentialsProvider"

func requestURL(endpoint, roleAlias string) string {
	return "https://" + endpoint + "/role-aliases/" + url.PathEscape(roleAlias) + "/credentials"
}

// answer is what one good request gave.
type answer struct {
	credentials aws.Credentials
	expires     time.Time // by the hub's clock, however wrong that is
}

func (p *Provider) fetch(ctx context.Context) (answer, error) {
	if p.o.Refused != nil {
		return answer{}, p.o.Refused
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
	if err != nil {
		return answer{}, health.UserFault(codeService, err, "The credentials endpoint %q is not a host name: correct "+
			"AWS_IOT_CORE_CREDENTIAL_ENDPOINT.", p.o.Endpoint)
	}
	request.Header.Set("x-amzn-iot-thingname", p.o.ThingName)
	response, err := p.client.Do(request)
	if err != nil {
		return answer{}, p.connectionFault(err)
	}
	defer func() { _ = response.Body.Close() }()
	now := p.o.Now()
	skew := clockSkew(response.Header, now)
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return answer{}, p.connectionFault(err)
	}
	if response.StatusCode != http.StatusOK {
		return answer{}, p.statusFault(response.StatusCode, body, skew)
	}
	var document struct {
		Credentials struct {
			AccessKeyID     string    `json:"accessKeyId"`
			SecretAccessKey string    `json:"secretAccessKey"`
			SessionToken    string    `json:"sessionToken"`
			Expiration      time.Time `json:"expiration"`
		} `json:"credentials"`
	}
	// The body holds keys: no part of it may get into an error.
	if json.Unmarshal(body, &document) != nil || document.Credentials.AccessKeyID == "" || document.Credentials.SecretAccessKey == "" ||
		document.Credentials.Expiration.IsZero() {
		return answer{}, health.SystemFault(codeService, nil, "The credentials endpoint %s answered without credentials: check "+
			"AWS_IOT_CORE_CREDENTIAL_ENDPOINT.", p.o.Endpoint)
	}
	c := document.Credentials
	a := answer{
		credentials: aws.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey, SessionToken: c.SessionToken,
			Source: source},
		// Counted from the endpoint's clock, so that a wrong clock here does not make them look
		// expired; and added to now, so that a step of the clock here does not count (monotonic).
		expires: now.Add(c.Expiration.Sub(now) - skew),
	}
	if !a.expires.After(now) {
		return answer{}, health.SystemFault(codeService, nil, "The credentials endpoint %s returned credentials that "+
			"expired at %s.", p.o.Endpoint,
			health.Varying(c.Expiration.UTC().Format(time.RFC3339)))
	}
	return a, nil
}

// clockSkew is the endpoint's clock minus ours; 0 when the answer has no date.
func clockSkew(h http.Header, now time.Time) time.Duration {
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0
	}
	return date.Sub(now.Truncate(time.Second))
}

// String keeps credentials out of logs should somebody print the Provider.
func (p *Provider) String() string { return "credentials of " + p.name }
