package localcloud

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/kvs-edge/kvs-edge-agent/internal/localcloud/media"
)

// roleAliasesPath is where the credentials of all role aliases are, at the credentials endpoint only.
const roleAliasesPath = "/role-aliases/"

// handleCredentials is the IoT credentials endpoint. The connection has a client certificate of
// ours, TLS has seen to that.
// Source: IoT Core developer guide, "Authorizing direct calls to AWS services".
func (c *Cloud) handleCredentials(w http.ResponseWriter, r *http.Request) {
	e, thing := callOf(r.Context()), certificateThing(r)
	e.service, e.operation, e.caller = "credentials", "AssumeRoleWithCertificate", thing
	w.Header().Set("Content-Type", "application/json")
	alias, found := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, roleAliasesPath), "/credentials")
	if !found || !strings.HasPrefix(r.URL.Path, roleAliasesPath) || strings.Contains(alias, "/") {
		c.notFound(w, e)
		return
	}
	e.resource = alias
	answer, refused := c.credentialsFor(r, thing, alias)
	if refused != nil {
		c.refuse(e, refused)
		w.WriteHeader(refused.Status)
		_, _ = w.Write(jsonText(map[string]string{"message": refused.Message})) // the client may be gone
		return
	}
	_ = json.NewEncoder(w).Encode(answer) // the client may be gone; there is nobody else to report to
}

func (c *Cloud) credentialsFor(r *http.Request, thing, alias string) (answer any, refused *media.HTTPError) {
	refuse := func(status int, where, text string) *media.HTTPError {
		return &media.HTTPError{Status: status, Message: text, Where: where}
	}
	switch {
	case r.Method != http.MethodGet:
		return nil, refuse(http.StatusMethodNotAllowed, "the method", "only GET is allowed")
	case alias != RoleAlias:
		return nil, refuse(http.StatusNotFound, "the path", "Role alias does not exist")
	case r.Header.Get("x-amzn-iot-thingname") != thing:
		return nil, refuse(http.StatusForbidden, "x-amzn-iot-thingname",
			"Access Denied: x-amzn-iot-thingname must be the thing of the certificate")
	case c.isRevoked(thing):
		return nil, refuse(http.StatusForbidden, "the certificate", "Access Denied: the certificate is not active")
	case !c.policyAllows("iot:AssumeRoleWithCertificate", true):
		return nil, refuse(http.StatusForbidden, "the right iot:AssumeRoleWithCertificate", "Access Denied")
	}
	key := c.keys.issue(thing, time.Now())
	c.issued.add(key)
	return map[string]any{"credentials": map[string]string{
		"accessKeyId": key.ID, "secretAccessKey": key.Secret, "sessionToken": key.Token, "expiration": key.Expires.Format(time.RFC3339),
	}}, nil
}

func (c *Cloud) isRevoked(thing string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.doc.Revoked[thing]
}

// maxIssued bounds what is remembered of the keys given out.
const maxIssued = 1000

// issued is what was given out to devices last.
type issued struct {
	mu      sync.Mutex
	secrets []string
}

func (i *issued) add(key accessKey) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.secrets = append(i.secrets[max(0, len(i.secrets)-maxIssued):], key.Secret, key.Token)
}

// IssuedSecrets lists the secret keys and session tokens that devices got last, so that a test can
// look for them where they must not be.
func (c *Cloud) IssuedSecrets() []string {
	c.issued.mu.Lock()
	defer c.issued.mu.Unlock()
	return slices.Clone(c.issued.secrets)
}
