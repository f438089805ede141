// Package iotcreds plays what issues the credentials of devices: the credentials endpoint of AWS IoT and the token exchange
// of Greengrass.
package iotcreds

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/account"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/awsapi"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/calls"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/devicetls"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/iam"
	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/sigv4"
)

// RoleAliasesPath is where the credentials of all role aliases are, at the credentials endpoint only.
const RoleAliasesPath = "/role-aliases/"

// Options of an Endpoint.
type Options struct {
	Keys     sigv4.Keyring
	Policies *iam.Policies
	Revoked  func(thing string) bool // whether the certificate of a thing is not active
	Log      *calls.Log
}

// Endpoint is the credentials endpoint of AWS IoT.
type Endpoint struct {
	o      Options
	issued issued
}

// New returns the endpoint.
func New(o Options) *Endpoint { return &Endpoint{o: o} }

// ServeHTTP implements http.Handler. TLS has verified that the connection has a client certificate of
// the local cloud.
// Source: IoT Core developer guide, "Authorizing direct calls to AWS services".
func (c *Endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e, thing := calls.Of(r.Context()), devicetls.ThingOf(r)
	e.Service, e.Operation, e.Caller = "credentials", "AssumeRoleWithCertificate", thing
	w.Header().Set("Content-Type", "application/json")
	alias, found := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, RoleAliasesPath), "/credentials")
	if !found || !strings.HasPrefix(r.URL.Path, RoleAliasesPath) || strings.Contains(alias, "/") {
		c.o.Log.NotFound(w, e)
		return
	}
	e.Resource = alias
	answer, refused := c.credentialsFor(r, thing, alias)
	if refused != nil {
		c.o.Log.Refuse(e, refused)
		w.WriteHeader(refused.Status)
		_, _ = w.Write(awsapi.JSONText(map[string]string{"message": refused.Message})) // the client may be gone
		return
	}
	_ = json.NewEncoder(w).Encode(answer) // the client may be gone; there is nobody else to report to
}

func (c *Endpoint) credentialsFor(r *http.Request, thing, alias string) (answer any, refused *awsapi.Error) {
	refuse := func(status int, where, text string) *awsapi.Error {
		return &awsapi.Error{Status: status, Message: text, Where: where}
	}
	switch {
	case r.Method != http.MethodGet:
		return nil, refuse(http.StatusMethodNotAllowed, "the method", "only GET is allowed")
	case alias != account.RoleAlias:
		return nil, refuse(http.StatusNotFound, "the path", "Role alias does not exist")
	case r.Header.Get("x-amzn-iot-thingname") != thing:
		return nil, refuse(http.StatusForbidden, "x-amzn-iot-thingname",
			"Access Denied: x-amzn-iot-thingname must be the thing of the certificate")
	case c.o.Revoked(thing):
		return nil, refuse(http.StatusForbidden, "the certificate", "Access Denied: the certificate is not active")
	case !c.o.Policies.PolicyAllows("iot:AssumeRoleWithCertificate", true):
		return nil, refuse(http.StatusForbidden, "the right iot:AssumeRoleWithCertificate", "Access Denied")
	}
	key := c.issue(thing, time.Now())
	return map[string]any{"credentials": map[string]string{
		"accessKeyId": key.ID, "secretAccessKey": key.Secret, "sessionToken": key.Token, "expiration": key.Expires.Format(time.RFC3339),
	}}, nil
}

// issue returns the next key of a device.
func (c *Endpoint) issue(thing string, now time.Time) sigv4.AccessKey {
	key := c.o.Keys.Issue(thing, now)
	c.issued.add(key)
	return key
}

// maxIssued bounds what is remembered of the keys issued.
const maxIssued = 1000

// issued is what was issued to devices last.
type issued struct {
	mu      sync.Mutex
	secrets []string
}

func (i *issued) add(key sigv4.AccessKey) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.secrets = append(i.secrets[max(0, len(i.secrets)-maxIssued):], key.Secret, key.Token)
}

// IssuedSecrets lists the secret keys and session tokens that devices got last, so that a test can
// look for them where they must not be.
func (c *Endpoint) IssuedSecrets() []string {
	c.issued.mu.Lock()
	defer c.issued.mu.Unlock()
	return slices.Clone(c.issued.secrets)
}
