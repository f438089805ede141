package localcloud

import (
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"time"
)

// handleCredentials is the IoT credentials endpoint. The connection has a client certificate of
// ours, TLS has seen to that.
// Source: IoT Core developer guide, "Authorizing direct calls to AWS services".
func (c *Cloud) handleCredentials(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("x-amzn-RequestId", requestID())
	status, answer := c.credentialsFor(r)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // the client may be gone; there is nobody else to tell
}

func (c *Cloud) credentialsFor(r *http.Request) (status int, answer any) {
	message := func(text string) map[string]string { return map[string]string{"message": text} }
	thing := r.TLS.PeerCertificates[0].Subject.CommonName
	switch {
	case r.Method != http.MethodGet:
		return http.StatusMethodNotAllowed, message("only GET is allowed")
	case r.URL.Path != "/role-aliases/"+RoleAlias+"/credentials":
		return http.StatusNotFound, message("Role alias does not exist")
	case r.Header.Get("x-amzn-iot-thingname") != thing:
		return http.StatusForbidden, message("Access Denied: x-amzn-iot-thingname must be the thing of the certificate")
	case c.isRevoked(thing):
		return http.StatusForbidden, message("Access Denied: the certificate is not active")
	}
	key := c.keys.issue(thing, time.Now())
	c.issued.add(key)
	return http.StatusOK, map[string]any{"credentials": map[string]string{
		"accessKeyId": key.ID, "secretAccessKey": key.Secret, "sessionToken": key.Token, "expiration": key.Expires.Format(time.RFC3339),
	}}
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
