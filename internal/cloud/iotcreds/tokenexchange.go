package iotcreds

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/smithy-go"

	"github.com/kvs-edge/kvs-edge-agent/internal/cloud/awsclient"
	"github.com/kvs-edge/kvs-edge-agent/internal/health"
	"github.com/kvs-edge/kvs-edge-agent/internal/humanize"
	"github.com/kvs-edge/kvs-edge-agent/internal/neterr"
	"github.com/kvs-edge/kvs-edge-agent/internal/secret"
)

// exchangeRefreshBefore is below the 5 min before their end until which the token exchange service
// repeats the credentials that it has: asked earlier, it would return the same again. It is so even
// with jitterShare added.
// Source: aws-greengrass-nucleus, CredentialRequestHandler.TIME_BEFORE_CACHE_EXPIRE_IN_MIN.
const exchangeRefreshBefore = 4 * time.Minute

// TokenExchange says where the token exchange service of Greengrass answers a component.
// Source: AWS IoT Greengrass V2 Developer Guide, "Token exchange service".
type TokenExchange struct {
	URL   string        // http://localhost:PORT/2016-11-01/credentialprovider/
	Token secret.String // of this start of the component
	// TokenFile holds the token in place of Token, and is read for each request, as it is replaced in time; empty: there is none.
	TokenFile string
}

// maxTokenFile bounds what is read of a TokenFile.
const maxTokenFile = 16 << 10

// token is what to send with a request.
func (t TokenExchange) token() (string, error) {
	if t.TokenFile == "" {
		return t.Token.Reveal(), nil
	}
	f, err := os.Open(t.TokenFile)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxTokenFile))
	return strings.TrimSpace(string(text)), err
}

// Check says what is wrong with the address. As in the AWS SDKs, a token goes without TLS only to
// this machine.
func (t TokenExchange) Check() error {
	address, err := url.Parse(t.URL)
	switch {
	case err != nil || address.Host == "" || address.Scheme != "http" && address.Scheme != "https":
		return errors.New("is not the address of a token exchange service, such as http://localhost:1441/2016-11-01/credentialprovider/")
	case address.Scheme == "http" && !isLoopback(address.Hostname()):
		return fmt.Errorf("leads to %s, but over http only this machine (localhost) may be asked for credentials", address.Hostname())
	default:
		return nil
	}
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// NewTokenExchange returns a Provider that gets its credentials from Greengrass, and has not asked
// for any yet. Of the options only those count that are not about the endpoint of AWS IoT.
func NewTokenExchange(t TokenExchange, o Options) (*Provider, error) {
	if err := t.Check(); err != nil {
		return nil, fmt.Errorf("the address %w", err)
	}
	address, err := url.Parse(t.URL)
	if err != nil {
		return nil, err
	}
	if o.RefreshBefore <= 0 {
		o.RefreshBefore = exchangeRefreshBefore
	}
	p := newProvider(o)
	p.client = awsclient.Local(p.o.Timeout, p.o.Version)
	x := exchange{host: address.Host, now: p.o.Now, access: t, endpoint: endpointcreds.New(t.URL, func(e *endpointcreds.Options) {
		e.HTTPClient, e.Retryer = p.client, aws.NopRetryer{}
		e.AuthorizationTokenProvider = endpointcreds.TokenProviderFunc(t.token)
	})}
	p.ask, p.name = x.fetch, "the token exchange service at "+address.Host
	return p, nil
}

// exchange asks one token exchange service.
type exchange struct {
	host     string
	now      func() time.Time
	access   TokenExchange
	endpoint *endpointcreds.Provider
}

func (x exchange) fetch(ctx context.Context) (answer, error) {
	now := x.now()
	if _, err := x.access.token(); err != nil { // the SDK hides why
		return answer{}, health.UserFault(codeToken, err, "The file with the token for the token exchange service, %s, cannot be read (%s): "+
			"make it readable for the agent's user.", x.access.TokenFile, health.Reason(err))
	}
	c, err := x.endpoint.Retrieve(ctx)
	switch {
	case err != nil:
		return answer{}, x.fault(err)
	case c.AccessKeyID == "" || c.SecretAccessKey == "" || !c.CanExpire:
		return answer{}, health.SystemFault(codeService, nil, "The token exchange service of Greengrass at %s answered without "+
			"credentials.", x.host)
	case !c.Expires.After(now):
		return answer{}, health.UserFault(codeClock, nil, "The token exchange service of Greengrass returned credentials that "+
			"expired at %s, the "+
			"hub's clock says %s: set the clock (NTP).",
			health.Varying(humanize.Time(c.Expires.UTC())), health.Varying(humanize.Time(now.UTC())))
	}
	// The end stays a time of day, without a monotonic reading. How far the hub's clock is off is
	// not known here: when it is set later, the end must not stay where the wrong clock had it.
	expires := c.Expires.Round(0)
	c.CanExpire, c.Expires = false, time.Time{}
	return answer{credentials: c, expires: expires}, nil
}

// fault turns a failure into a sentence. What the service says is left out: with some failures
// that is AWS IoT's answer, credentials and all. A refused token has an empty answer, a refusal of
// AWS IoT a text.
// Source: aws-greengrass-nucleus, CredentialRequestHandler.
func (x exchange) fault(err error) error {
	var (
		status interface{ HTTPStatusCode() int }
		said   smithy.APIError
		unread *smithy.DeserializationError
	)
	switch {
	case errors.As(err, &status) && errors.As(err, &said):
		return x.statusFault(status.HTTPStatusCode(), said.ErrorMessage() != "")
	case errors.As(err, &unread):
		return health.SystemFault(codeService, nil, "The token exchange service of Greengrass at %s answered without credentials.", x.host)
	case neterr.IsTimeout(err):
		return health.SystemFault(codeNetwork, err, "The token exchange service of Greengrass at %s does not answer in time; the agent keeps "+
			"trying.", x.host)
	default:
		return health.SystemFault(codeNetwork, err, "The token exchange service of Greengrass cannot be reached at %s: check that the "+
			"component aws.greengrass.TokenExchangeService runs.", x.host)
	}
}

func (x exchange) statusFault(status int, explained bool) error {
	cause := &StatusError{Status: status}
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden && !explained:
		return health.UserFault(codeToken, cause, "The token exchange service of Greengrass does not accept this component's token: restart the "+
			"component, so that it gets a new one.")
	case status == http.StatusNotFound:
		return health.UserFault(codeRoleAlias, cause, "The role alias of Greengrass does not exist in AWS IoT: create it, or correct "+
			"iotRoleAlias of the component aws.greengrass.Nucleus.")
	case status == http.StatusForbidden, status == http.StatusBadRequest:
		return health.UserFault(codeRoleAlias, cause, "AWS IoT refuses credentials to Greengrass (HTTP status %d): the policy of the core's "+
			"certificate must allow iot:AssumeRoleWithCertificate on the role alias iotRoleAlias of aws.greengrass.Nucleus.", status)
	default:
		return health.SystemFault(codeService, cause, "The token exchange service of Greengrass has no credentials (HTTP status %d), often "+
			"because it has no network; the agent keeps trying.", status)
	}
}
